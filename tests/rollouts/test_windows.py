"""Maintenance windows and schedules in the time of a place, where the clocks change too."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cron import Cron
from models.windows import DAYS, next_opening, open_until, read_window, read_zone

pytestmark = pytest.mark.quick
BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


@pytest.mark.parametrize(
    ("window", "now", "until"),
    [
        ("mon-fri 22:00-04:00", "2026-03-06 23:00", "2026-03-07 04:00"),
        ("mon-fri 22:00-04:00", "2026-03-07 03:59", "2026-03-07 04:00"),
        ("mon-fri 22:00-04:00", "2026-03-07 04:00", None),
        ("mon-fri 22:00-04:00", "2026-03-08 02:00", None),  # Saturday's night is not among the days
        ("fri-mon 01:00-02:00", "2026-03-08 01:30", "2026-03-08 02:00"),
        ("sun 00:00-24:00", "2026-03-08 13:00", "2026-03-09 00:00"),
        ("02:15-02:45", "2026-03-29 03:20", None),  # in the hour that is not there it does not open
        ("01:30-02:30", "2026-03-29 01:59", "2026-03-29 03:00"),  # at which the clocks jump over 02:30
        ("01:30-02:30", "2026-03-29 03:01", None),
        ("02:30-05:00", "2026-03-29 03:00", "2026-03-29 05:00"),
        ("01:00-04:00", "2026-10-25 03:30", "2026-10-25 04:00"),
    ],
)
def test_a_window_is_open_at_its_hours(window: str, now: str, until: str | None) -> None:
    assert open_until([read_window(window)], BERLIN, at(now)) == (at(until) if until else None)


def test_a_night_in_which_clocks_go_back_is_an_hour_longer() -> None:
    window, opens = read_window("00:00-06:00"), at("2026-10-25 00:00")
    closes = open_until([window], BERLIN, opens)
    assert closes is not None
    assert closes - opens == timedelta(hours=7)


def test_windows_that_touch_count_as_one() -> None:
    both = [read_window("22:00-24:00"), read_window("00:00-03:00")]
    assert open_until(both, BERLIN, at("2026-03-03 23:00")) == at("2026-03-04 03:00")


def test_without_windows_it_is_always_open() -> None:
    assert open_until([], BERLIN, at("2026-03-03 23:00")) is not None
    assert next_opening([], BERLIN, at("2026-03-03 23:00")) is None


@given(st.lists(st.sampled_from(DAYS), min_size=1, max_size=3), st.integers(0, 23), st.integers(0, 23), st.integers(0, 400 * 24 * 60))
def test_a_closed_window_opens_when_it_says(days: list[str], opens: int, closes: int, minutes: int) -> None:
    window = read_window(f"{','.join(days)} {opens:02}:00-{closes:02}:30")
    now = at("2026-01-01 00:00") + timedelta(minutes=minutes)
    if open_until([window], BERLIN, now) is not None:
        return
    opening = next_opening([window], BERLIN, now)
    assert opening is not None
    assert opening > now
    assert open_until([window], BERLIN, opening) is not None
    assert open_until([window], BERLIN, opening - timedelta(seconds=1)) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("22:00", "is not a window"),
        ("22:00-22:00", "opens and closes at the same time"),
        ("24:30-02:00", "there is no 24:30"),
        ("24:00-24:00", "opens at 24:00"),
        ("sun 24:00-01:00", "opens at 24:00"),
        ("25:00-02:00", "there is no 25:00"),
        ("someday 22:00-02:00", "is not a day"),
        ("mon-someday 22:00-02:00", "is not a day"),
    ],
)
def test_an_impossible_window_is_named(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        read_window(text)
    assert repr(text) in str(caught.value) or "someday" in str(caught.value)


def test_an_unknown_time_zone_is_named() -> None:
    with pytest.raises(ValueError, match="Mars/Olympus"):
        read_zone("Mars/Olympus")


@pytest.mark.parametrize(
    ("expression", "begin", "due"),
    [
        ("0 3 * * sun", "2026-03-02 12:00", ["2026-03-08 03:00", "2026-03-15 03:00"]),
        ("30 2 * * *", "2026-10-24 12:00", ["2026-10-25 02:30", "2026-10-26 02:30"]),  # once, in the night in which 2:30 comes twice
        ("30 2 * * *", "2026-03-28 12:00", ["2026-03-29 03:00", "2026-03-30 02:30"]),  # and once in the night in which it never comes
        ("@daily", "2026-03-02 12:00", ["2026-03-03 00:00", "2026-03-04 00:00"]),
    ],
)
def test_a_schedule_goes_by_the_clocks_on_the_wall(expression: str, begin: str, due: list[str]) -> None:
    assert list(islice(Cron(expression, BERLIN).after(at(begin)), 2)) == [at(moment) for moment in due]


def test_every_hour_is_every_hour_in_the_night_in_which_the_clocks_go_back() -> None:
    begin = at("2026-10-25 01:30")
    for expression in ("@hourly", "0 * * * *"):
        due = list(islice(Cron(expression, BERLIN).after(begin), 3))
        assert [(moment - due[0]).total_seconds() / 3600 for moment in due] == [0, 1, 2], expression


@pytest.mark.parametrize("expression", ["", "* * * *", "61 * * * *", "0 0 30 2 *", "0 0 * * 0 extra", "@never", "a b c d e", "0 0 1 1 *" + " " * 200])
def test_what_is_no_schedule_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"is not a cron expression|never comes"):
        Cron(expression, BERLIN)
