"""Following a roll-out: bars a wave and a node on a terminal, plain lines without one; the exit code says how it ended."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlmodel import Session, col, select

from models.campaign_states import OPEN_OUTCOMES, CampaignCause, CampaignState, Outcome
from models.campaigns import Campaign, CampaignEvent, Target
from models.database import Database
from models.house import Beat
from producers.campaigns.control import counts
from producers.cli.screen import clock_time, json_line, say, short, warn
from producers.rollouts.shapes import campaign_event_shape, campaign_shape
from producers.rollouts.start import remaining

LOOK_S = 0.25
LINE_EVERY_S = 2.0  # a line of counts, at most
ETA_EVERY_S = 5.0
SILENT = timedelta(seconds=15)
EXITS = {CampaignState.DONE: 0, CampaignState.STOPPED: 4, CampaignState.PAUSED: 4, CampaignState.ABORTED: 1}
STOPPED_BY_GUARD, NOT_REACHED = 4, 5


class View(Protocol):
    """What shows it."""

    def show(self, campaign: Campaign, targets: Sequence[Target], events: Sequence[CampaignEvent], ends_at: datetime | None) -> None: ...
    def close(self) -> None: ...


def follow(
    database: Database,
    campaign_id: str,
    *,
    json: bool = False,
    quiet: bool = False,
    timeout_s: float | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Show it to its end, or until its guard has paused it for a person to look; the exit code."""
    view = Nothing() if quiet else JsonLines() if json else _bars() if sys.stdout.isatty() else Lines()
    try:
        campaign, over = watch(database, campaign_id, view, timeout_s=timeout_s, pause=pause)
    finally:
        view.close()
    with database.read() as session:
        told = counts(session, [campaign_id])[campaign_id]
    if not json:
        say(f"{campaign.state}: {in_words(told)}" + (f"; {campaign.why}" if campaign.why and campaign.state != CampaignState.DONE else ""))
    elif quiet:
        json_line(campaign_shape(campaign, told))
    if not over:
        warn(f"not over after {timeout_s:.0f} s; it goes on: vzq rollout watch {short(campaign_id)}")
        return NOT_REACHED
    return EXITS[campaign.state]


def watch(
    database: Database, campaign_id: str, view: View, *, timeout_s: float | None, pause: Callable[[float], None] = time.sleep
) -> tuple[Campaign, bool]:
    """Feed `view`; the campaign as it stands at the end, and whether it is over or waits for a person."""
    begun, seen, said, reckoned, ends_at = time.monotonic(), 0, False, -ETA_EVERY_S, None
    while True:
        with database.read() as session:
            campaign = session.get_one(Campaign, campaign_id)
            targets = session.exec(select(Target).where(Target.campaign_id == campaign_id).order_by(col(Target.place))).all()
            fresh = select(CampaignEvent).where(CampaignEvent.campaign_id == campaign_id, col(CampaignEvent.id) > seen)
            events = session.exec(fresh.order_by(col(CampaignEvent.id))).all()
            now = database.now(session)
            said = said or _silence(session, campaign, now)
        seen = max([seen, *(event.id or 0 for event in events)])
        if time.monotonic() - reckoned >= ETA_EVERY_S:
            ends_at, reckoned = remaining(campaign, list(targets), now), time.monotonic()
        view.show(campaign, targets, events, ends_at)
        if campaign.over or (campaign.state == CampaignState.PAUSED and _by_guard(database, campaign_id)):
            return campaign, True
        if timeout_s is not None and time.monotonic() - begun >= timeout_s:
            return campaign, False
        pause(LOOK_S)


def in_words(told: Mapping[Outcome, int]) -> str:
    """The counts on one line: they add up to the population."""
    always = (Outcome.OK, Outcome.FAILED, Outcome.UNREACHABLE)
    shown = [f"{count} {outcome.replace('-', ' ')}" for outcome, count in _ordered(told) if count or outcome in always]
    return f"{', '.join(shown)} of {sum(told.values())}"


def _ordered(told: Mapping[Outcome, int]) -> list[tuple[Outcome, int]]:
    ended = [outcome for outcome in Outcome if outcome not in OPEN_OUTCOMES]
    return [(outcome, told.get(outcome, 0)) for outcome in (*ended, Outcome.IN_FLIGHT, Outcome.NOT_STARTED)]


def _by_guard(database: Database, campaign_id: str) -> bool:
    """It was its guard that paused it, not a person, who will let it go on."""
    with database.read() as session:
        query = select(CampaignEvent.cause).where(CampaignEvent.campaign_id == campaign_id, CampaignEvent.state == CampaignState.PAUSED)
        return session.exec(query.order_by(col(CampaignEvent.id).desc())).first() == CampaignCause.GUARD_PAUSED


def _silence(session: Session, campaign: Campaign, now: datetime) -> bool:
    """Say once when nobody carries it on."""
    beat = session.get(Beat, "dispatcher", populate_existing=True)
    silent = not campaign.over and (beat is None or beat.at < now - SILENT)
    if silent:
        warn("no service is alive, so nothing is started; start one with `vzq service` (or everything with `vzq up`)")
    return silent


class Nothing:
    """For scripts."""

    def show(self, *_args: object) -> None:
        return

    def close(self) -> None:
        return


class JsonLines(Nothing):
    """One event a line."""

    def show(self, *args: Any) -> None:  # noqa: ANN401 - as View
        for event in args[2]:
            json_line(campaign_event_shape(event))


class Lines(Nothing):
    """Plain lines: its moves, and the counts when they have changed."""

    def __init__(self) -> None:
        self._counts: dict[Outcome, int] = {}
        self._said = 0.0

    def show(self, *args: Any) -> None:  # noqa: ANN401 - as View
        campaign, targets, events, ends_at = args
        for event in events:
            say(f"{clock_time(event.at)} {event.state}: {event.cause.replace('_', ' ')}" + (f": {event.why}" if event.why else ""))
        told = {outcome: sum(target.outcome is outcome for target in targets) for outcome in Outcome}
        if told != self._counts and not campaign.over and time.monotonic() - self._said >= LINE_EVERY_S:
            self._counts, self._said = told, time.monotonic()
            say(f"  {in_words(told)}" + (f"; ends about {clock_time(ends_at)}" if ends_at else ""))


def _bars() -> View:
    from producers.cli.rollout_bars import Bars  # noqa: PLC0415 - only for terminals

    return Bars()
