"""What a campaign does next. Pure: rules, what became of the targets so far and the moment in, one decision out.

The rule sheet that is printed before a campaign starts and the predicted end come from this function too, by
simulation (producers/campaigns/rule_sheet.py); there is no second reckoning anywhere.

Targets in flight count as if they had failed when more are to be started. So whatever becomes of them, no more fail
than the budget said at the moment at which it is used up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, auto
from zoneinfo import ZoneInfo

from models.windows import next_opening, open_until
from producers.campaigns.book import Book
from producers.campaigns.rules import Rules, Seen


class Verdict(StrEnum):
    """What the campaign does."""

    GO = auto()  # start those named
    WAIT = auto()  # for targets in flight, for a soak, for containers
    CLOSED = auto()  # for the window
    PAUSE = auto()  # a person must look
    STOP = auto()  # by the guard
    FINISHED = auto()


@dataclass(frozen=True)
class Decision:
    """One decision, with its reason as a sentence."""

    verdict: Verdict
    why: str = ""
    start: tuple[int, ...] = ()  # places
    until: datetime | None = None  # when to decide again, if nothing happens before
    stalled: bool = False  # it stops for want of progress, not for failures


def decide(rules: Rules, targets: Sequence[Seen], now: datetime, *, running_since: datetime) -> Decision:
    """Start these, wait, pause, stop, or be finished. The same for the same arguments, always."""
    book = Book(rules, targets)
    spent = book.used_up()
    if spent:
        return Decision(Verdict.PAUSE if rules.budget.pauses else Verdict.STOP, spent)
    if not book.waiting and not book.flying:
        return Decision(Verdict.FINISHED, f"all {len(targets)} have ended")
    return _closed(rules, now) or _start(book, now, running_since)


def _closed(rules: Rules, now: datetime) -> Decision | None:
    """Outside its windows, or too near to the end of one."""
    if not rules.windows:
        return None
    closes = open_until(rules.windows, rules.zone, now)
    if closes is not None and closes - now > rules.last_start:
        return None
    opens = next_opening(rules.windows, rules.zone, now)
    return Decision(Verdict.CLOSED, f"outside its maintenance windows; the next one opens at {_local(opens, rules.zone)}", until=opens)


def _start(book: Book, now: datetime, running_since: datetime) -> Decision:
    """What may be started of the first wave that has something to start."""
    if not book.waiting:
        return _or_stalled(Decision(Verdict.WAIT, f"{book.flying} in flight, the last ones"), book, now, running_since)
    wave = min(target.wave for target in book.waiting)
    before = book.flying_before(wave)
    if before:
        return _or_stalled(Decision(Verdict.WAIT, f"{before} of an earlier wave are in flight"), book, now, running_since)
    soaked = book.soaked(wave)
    if soaked is not None and soaked > now:
        begins = _local(soaked, book.rules.zone, seconds=True)
        return Decision(Verdict.WAIT, f"wave {wave} begins after the soak, at {begins}", until=soaked)
    start = tuple(book.startable(wave))
    if start:
        return Decision(Verdict.GO, start=start)
    return _or_stalled(Decision(Verdict.WAIT, book.standstill(wave)), book, now, running_since)


def _or_stalled(wait: Decision, book: Book, now: datetime, running_since: datetime) -> Decision:
    deadline = book.rules.deadline
    if deadline is None:
        return wait
    late = max([running_since, *book.progress()]) + deadline
    if now < late:
        return Decision(wait.verdict, wait.why, until=late)
    why = f"no target ended well for {_span(deadline)}; at the end: {wait.why}"
    return Decision(Verdict.PAUSE if book.rules.budget.pauses else Verdict.STOP, why, stalled=True)


def _local(at: datetime | None, zone: ZoneInfo, *, seconds: bool = False) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M{':%S' if seconds else ''}} {zone.key}" if at else "never"


def _span(length: timedelta) -> str:
    minutes = int(length.total_seconds()) // 60
    return f"{minutes // 60} h" if minutes >= 120 and minutes % 60 == 0 else f"{minutes} min" if minutes else f"{length.total_seconds():.0f} s"
