"""What people do inside containers: how a command ended in each, and who is in one at this moment."""

from datetime import datetime

from sqlalchemy import Column, ForeignKey, Integer, String, Text
from sqlmodel import Field, SQLModel

from models.columns import Instant


class ExecResult(SQLModel, table=True):
    """How one container answered the command of one exec-batch."""

    job_id: str = Field(sa_column=Column(String(26), ForeignKey("job.id"), primary_key=True))
    ctid: int = Field(sa_column=Column("container", Integer, primary_key=True, autoincrement=False))  # PostgreSQL keeps the name ctid for itself
    outcome: str  # workers/openvz/inside.py: ok, failed, timed-out, flooded, busy, not-running, frozen, missing, …
    code: int | None = None  # the command's own exit code; None where its end was not seen from inside
    why: str = Field(default="", sa_type=Text)  # for people, where the outcome alone does not say it
    output: str = Field(default="", sa_type=Text)  # stdout and stderr as they came, at most what the order allows
    seconds: float = 0.0
    at: datetime = Field(sa_type=Instant)


class Visit(SQLModel, table=True):
    """Somebody is inside a container: it must not be frozen under him. Gone when he leaves, or when its lease ends."""

    id: str = Field(primary_key=True)  # a job's or a console's id
    ctid: int = Field(sa_column=Column("container", Integer, primary_key=True, autoincrement=False, index=True))
    what: str  # exec or console
    by: str
    since: datetime = Field(sa_type=Instant)
    lease_until: datetime | None = Field(default=None, sa_type=Instant)  # of a console; an exec's lasts as long as its job
