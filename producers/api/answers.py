"""What the API answers about jobs: the documented form of producers/shapes.py. Of the fleet: fleet_answers.py, of the house: house_answers.py."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from models.kinds import Rank
from models.lifecycle import Cause, State


class Job(BaseModel):
    """One order accepted, and what became of it."""

    id: str = Field(examples=["01JD8QF3Z5X0RQ2M8B7C4E6N9T"])
    kind: str = Field(examples=["create-container"])
    state: State = Field(description="done, failed and cancelled are ends; stuck waits for a person.")
    rank: Rank
    site: str
    family: str
    node: str | None
    to_node: str | None = Field(description="Where a move takes the container.")
    ctid: int | None = Field(description="The container; for a new one it is known at acceptance, unless it waits for capacity.")
    customer: str | None
    key: str = Field(description="The Idempotency-Key it came with.")
    by: str = Field(description="Who asked: the token's name, or a person at the command line.")
    because: str
    request: str = Field(description="The request it came with, as in X-Request-Id; of a campaign's job, that of the campaign. Empty: not over HTTP.")
    retry_of: str | None
    campaign: str | None = Field(description="The roll-out or other campaign it belongs to.")
    accepted_at: datetime
    due_at: datetime
    deadline: datetime
    ended_at: datetime | None
    attempts: int
    crashes: int
    worker: str | None
    cancel_asked: bool
    step: str
    progress: float = Field(description="0 to 1.")
    error: str
    error_class: str
    order: dict[str, Any] = Field(description="The order as it was asked; a password is never shown.")
    result: dict[str, Any]


class Event(BaseModel):
    """One move of a job."""

    id: int
    number: int | None = Field(description="Its place in the stream of all events, in the order of commits; given a moment later.")
    job: str
    at: datetime
    cause: Cause
    state: State
    why: str
    data: dict[str, Any]


class Try(BaseModel):
    """One try of one step on the node."""

    step: str
    direction: str = Field(description="do or undo")
    attempt: int
    node: str
    token: int
    at: datetime
    ended_at: datetime | None
    outcome: str | None
    code: int | None


class Reason(BaseModel):
    """Why a job is where it is."""

    code: str
    text: str
    until: datetime | None
    holder: str | None = Field(description="The job that is in the way.")


class ListedJob(Job):
    """A job in a list."""

    why: list[Reason] | None = Field(None, description="What holds it now, where `why` was asked for.")


class JobStory(Job):
    """A job with all that is known of it."""

    addresses: list[str]
    events: list[Event]
    journal: list[Try]
    why: list[Reason] = Field(description="What holds it now; empty when nothing does.")


class Said(BaseModel):
    """What was done."""

    job: str
    state: State
    what: str = Field(description="One sentence for a person.")


class Offer(BaseModel):
    """One thing that may be decided about a stuck job."""

    choice: str = Field(examples=["go-on"])
    to: State | None = Field(description="Where it leads; null: it would be refused.")
    does: str


class Choices(BaseModel):
    """What may be decided about a stuck job, and what its node showed."""

    job: str
    error: str
    seen: dict[str, Any] | None = Field(description="The last look since it got stuck; null: nobody has looked, see `:look`.")
    advice: str
    offers: list[Offer]


class Password(BaseModel):
    """A generated root password; it cannot be had again."""

    job: str
    password: str = Field(json_schema_extra={"format": "password"})


class LeftOut(BaseModel):
    """A container that a command did not go to."""

    ctid: int
    why: str


class Execution(BaseModel):
    """A command that was ordered for many containers."""

    jobs: list[str] = Field(description="One a node.")
    containers: int = Field(description="How many the selector fitted.")
    skipped: list[LeftOut]


class ExecResult(BaseModel):
    """How one container answered a command."""

    ctid: int
    job: str
    outcome: str = Field(description="ok, failed, timed-out, flooded, busy, not-running, frozen, missing, no-shell, killed, cancelled or unknown.")
    code: int | None = Field(description="The command's own exit code; null where its end was not seen from inside.")
    why: str
    output: str
    seconds: float
    at: datetime
