"""What the API answers with: the documented form of producers/shapes.py."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from models.access import Scope
from models.fleet import ContainerState, NodeState
from models.kinds import Rank
from models.lifecycle import Cause, State
from models.pauses import Reach
from models.standing import Standing


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


class Container(BaseModel):
    """A container, or the place that is kept for one."""

    ctid: int
    node: str
    site: str
    state: ContainerState
    standing: Standing = Field(description="What is wanted of it.")
    name: str | None
    hostname: str
    customer: str | None
    plan: str
    template: str
    ram_bytes: int
    swap_bytes: int
    disk_bytes: int
    inodes: int | None
    disk_used_bytes: int | None = Field(description="As its node counted at the last look; a stopped one keeps its figure. null: not counted yet.")
    net_in_bytes: int | None = Field(description="Received since it was first counted, over restarts and moves: it only grows. null: never counted.")
    net_out_bytes: int | None = Field(description="Sent, likewise.")
    net_why: str = Field(description="Why the traffic was not counted at the last look; empty: it was.")
    cpus: int
    cpuunits: int
    addresses: list[str]
    nameservers: list[str]
    searchdomain: str | None
    probe: str
    labels: dict[str, str]
    job_id: str | None = Field(description="The job whose mark it carries on the node.")
    purge_at: datetime | None = Field(description="When a terminated one's grace ends.")
    since: datetime


class ContainerStory(Container):
    """A container with its newest jobs."""

    jobs: list[Job] = Field(description="The newest twenty.")


class Node(BaseModel):
    """A hardware node."""

    name: str
    site: str
    host: str
    port: int
    user: str
    host_key: str
    state: NodeState
    dialect: str
    memory_bytes: int
    memory_taken: int
    disk_bytes: int
    disk_taken: int
    containers: int
    containers_max: int | None
    slots: dict[str, int]
    labels: dict[str, str]
    domain: str
    proxy: str
    broken_until: datetime | None
    finding: str
    finding_why: str
    seen_at: datetime | None
    abilities: dict[str, Any]


class Plan(BaseModel):
    """What a customer buys; sizes in bytes."""

    name: str
    ram_bytes: int
    swap_bytes: int
    disk_bytes: int
    inodes: int | None
    cpus: int
    cpuunits: int
    downtime_month_s: float | None = Field(description="Planned downtime that a container may have in a month.")


class Pool(BaseModel):
    """A range of addresses."""

    name: str
    site: str
    cidr: str
    first: str
    last: str
    probe: str
    nameservers: list[str]
    rank: int
    rest_s: int = Field(description="How long an address rests after use, seconds.")
    used: int
    size: int


class Template(BaseModel):
    """An OS template and the nodes that have it."""

    name: str
    nodes: list[str]


class Finding(BaseModel):
    """A difference between the rows and a node."""

    id: int
    kind: str
    node: str
    subject: str
    why: str
    mark: str | None = Field(description="Of an unknown container: the job of this house whose mark it carries.")
    repair: dict[str, Any] | None = Field(description="The order that would mend it; null: a person must look.")
    first_seen: datetime
    last_seen: datetime
    gone_at: datetime | None
    job: str | None = Field(description="The repair that was ordered.")


class Outage(BaseModel):
    """An interval in which a container did not answer; with `gap_s` 0 a job that was watched and cost nothing."""

    id: int
    ctid: int
    node: str = Field(description="Where the container was when it began.")
    site: str
    customer: str | None
    job: str | None = Field(description="The job that was watched.")
    cause: str = Field(description="The job's kind; unknown: it was over before the job touched the container.")
    began_at: datetime = Field(description="The last answer before.")
    ended_at: datetime | None = Field(description="The first answer after; null: nobody saw one.")
    gap_s: float | None = Field(description="Last answer before to first answer after; null: see not_measured. Not measured is not zero.")
    not_measured: str = Field(description="Why there is no gap_s.")
    resolution_s: float | None = Field(description="What was down lies between gap_s less this, and gap_s.")
    suspended_s: float | None = Field(description="The node's own figure for the freeze.")
    brownout_s: float | None = Field(description="Time with answers slower than a multiple of the baseline; null: no baseline.")
    how: str = Field(description="How it was asked.", examples=["icmp", "tcp:22"])
    parts: dict[str, Any]


class Repair(BaseModel):
    """The order that mends a finding and, when it was placed, its job."""

    finding: Finding
    order: dict[str, Any]
    does: str
    why: str
    job: str | None
    replay: bool = Field(description="It had been ordered before and has not ended.")
    dry_run: bool


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


class Pause(BaseModel):
    """Something that rests: none of its jobs begins."""

    reach: Reach
    name: str
    by: str
    because: str
    since: datetime


class Example(BaseModel):
    """One job that met an unexpected answer."""

    job: str
    kind: str
    node: str | None
    step: str
    at: datetime
    why: str


class Signature(BaseModel):
    """One sort of answer that vzq does not know."""

    id: int
    text: str = Field(description="Command, code and words, without ids, paths and numbers.")
    count: int
    first_seen: datetime
    last_seen: datetime
    examples: list[Example] = Field(description="The newest five.")
    note: str = Field(description="What somebody found out about it.")
    settled_at: datetime | None
    settled_by: str


class SignatureStory(Signature):
    """The same, with who waits because of it."""

    stuck: list[str] = Field(description="Jobs that are stuck because of it.")


class Downtime(BaseModel):
    """How long the containers of one customer did not answer in a month."""

    customer: str | None = Field(description="null: containers of nobody in particular.")
    outages: int = Field(description="Intervals in which a container did not answer, or may not have.")
    containers: int = Field(description="How many containers they concern.")
    measured_s: float
    longest_s: float | None = Field(description="The longest that was measured.")
    unmeasured: int = Field(description="Intervals whose length is not known; not measured is not zero.")


class Token(BaseModel):
    """An API token, without its secret."""

    name: str
    scope: Scope
    customer: str | None
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    used_at: datetime | None = Field(description="To the minute.")


class NewToken(Token):
    """A token with its secret, which is shown this once."""

    secret: str = Field(json_schema_extra={"format": "password"})


class AuditEntry(BaseModel):
    """One action of one person or program."""

    id: int
    at: datetime
    by: str
    action: str
    subject: str
    because: str
    data: dict[str, Any]
