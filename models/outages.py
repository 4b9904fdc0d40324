"""Intervals in which a container did not answer, as its customer saw them, and why. Not measured is not zero."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, String, Text
from sqlmodel import Field, SQLModel

from models.columns import Instant

UNKNOWN = "unknown"  # cause of an interval that was over before the job touched the container


class Outage(SQLModel, table=True):
    """One interval. A job that was watched and after which nothing was missed has one row too, with a gap of 0: measured, none."""

    __table_args__ = (Index("outage_container", "container", "began_at"),)

    id: int | None = Field(default=None, sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True))
    ctid: int = Field(sa_column=Column("container", Integer, nullable=False))  # PostgreSQL keeps the name ctid for itself
    node: str = Field(index=True)  # where it was when the interval began
    site: str
    customer: str | None = Field(default=None, index=True)  # whose it was then
    job_id: str | None = Field(default=None, sa_column=Column(String(26), index=True))  # the job that was watched
    cause: str  # its kind, or UNKNOWN
    began_at: datetime = Field(sa_type=Instant)  # the last answer before; where there was none, when the watch began
    ended_at: datetime | None = Field(default=None, sa_type=Instant)  # the first answer after; None: nobody saw one
    gap_s: float | None = None  # last answer before → first answer after; None: see not_measured
    not_measured: str = Field(default="", sa_type=Text)  # why there is no gap_s, as a sentence
    resolution_s: float | None = None  # what was down lies between gap_s less this, and gap_s
    suspended_s: float | None = None  # the node's own figure (vzmigrate's timing block), where the job has one
    brownout_s: float | None = None  # time with answers slower than a multiple of the baseline; None: no baseline
    how: str = ""  # how it was asked: "icmp" or "tcp:PORT"; empty: it was not
    parts: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)  # freeze_s, network_s, baseline_s, probes, at_least_s, at_most_s …
