"""A campaign: many jobs under one guard. Its row, its targets, and the story of its moves.

How far it is follows from the targets' outcomes and is stored nowhere else.
"""

from datetime import datetime
from enum import StrEnum, auto
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlmodel import Field, Relationship, SQLModel

from models.campaign_states import OVER, CampaignCause, CampaignState, Outcome, turn
from models.columns import Instant, choice


class CampaignKind(StrEnum):
    """What is done to the targets; each kind has an entry in producers/campaigns/sorts.py."""

    ROLLOUT = auto()  # an update of many containers
    EVACUATION = auto()  # all containers of a node move away
    RETURN = auto()  # and come back
    REBALANCE = auto()
    REBOOT = auto()  # nodes, one after the other


class CampaignEvent(SQLModel, table=True):
    """One move of one campaign; append-only, as events of jobs are."""

    __table_args__ = (Index("campaignevent_unnumbered", "id", sqlite_where=text("number is null"), postgresql_where=text("number is null")),)

    id: int | None = Field(default=None, sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True))
    campaign_id: str = Field(sa_column=Column(String(26), ForeignKey("campaign.id"), nullable=False, index=True))
    number: int | None = Field(default=None, sa_column=Column(BigInteger, unique=True))  # in the order of commits; readers resume from it
    at: datetime = Field(sa_type=Instant)
    cause: CampaignCause = Field(sa_type=choice(CampaignCause))
    state: CampaignState = Field(sa_type=choice(CampaignState))  # the state it led to
    why: str = Field(default="", sa_type=Text)  # one sentence for the operator
    data: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    of: "Campaign" = Relationship(sa_relationship_kwargs={"lazy": "raise"})  # never read: it makes a flush write campaigns before their events


class Campaign(SQLModel, table=True):
    """One campaign. Everything it decides by is in its row, its targets and their jobs, so any service goes on with it."""

    __table_args__ = (Index("campaign_due", "state", "look_at"),)

    id: str = Field(sa_column=Column(String(26), primary_key=True))  # a ULID
    kind: CampaignKind = Field(sa_type=choice(CampaignKind))
    name: str = Field(index=True)  # as its specification calls it; need not be unique
    version: int  # of the specification's form
    spec: dict[str, Any] = Field(sa_type=JSON)  # as asked
    state: CampaignState = Field(default=CampaignState.RUNNING, sa_type=choice(CampaignState))  # set by `move`, nowhere else
    key: str = Field(sa_column=Column(String(255), unique=True, nullable=False))  # the asker's own key; the id if there was none
    digest: str  # of the specification as asked; the same key with another one is refused
    producer: str  # who asked
    because: str = ""
    request: str = ""  # the HTTP request it came with; its jobs carry it on
    retry_of: str | None = None  # the campaign whose failed and not-started targets these are
    schedule: str | None = Field(default=None, index=True)  # the schedule that started it
    started_at: datetime = Field(sa_type=Instant)
    running_since: datetime = Field(sa_type=Instant)  # when it was last let go on: its deadline counts from here
    ended_at: datetime | None = Field(default=None, sa_type=Instant)
    look_at: datetime = Field(sa_type=Instant)  # decided again at this moment at the latest; sooner when a job has ended
    resumes_at: datetime | None = Field(default=None, sa_type=Instant)  # when its window opens, while it waits for that
    why: str = Field(default="", sa_type=Text)  # what it waits for or why it stands, as a sentence for the operator
    speed: int | None = None  # most targets at once, in place of the specification's
    speed_per_node: int | None = None
    foretold: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)  # what it was expected to take before it began, where that was told
    more_failures: int = 0  # that a person allowed on top of the budget

    @property
    def over(self) -> bool:
        """It is in a state that nothing leads out of."""
        return self.state in OVER

    def move(self, cause: CampaignCause, *, now: datetime, why: str = "", **data: Any) -> CampaignEvent:  # noqa: ANN401 - JSON
        """Go where `cause` leads and return the event to add in the same transaction; raises NoSuchTurn."""
        before, self.state = self.state, turn(self.state, cause)
        if self.over:
            self.ended_at = now
        if self.state is CampaignState.RUNNING and before is not CampaignState.RUNNING:
            self.running_since = now
        if self.state is not CampaignState.WAITING:
            self.resumes_at = None
        if why and cause is not CampaignCause.WAVE:
            self.why = why
        return CampaignEvent(campaign_id=self.id, cause=cause, state=self.state, at=now, why=why, data=data)


class Target(SQLModel, table=True):
    """One member of the population, chosen when the campaign began."""

    __table_args__ = (UniqueConstraint("campaign_id", "place"), Index("target_outcome", "campaign_id", "outcome"))

    id: int | None = Field(default=None, sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True))
    campaign_id: str = Field(sa_column=Column(String(26), ForeignKey("campaign.id"), nullable=False))
    place: int  # from 0, in the order in which they are started
    wave: int  # from 0; a wave begins when the one before has ended
    ctid: int | None = Field(default=None, sa_column=Column("container", Integer, index=True))  # None: the node itself is the target
    title: str = ""  # what people call it
    node: str = ""  # where it was at the start of the campaign, then where its job went
    customer: str | None = None
    labels: dict[str, str] = Field(default_factory=dict, sa_type=JSON)  # at the start: limits a label go by these
    job_id: str | None = Field(default=None, index=True)
    outcome: Outcome = Field(default=Outcome.NOT_STARTED, sa_type=choice(Outcome))
    reason: str = Field(default="", sa_type=Text)  # why it failed or was skipped; why it is not started yet
    begun_at: datetime | None = Field(default=None, sa_type=Instant)  # when its job was placed
    ended_at: datetime | None = Field(default=None, sa_type=Instant)
