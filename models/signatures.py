"""Answers that nobody classified, grouped: equal failures share a signature, whatever job and container met them."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Integer, String, Text
from sqlmodel import Field, Session, SQLModel, select

from models.columns import Instant
from models.jobs import Job

EXAMPLES = 5  # kept of each: the newest
LONGEST = 160


class Signature(SQLModel, table=True):
    """One sort of unexpected answer; open until somebody settles it, and again when it is met once more."""

    id: int | None = Field(default=None, sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True))
    text: str = Field(sa_column=Column(String(LONGEST), unique=True, nullable=False))  # command, code and words without ids, paths and numbers
    count: int = 0
    first_seen: datetime = Field(sa_type=Instant)
    last_seen: datetime = Field(sa_type=Instant)
    examples: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)  # newest first: job, kind, node, step, when, why
    note: str = Field(default="", sa_type=Text)  # what somebody found out about it: the next one reads it
    settled_at: datetime | None = Field(default=None, sa_type=Instant)
    settled_by: str = ""


def met(session: Session, text: str, job: Job, *, now: datetime, why: str) -> None:
    """Count an unexpected answer, in the transaction that makes its job stuck."""
    known = session.exec(select(Signature).where(Signature.text == text[:LONGEST]).with_for_update()).first()
    row = known or Signature(text=text[:LONGEST], first_seen=now, last_seen=now)
    example = {"job": job.id, "kind": job.kind, "node": job.node, "step": job.step, "at": now.isoformat(), "why": why}
    row.count, row.last_seen, row.settled_at, row.settled_by = row.count + 1, now, None, ""
    row.examples = [example, *row.examples][:EXAMPLES]
    session.add(row)
