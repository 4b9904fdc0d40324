"""Webhooks: where events are sent, and what became of each delivery."""

from datetime import datetime

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.columns import Instant


class Webhook(SQLModel, table=True):
    """Somebody who wants to be told. Its signing secrets are sealed (models/vault.py); during a rotation there are two."""

    id: str = Field(primary_key=True)  # a ULID
    url: str
    events: list[str] = Field(default_factory=list, sa_type=JSON)  # causes it wants, e.g. "finished"; empty: all that end or stop a job
    customer: str | None = None  # only this customer's
    sealed: list[str] = Field(default_factory=list, sa_type=JSON)  # newest first; each signs
    active: bool = True
    cursor: int = Field(default=0, sa_type=BigInteger)  # number of the last event turned into deliveries
    created_at: datetime = Field(sa_type=Instant)
    created_by: str = ""


class Delivery(SQLModel, table=True):
    """One event on its way to one webhook; the row is the queue, as for jobs."""

    __table_args__ = (
        UniqueConstraint("webhook", "event"),
        Index("delivery_due", "state", "due_at"),
        Index("delivery_subject", "webhook", "subject", "sequence"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True))
    webhook: str = Field(index=True)
    event: int = Field(sa_type=BigInteger)  # the event's number
    subject: str  # what it is about, e.g. "container:1001" or "job:01…"
    sequence: int = Field(sa_type=BigInteger)  # per webhook and subject, from 1, without gaps
    state: str = "waiting"  # waiting, delivered, given-up
    due_at: datetime = Field(sa_type=Instant)
    attempts: int = 0
    status: int | None = None  # HTTP status of the last attempt
    error: str = Field(default="", sa_type=Text)
    delivered_at: datetime | None = Field(default=None, sa_type=Instant)
