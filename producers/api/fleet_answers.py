"""What the API answers about nodes, containers and what is sold: the documented form of producers/shapes.py."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from models.fleet import ContainerState, NodeState
from models.standing import Standing
from producers.api.answers import Job


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
    foreign_containers: int = Field(description="Seen on it and in nobody's books.")
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


class Downtime(BaseModel):
    """How long the containers of one customer did not answer in a month."""

    customer: str | None = Field(description="null: containers of nobody in particular.")
    outages: int = Field(description="Intervals in which a container did not answer, or may not have.")
    containers: int = Field(description="How many containers they concern.")
    measured_s: float
    longest_s: float | None = Field(description="The longest that was measured.")
    unmeasured: int = Field(description="Intervals whose length is not known; not measured is not zero.")
