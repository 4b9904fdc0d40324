"""Maintenance windows: when something may be touched, in the time of a place. Pure: the moment is handed in.

A window is written `mon-fri 22:00-04:00`; without days it is every day's, and one that ends before it begins ends on
the next day. Where the clocks change, a window begins and ends at what the clocks on the wall show; a time that they
jump over is the moment of the jump, so a window within the hour that is left out does not open that day.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, StringConstraints

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WRITTEN = re.compile(r"(?:([a-z,-]+) +)?([0-2]?[0-9]:[0-5][0-9]) *- *([0-2]?[0-9]:[0-5][0-9])")
FAR = timedelta(days=15)  # windows repeat every week; two weeks hold every opening, whatever the clocks do


@dataclass(frozen=True)
class Window:
    """Some hours of some days of every week, in local time."""

    days: frozenset[int]  # 0 is Monday; the day on which it opens
    opens: time
    closes: time
    overnight: bool  # it closes on the next day

    def spans(self, zone: ZoneInfo, day: date) -> tuple[datetime, datetime]:
        """From when to when, if it opens on this day; in UTC."""
        last = day + timedelta(days=1) if self.overnight else day
        return _moment(day, self.opens, zone), _moment(last, self.closes, zone)


def read_window(text: str) -> Window:
    """The window that is written so; raises ValueError."""
    found = WRITTEN.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(f"{text!r} is not a window; write e.g. 'mon-fri 22:00-04:00' or '01:00-05:00'")
    days = _days(found[1]) if found[1] else frozenset(range(7))
    opens, late = _clock(found[2], text)
    if late:
        raise ValueError(f"{text!r} opens at 24:00; write 00:00, with the next day")
    closes, midnight = _clock(found[3], text)
    if opens == closes and not midnight:
        raise ValueError(f"{text!r} opens and closes at the same time; for a whole day write 00:00-24:00")
    return Window(days, opens, closes, overnight=midnight or closes < opens)


def read_zone(name: str) -> ZoneInfo:
    """The time zone of that name; raises ValueError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name[:60]!r}; write e.g. Europe/Berlin or UTC") from None


def _readable(text: str) -> str:
    read_window(text)
    return text


def _known(name: str) -> str:
    read_zone(name)
    return name


WindowText = Annotated[str, StringConstraints(max_length=100), AfterValidator(_readable)]  # in orders and specifications
ZoneName = Annotated[str, StringConstraints(max_length=60), AfterValidator(_known)]


def open_until(windows: Sequence[Window], zone: ZoneInfo, now: datetime) -> datetime | None:
    """When it closes, if a window is open now; None: closed. Windows that touch count as one; with none it is always open."""
    if not windows:
        return now + FAR
    until: datetime | None = None
    moment = now
    while moment < now + FAR:
        ends = [closes for opens, closes in _around(windows, zone, moment) if opens <= moment < closes]
        if not ends:
            return until
        until = moment = max(ends)
    return until


def next_opening(windows: Sequence[Window], zone: ZoneInfo, now: datetime) -> datetime | None:
    """When a closed one opens: the first opening after `now`; None when there are no windows."""
    return min((opens for opens, closes in _around(windows, zone, now, ahead=FAR.days) if opens > now and closes > opens), default=None)


def _around(windows: Sequence[Window], zone: ZoneInfo, moment: datetime, *, ahead: int = 1) -> Iterator[tuple[datetime, datetime]]:
    today = moment.astimezone(zone).date()
    for offset in range(-1, ahead + 1):
        day = today + timedelta(days=offset)
        for window in windows:
            if day.weekday() in window.days:
                yield window.spans(zone, day)


def _moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    """When the clocks come to that time, or jump over it; in UTC."""
    local = datetime.combine(day, at, zone)
    moment = local.astimezone(UTC)
    if moment.astimezone(zone).time() == at:
        return moment
    before = local.replace(fold=1).astimezone(UTC)
    offset = before.astimezone(zone).utcoffset()
    while moment - before > timedelta(seconds=1):
        middle = before + (moment - before) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            moment = middle
    return moment.replace(microsecond=0)


def _clock(text: str, window: str) -> tuple[time, bool]:
    """A time of day; 24:00 is midnight at its end."""
    hours, minutes = (int(part) for part in text.split(":"))
    if (hours, minutes) == (24, 0):
        return time(0), True
    if hours > 23:
        raise ValueError(f"{window!r}: there is no {text}")
    return time(hours, minutes), False


def _days(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f"{part!r} is not a day or a range of days; known: {', '.join(DAYS)}")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        days |= {number % 7 for number in range(begin, end + (7 if end < begin else 0) + 1)}
    return frozenset(days)
