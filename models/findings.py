"""What is not as the rows say: found by looking at nodes, mended only when somebody asks for it."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Integer, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.columns import Instant


class Finding(SQLModel, table=True):
    """One difference between the rows and the nodes, open until it is no longer seen or was dealt with."""

    __table_args__ = (UniqueConstraint("node", "subject", "kind"),)

    id: int | None = Field(default=None, sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True))
    kind: str = Field(index=True)  # unknown-container, missing-container, wrong-limits, wrong-standing, twin, debris, stale-lock …
    node: str = Field(index=True)
    subject: str  # the container's id, or what else it is about
    why: str = Field(default="", sa_type=Text)  # a sentence for the operator
    mark: str | None = None  # of an unknown container: the job of ours whose mark it carries
    repair: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)  # the order that would mend it; empty: a person must look
    first_seen: datetime = Field(sa_type=Instant)
    last_seen: datetime = Field(sa_type=Instant)
    gone_at: datetime | None = Field(default=None, sa_type=Instant)  # no longer seen
    job_id: str | None = None  # the repair that was ordered
