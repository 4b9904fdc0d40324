"""Campaigns of this house, or of one elsewhere over its API: the same rows and the same acts."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, Self

from sqlmodel import col, select

from models.campaign_states import CampaignState, Outcome
from models.campaigns import Campaign, CampaignEvent, CampaignKind, Target
from models.database import Database
from models.house import Beat
from producers.campaigns import control
from producers.cli.doors import Who, acting, reading
from producers.cli.rows import campaign_event_of, campaign_of, counts_of, moment, target_of
from producers.rollouts.start import remaining

if TYPE_CHECKING:
    from producers.cli.remote import Api
    from producers.house import House

Counts = Mapping[Outcome, int]
SILENT = timedelta(seconds=15)
ALL = 1_000_000  # so many of a list, in pages


@dataclass(frozen=True)
class Look:
    """A campaign at one moment."""

    campaign: Campaign
    targets: Sequence[Target]
    events: Sequence[CampaignEvent]  # those that are new
    alive: bool  # somebody carries it on


class Campaigns(Protocol):
    """What the commands need."""

    pace_s: float  # how often it may be looked at

    def find(self, called: str, kind: CampaignKind | None) -> Campaign: ...
    def newest(self, kind: CampaignKind | None, states: Sequence[CampaignState], limit: int) -> list[tuple[Campaign, Counts]]: ...
    def counts(self, campaign_id: str) -> Counts: ...
    def targets(self, campaign_id: str) -> Sequence[Target]: ...
    def look(self, campaign_id: str, *, after: int) -> Look: ...
    def ends_at(self, look: Look) -> datetime | None: ...
    def act(self, campaign: Campaign, verb: str, who: Who, **given: int | None) -> tuple[Campaign, CampaignEvent]: ...


class Here:
    """In this house's own database."""

    pace_s = 0.25

    def __init__(self, database: Database, house: "House | None" = None) -> None:
        self._database = database
        self._house = house

    @classmethod
    def of(cls, house: "House") -> Self:
        """For commands that do something."""
        return cls(house.database, house)

    def find(self, called: str, kind: CampaignKind | None) -> Campaign:
        """By id, ending or name; raises BadOrder."""
        with self._database.read() as session:
            return control.find(session, called, kind=kind)

    def newest(self, kind: CampaignKind | None, states: Sequence[CampaignState], limit: int) -> list[tuple[Campaign, Counts]]:
        """With how far they are, the newest first."""
        query = select(Campaign).order_by(col(Campaign.id).desc()).limit(limit)
        query = query.where(Campaign.kind == kind) if kind else query
        with self._database.read() as session:
            found = session.exec(query.where(col(Campaign.state).in_(states)) if states else query).all()
            told = control.counts(session, [campaign.id for campaign in found])
        return [(campaign, told[campaign.id]) for campaign in found]

    def counts(self, campaign_id: str) -> Counts:
        """How far it is."""
        with self._database.read() as session:
            return control.counts(session, [campaign_id])[campaign_id]

    def targets(self, campaign_id: str) -> Sequence[Target]:
        """In their places."""
        with self._database.read() as session:
            return session.exec(select(Target).where(Target.campaign_id == campaign_id).order_by(col(Target.place))).all()

    def look(self, campaign_id: str, *, after: int) -> Look:
        """As it stands, with its events behind that number."""
        with self._database.read() as session:
            campaign = session.get_one(Campaign, campaign_id)
            targets = session.exec(select(Target).where(Target.campaign_id == campaign_id).order_by(col(Target.place))).all()
            fresh = select(CampaignEvent).where(CampaignEvent.campaign_id == campaign_id, col(CampaignEvent.id) > after)
            events = session.exec(fresh.order_by(col(CampaignEvent.id))).all()
            beat = session.get(Beat, "dispatcher", populate_existing=True)
            alive = beat is not None and beat.at > self._database.now(session) - SILENT
        return Look(campaign, targets, events, alive)

    def ends_at(self, look: Look) -> datetime | None:
        """When it will end, if no more fail."""
        with self._database.read() as session:
            return remaining(session, look.campaign, look.targets, self._database.now(session)).ends_at

    def act(self, campaign: Campaign, verb: str, who: Who, **given: int | None) -> tuple[Campaign, CampaignEvent]:
        """Pause it, resume it …; it as it stands then, and its move."""
        house = self._acting()
        with house.database.write() as session:
            row = control.find(session, campaign.id, writing=True)
            event = control.ACTS[verb](session, row, by=who.by, because=who.because, now=house.database.now(session), **given)
            session.flush()
        house.bell.wake()
        return row, event

    def _acting(self) -> "House":
        assert self._house is not None  # noqa: S101 - `of` was given it
        return self._house


class There:
    """Over the API."""

    pace_s = 1.0

    def __init__(self, api: "Api") -> None:
        self._api = api

    def find(self, called: str, kind: CampaignKind | None) -> Campaign:
        """By id, ending or name; raises BadOrder."""
        return campaign_of(self._api.get("/v1/campaigns", called=called, kind=kind)["items"][0])

    def newest(self, kind: CampaignKind | None, states: Sequence[CampaignState], limit: int) -> list[tuple[Campaign, Counts]]:
        """With how far they are, the newest first."""
        found = self._api.pages("/v1/campaigns", limit, kind=kind, state=list(states))
        return [(campaign_of(shape), counts_of(shape)) for shape in found]

    def counts(self, campaign_id: str) -> Counts:
        """How far it is."""
        return counts_of(self._api.get(f"/v1/campaigns/{campaign_id}"))

    def targets(self, campaign_id: str) -> Sequence[Target]:
        """In their places."""
        return [target_of(shape) for shape in self._api.pages(f"/v1/campaigns/{campaign_id}/targets", ALL)]

    def look(self, campaign_id: str, *, after: int) -> Look:
        """As it stands, with its events behind that number."""
        campaign = campaign_of(self._api.get(f"/v1/campaigns/{campaign_id}"))  # first: when it is over, all of its events are there
        events = [campaign_event_of(shape) for shape in self._api.pages(f"/v1/campaigns/{campaign_id}/events", ALL)]
        return Look(campaign, self.targets(campaign_id), [event for event in events if (event.id or 0) > after], self._api.alive())

    def ends_at(self, look: Look) -> datetime | None:
        """When it will end, if no more fail."""
        told = self._api.get(f"/v1/campaigns/{look.campaign.id}/forecast")["ends_at"]
        return moment(told) if told else None

    def act(self, campaign: Campaign, verb: str, who: Who, **given: int | None) -> tuple[Campaign, CampaignEvent]:
        """Pause it, resume it …; it as it stands then, and its move."""
        told: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        shape = self._api.post(f"/v1/campaigns/{campaign.id}:{verb}", because=who.because, **told)
        return campaign_of(shape), campaign_event_of(shape["event"])


def campaigns() -> AbstractContextManager[Campaigns]:
    """For commands that only look."""
    return reading(Here, There)


def acting_on_campaigns() -> AbstractContextManager[Campaigns]:
    """For commands that do something with them."""
    return acting(Here.of, There)
