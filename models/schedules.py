"""Campaigns that begin by the clock."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Text
from sqlmodel import Field, SQLModel

from models.campaigns import CampaignKind
from models.columns import Instant, choice


class Schedule(SQLModel, table=True):
    """When a campaign is started again and again."""

    name: str = Field(primary_key=True)
    kind: CampaignKind = Field(default=CampaignKind.ROLLOUT, sa_type=choice(CampaignKind))
    spec: dict[str, Any] = Field(sa_type=JSON)  # of each campaign that it starts
    cron: str  # five fields, or @daily and the like
    timezone: str = "UTC"  # whose clocks it goes by
    windows: list[str] = Field(default_factory=list, sa_type=JSON)  # times outside them are left out
    overlap: str = "skip"  # while the one before has not ended: skip, queue (one, until it has) or allow
    missed: str = "skip"  # times that passed while no service was alive: skip, or once
    paused: bool = False
    created_at: datetime = Field(sa_type=Instant)
    created_by: str
    because: str = ""
    next_at: datetime | None = Field(default=None, sa_type=Instant, index=True)  # None: it never comes again
    queued_for: datetime | None = Field(default=None, sa_type=Instant)  # a time that waits until the one before has ended
    last_at: datetime | None = Field(default=None, sa_type=Instant)  # the last time that was due
    last_campaign: str | None = None
    last_result: str = Field(default="", sa_type=Text)  # what became of the last time, as a sentence
