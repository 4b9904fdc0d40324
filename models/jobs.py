"""A job's row, the story of its moves, and the journal of what it began on a node."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlmodel import Field, Relationship, SQLModel

from models.columns import Instant, choice
from models.kinds import KINDS, Kind, Load, Rank
from models.lifecycle import FINAL, Cause, State, advance


class Event(SQLModel, table=True):
    """One move of one job; append-only. Page, stream, webhooks and metrics all read these."""

    __table_args__ = (Index("event_unnumbered", "id", sqlite_where=text("number is null"), postgresql_where=text("number is null")),)

    id: int | None = Field(default=None, sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True))
    job_id: str = Field(sa_column=Column(String(26), ForeignKey("job.id"), nullable=False, index=True))
    number: int | None = Field(default=None, sa_column=Column(BigInteger, unique=True))  # in the order of commits; readers resume from it
    at: datetime = Field(sa_type=Instant)
    cause: Cause = Field(sa_type=choice(Cause))
    state: State = Field(sa_type=choice(State))  # the state it led to
    why: str = Field(default="", sa_type=Text)  # one sentence for the operator
    data: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)  # step, attempt, worker, node … by cause
    of: "Job" = Relationship(sa_relationship_kwargs={"lazy": "raise"})  # never read: it makes a flush write jobs before their events


class Job(SQLModel, table=True):
    """One order accepted, and the row that carries it through its life. The row is the truth; messages are bells."""

    __table_args__ = (
        Index("job_due", "state", "due_at"),
        Index("job_leased", "lease_until", "id"),
        Index("job_container", "container", "state"),
        Index("job_request", "request", sqlite_where=text("request <> ''"), postgresql_where=text("request <> ''")),
        Index("job_move", "to_node", "node", "id", sqlite_where=text("to_node is not null"), postgresql_where=text("to_node is not null")),
    )

    id: str = Field(sa_column=Column(String(26), primary_key=True))  # a ULID: sorts by time, never used twice, not even after a restore
    kind: str  # picks plan, queue and rank (models/kinds.py)
    order: dict[str, Any] = Field(sa_type=JSON)  # as asked; a password is replaced by a reference
    state: State = Field(default=State.QUEUED, sa_type=choice(State))  # set by `move`, nowhere else
    rank: Rank = Field(sa_type=choice(Rank))
    site: str
    family: str
    load: Load = Field(sa_type=choice(Load))
    key: str = Field(sa_column=Column(String(255), unique=True, nullable=False))  # the asker's own key, kept for ever
    digest: str  # of the order as asked; the same key with another digest is refused
    producer: str = Field(index=True)  # who asked
    because: str = ""  # why, in the asker's words
    request: str = ""  # the HTTP request it came with, or its campaign did (X-Request-ID); logs, audit and events name it too
    retry_of: str | None = None  # the ended job this one takes up again
    campaign: str | None = Field(default=None, index=True)  # the campaign it belongs to; while that stands still it is not begun
    node: str | None = Field(default=None, index=True)  # set when placed; fixed after the first act
    to_node: str | None = None  # where a move takes its container; it needs both nodes at once
    ctid: int | None = Field(default=None, sa_column=Column("container", Integer))  # PostgreSQL keeps the name ctid for itself
    customer: str | None = Field(default=None, index=True)  # whose container it is about; stays when the container is purged
    accepted_at: datetime = Field(sa_type=Instant)
    due_at: datetime = Field(sa_type=Instant)  # not dispatched before this
    deadline: datetime = Field(sa_type=Instant)
    ended_at: datetime | None = Field(default=None, sa_type=Instant)
    attempts: int = 0  # runs that ended in a Retryable; waits for an ill node are not counted
    crashes: int = 0  # workers that died under it
    token: int = Field(default=0, sa_type=BigInteger)  # drawn anew at each dispatch from one ever-growing sequence
    lost_above: int | None = Field(default=None, sa_type=BigInteger)  # it was open when a backup was made: higher tokens are of the time that is lost
    lease_until: datetime | None = Field(default=None, sa_type=Instant)  # set while dispatched, and while a worker has it
    worker: str | None = None  # who has it; None while the message is on its way
    cancel_asked: bool = False
    begun: bool = False  # a step was journaled: the node is fixed, and ending it means undoing
    past_pivot: bool = False  # from here the job only goes forward
    step: str = ""  # the one it is at, or the last one
    progress: float = 0.0  # 0..1
    error: str = Field(default="", sa_type=Text)  # the last one, as a sentence for the operator
    error_class: str = ""  # its class (models/errors.py)
    target: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)  # what the order named, resolved at acceptance: sizes, address …
    result: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)

    @property
    def rules(self) -> Kind:
        """What the queue knows of this kind."""
        return KINDS[self.kind]

    @property
    def ended(self) -> bool:
        """It is in a state that nothing leads out of."""
        return self.state in FINAL

    def move(self, cause: Cause, *, now: datetime, why: str = "", **data: Any) -> Event:  # noqa: ANN401 - JSON
        """Go where `cause` leads and return the event to add in the same transaction; raises NoSuchMove."""
        self.state = advance(self.state, cause)
        if self.ended:
            self.ended_at, self.progress = now, 1.0 if self.state is State.DONE else self.progress
        if self.ended or self.state in (State.QUEUED, State.STUCK):
            self.lease_until = self.worker = None
        return Event(job_id=self.id, cause=cause, state=self.state, at=now, why=why, data=data)


class Begun(SQLModel, table=True):
    """One try of one step, journaled before the node is touched."""

    __table_args__ = (UniqueConstraint("job_id", "step", "direction", "attempt"),)

    id: int | None = Field(default=None, sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True))
    job_id: str = Field(sa_column=Column(String(26), ForeignKey("job.id"), nullable=False, index=True))
    step: str
    direction: str  # "do" or "undo"
    attempt: int  # from 1; a new try gets a new number
    node: str
    token: int = Field(sa_type=BigInteger)  # under which it was begun
    at: datetime = Field(sa_type=Instant)
    ended_at: datetime | None = Field(default=None, sa_type=Instant)
    outcome: str | None = None  # "ok", "void", "vanished", or the class of the error; None while nobody knows
    code: int | None = None  # exit code, where there was one


class SpentKey(SQLModel, table=True):
    """The key of a job whose history was pruned: the order that it stood for is never carried out a second time."""

    __tablename__ = "spent_key"

    key: str = Field(sa_column=Column(String(255), primary_key=True))
    digest: str
    job_id: str = Field(index=True)
    kind: str
    state: State = Field(sa_type=choice(State))  # in which it ended
    ended_at: datetime = Field(sa_type=Instant)
    customer: str | None = None
    ctid: int | None = Field(default=None, sa_column=Column("container", Integer))
