"""What the API answers about campaigns and schedules: the documented form of producers/campaigns/shapes.py and producers/rollouts/shapes.py."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from models.campaign_states import CampaignCause, CampaignState, Outcome
from models.campaigns import CampaignKind


class Campaign(BaseModel):
    """Many jobs under one guard."""

    id: str = Field(examples=["01JD8QF3Z5X0RQ2M8B7C4E6N9T"])
    kind: CampaignKind
    name: str
    state: CampaignState = Field(description="done, stopped and aborted are ends; paused waits for a person.")
    why: str = Field(description="What it waits for or why it stands, as a sentence.")
    by: str
    because: str
    key: str = Field(description="The Idempotency-Key it came with.")
    retry_of: str | None
    schedule: str | None = Field(description="The schedule that started it.")
    started_at: datetime
    ended_at: datetime | None
    resumes_at: datetime | None = Field(description="When its maintenance window opens, while it waits for that.")
    speed: int | None = Field(description="Most targets at once, in place of the specification's.")
    speed_per_node: int | None
    more_failures: int = Field(description="Allowed by a person on top of its budget.")
    population: int
    counts: dict[Outcome, int] = Field(description="Targets by outcome; all outcomes are named and add up to the population.")
    spec: dict[str, Any]


class Target(BaseModel):
    """One member of a campaign's population."""

    place: int
    wave: int
    ctid: int | None
    title: str
    node: str
    customer: str | None
    outcome: Outcome
    reason: str
    job: str | None
    begun_at: datetime | None
    ended_at: datetime | None


class CampaignEvent(BaseModel):
    """One move of a campaign."""

    id: int
    number: int | None = Field(description="Its place among the events of all campaigns, in the order of commits; given a moment later.")
    campaign: str
    at: datetime
    cause: CampaignCause
    state: CampaignState
    why: str
    data: dict[str, Any]


class Acted(Campaign):
    """A campaign, with the move that it was just told to make."""

    event: CampaignEvent


class Forecast(BaseModel):
    """The course of a campaign, if no more fail."""

    ends_at: datetime | None = Field(description="null: see why.")
    why: str = Field(description="Why nothing can be said, or why it would not end.")


class Stop(BaseModel):
    """So many failures of so many end it."""

    failures: int | None = Field(description="null: however many fail, it goes on.")
    of: int
    canaries: bool


class Sheet(BaseModel):
    """What a roll-out would do and when it would stop."""

    name: str
    population: int
    waves: list[int] = Field(description="Their sizes.")
    at_once: dict[str, int] = Field(description="Most at the same time: all, and per_node.")
    stops: list[Stop]
    counts_as_failed: list[Outcome] = Field(description="Outcomes that use up the budget.")
    then: str = Field(description="stop or pause: what happens when it is used up.")
    each_s: float = Field(description="How long a target is thought to take, in the middle.")
    slow_s: float = Field(description="One in ten is thought to take longer than this.")
    lengths_of: str = Field(description="What took so long before: the same update, or others of its sort.", examples=["the same update"])
    guessed: bool = Field(description="Nothing like it was ever done.")
    ends_at: datetime | None = Field(description="If none fails; null: it would not end, and `would_not_end` says why.")
    would_not_end: str
    warnings: list[str]
    targets: list[Target] = Field(description="`reason`: why one would be skipped or waited for as things stand.")


class Reported(Target):
    """A target with the exit code of what ran in it."""

    code: int | None


class Output(BaseModel):
    """Equal outputs, folded together."""

    outcome: Outcome
    code: int | None
    count: int
    targets: list[str]
    output: str


class Report(Campaign):
    """What became of a roll-out."""

    nodes: dict[str, dict[Outcome, int]]
    waves: dict[str, dict[Outcome, int]]
    targets: list[Reported]
    outputs: list[Output]


class Left(BaseModel):
    """What a retry would take up."""

    retry_of: str
    population: int
    targets: list[Target]


class Schedule(BaseModel):
    """A roll-out that begins by the clock."""

    name: str
    kind: CampaignKind
    cron: str
    timezone: str
    windows: list[str]
    overlap: str = Field(description="While the one before has not ended: skip, queue or allow.")
    missed: str = Field(description="Times that passed while no service was alive: skip, or once.")
    paused: bool
    by: str
    because: str
    created_at: datetime
    next_runs: list[datetime]
    queued_for: datetime | None
    last_at: datetime | None
    last_campaign: str | None
    last_result: str
    spec: dict[str, Any]


class Move(BaseModel):
    """One container of a relocation, before it begins."""

    wave: int
    ctid: int
    name: str
    node: str
    to: str | None = Field(description="null: where placement finds room when its turn comes.")
    gap_s: float = Field(description="For so long it is expected to be interrupted.")
    seconds: float = Field(description="So long the move is expected to take.")


class Staying(BaseModel):
    """A container that is left where it is."""

    ctid: int
    why: str


class RelocationPlan(BaseModel):
    """What a relocation would do."""

    kind: CampaignKind
    nodes: list[str]
    moves: list[Move]
    reboots: list[str] = Field(description="Nodes, in their order.")
    staying: list[Staying]
    ends_at: datetime | None
    would_not_end: str
    guessed: bool = Field(description="No move was ever measured here, so the figures are a guess.")


class Relocation(BaseModel):
    """A relocation that has begun."""

    campaign: Campaign | None = Field(description="null: nothing has to move.")
    plan: RelocationPlan
