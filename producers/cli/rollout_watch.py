"""Following a roll-out: bars a wave and a node on a terminal, plain lines without one; the exit code says how it ended."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from models.campaign_states import BAD, GOOD, OPEN_OUTCOMES, CampaignCause, CampaignState, Outcome
from models.campaigns import Campaign, CampaignEvent, CampaignKind, Target
from producers.campaigns.shapes import campaign_event_shape, campaign_shape
from producers.cli.campaign_doors import Campaigns
from producers.cli.screen import clock_time, json_line, say, short, warn

LINE_EVERY_S = 2.0  # a line of counts, at most
ETA_EVERY_S = 5.0
EXITS = {CampaignState.DONE: 0, CampaignState.STOPPED: 4, CampaignState.PAUSED: 4, CampaignState.ABORTED: 1}
FAILED, STOPPED_BY_GUARD, NOT_REACHED = 1, 4, 5


class View(Protocol):
    """What shows it."""

    def show(self, campaign: Campaign, targets: Sequence[Target], events: Sequence[CampaignEvent], ends_at: datetime | None) -> None: ...
    def close(self) -> None: ...


def follow(
    known: Campaigns,
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
        campaign, over = watch(known, campaign_id, view, timeout_s=timeout_s, pause=pause)
    finally:
        view.close()
    told = known.counts(campaign_id)
    if not json:
        say(f"{campaign.state}: {in_words(told)}" + (f"; {campaign.why}" if campaign.why and campaign.state != CampaignState.DONE else ""))
    else:
        json_line(campaign_shape(campaign, told))
    if not over:
        how = "it is paused" if campaign.state == CampaignState.PAUSED else "it goes on"
        noun = "rollout" if campaign.kind == CampaignKind.ROLLOUT else "campaign"
        warn(f"not over after {timeout_s:.0f} s; {how}: vzq {noun} watch {short(campaign_id)}")
        return NOT_REACHED
    return exit_code(campaign, told)


def exit_code(campaign: Campaign, told: Mapping[Outcome, int]) -> int:
    """Also within its budget a roll-out may have reached nobody, and a relocation left some where they were: no script is to go on behind that."""
    if campaign.state == CampaignState.DONE and any(told.get(bad) for bad in BAD):
        if campaign.kind != CampaignKind.ROLLOUT:
            return STOPPED_BY_GUARD
        if not any(told.get(good) for good in GOOD):
            return FAILED
    return EXITS[campaign.state]


def watch(
    known: Campaigns, campaign_id: str, view: View, *, timeout_s: float | None, pause: Callable[[float], None] = time.sleep
) -> tuple[Campaign, bool]:
    """Feed `view`; the campaign as it stands at the end, and whether it is over or waits for a person."""
    begun, seen, said, reckoned, ends_at, by_guard = time.monotonic(), 0, False, -ETA_EVERY_S, None, False
    while True:
        look = known.look(campaign_id, after=seen)
        campaign = look.campaign
        for event in look.events:
            seen = event.id or seen
            by_guard = event.cause == CampaignCause.GUARD_PAUSED if event.state == CampaignState.PAUSED else by_guard
        if not look.alive and not campaign.over and not said:
            said = True
            warn("no service is alive, so nothing is started; start one with `vzq service` (or everything with `vzq up`)")
        if time.monotonic() - reckoned >= ETA_EVERY_S:
            ends_at, reckoned = known.ends_at(look), time.monotonic()
        view.show(campaign, look.targets, look.events, ends_at)
        if campaign.over or (campaign.state == CampaignState.PAUSED and by_guard):
            return campaign, True  # paused by a person it goes on by itself, for he lets it
        if timeout_s is not None and time.monotonic() - begun >= timeout_s:
            return campaign, False
        pause(known.pace_s)


def in_words(told: Mapping[Outcome, int]) -> str:
    """The counts on one line: they add up to the population."""
    always = (Outcome.OK, Outcome.FAILED, Outcome.UNREACHABLE)
    shown = [f"{count} {outcome.replace('-', ' ')}" for outcome, count in _ordered(told) if count or outcome in always]
    return f"{', '.join(shown)} of {sum(told.values())}"


def _ordered(told: Mapping[Outcome, int]) -> list[tuple[Outcome, int]]:
    ended = [outcome for outcome in Outcome if outcome not in OPEN_OUTCOMES]
    return [(outcome, told.get(outcome, 0)) for outcome in (*ended, Outcome.IN_FLIGHT, Outcome.NOT_STARTED)]


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
