"""Schedules on a clock of the test's own: each time starts one roll-out, or is left out as was asked."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from models.campaigns import Campaign
from models.schedules import Schedule
from producers.campaigns import schedules
from producers.campaigns.schedules import Scheduler, Wish
from producers.refusals import BadOrder
from tests.rollouts.conftest import House
from tests.rollouts.specs import make_spec


def add(house: House, name: str = "nightly", cron: str = "0 * * * *", **given: Any) -> None:
    with house.database.write() as session:
        wish = Wish(name, make_spec(budget={"failures": 9, "rate": None}), cron, **given)
        schedules.add(house.database, session, wish, by="operator", because="the night")


def started(house: House) -> list[str]:
    with house.database.read() as session:
        return list(session.exec(select(Campaign.id).where(Campaign.schedule == "nightly").order_by(Campaign.id)).all())


def row(house: House) -> Schedule:
    with house.database.read() as session:
        return session.get_one(Schedule, "nightly")


def test_each_time_starts_one_roll_out_whoever_looks(house: House) -> None:
    house.containers(2)
    add(house)
    assert house.scheduler.run_once() == 0
    house.clock.pass_(timedelta(hours=1))
    other = Scheduler(house.database, house.intake)
    assert house.scheduler.run_once() + other.run_once() + house.scheduler.run_once() == 1
    (campaign,) = started(house)
    assert house.campaign(campaign).because == "schedule nightly: the night"
    assert row(house).last_campaign == campaign


@pytest.mark.parametrize(("overlap", "second", "after"), [("skip", 1, 1), ("queue", 1, 2), ("allow", 2, 2)])
def test_a_time_that_comes_before_the_last_one_has_ended(house: House, overlap: str, second: int, after: int) -> None:
    house.containers(2)
    add(house, overlap=overlap)
    house.clock.pass_(timedelta(hours=1))
    house.scheduler.run_once()
    house.clock.pass_(timedelta(hours=1))
    house.scheduler.run_once()
    assert len(started(house)) == second
    assert overlap == "allow" or "has not ended" in row(house).last_result
    for campaign in started(house):
        house.run(campaign)
    house.scheduler.run_once()
    assert len(started(house)) == after


@pytest.mark.parametrize(("missed", "count"), [("skip", 0), ("once", 1)])
def test_times_that_nobody_saw(house: House, missed: str, count: int) -> None:
    house.containers(2)
    add(house, missed=missed)
    house.clock.pass_(timedelta(hours=5, minutes=30))
    house.scheduler.run_once()
    house.scheduler.run_once()
    assert len(started(house)) == count
    assert row(house).next_at == house.clock.now() + timedelta(minutes=30)


def test_a_paused_schedule_starts_nothing_and_goes_on_with_its_next_time(house: House) -> None:
    house.containers(2)
    add(house, missed="once")
    with house.database.write() as session:
        schedules.pause(house.database, session, "nightly", by="operator", because="", paused=True)
    house.clock.pass_(timedelta(hours=5, minutes=30))
    house.scheduler.run_once()
    with house.database.write() as session:
        schedules.pause(house.database, session, "nightly", by="operator", because="", paused=False)
    house.scheduler.run_once()
    assert started(house) == []
    house.clock.pass_(timedelta(minutes=30))
    house.scheduler.run_once()
    assert len(started(house)) == 1


def test_what_cannot_be_started_says_why_and_the_next_time_comes(house: House) -> None:
    add(house)  # there is no container
    house.clock.pass_(timedelta(hours=1))
    assert house.scheduler.run_once() == 0
    assert "could not be started: selector: there is no container" in row(house).last_result
    house.containers(1)
    house.clock.pass_(timedelta(hours=1))
    assert house.scheduler.run_once() == 1


def test_times_outside_the_windows_are_left_out(house: House) -> None:
    add(house, windows=("sat 01:00-03:00",), timezone="Europe/Berlin")
    with house.database.read() as session:
        shown = schedules.times(session.get_one(Schedule, "nightly"), house.clock.now())
        times = [next(shown).isoformat(), next(shown).isoformat(), next(shown).isoformat()]
    assert times == ["2026-03-07T00:00:00+00:00", "2026-03-07T01:00:00+00:00", "2026-03-14T00:00:00+00:00"]


def test_every_minute_of_a_narrow_window_is_found_however_long_it_is_away(house: House) -> None:
    add(house, cron="* * * * *", windows=("sat 03:00-03:02",))
    with house.database.read() as session:
        shown = schedules.times(session.get_one(Schedule, "nightly"), house.clock.now())
        times = [next(shown).isoformat()[5:16] for _ in range(4)]
    assert times == ["03-07T03:00", "03-07T03:01", "03-14T03:00", "03-14T03:01"]


@pytest.mark.parametrize(
    ("given", "field"), [({"cron": "x"}, "cron"), ({"timezone": "Mars"}, "timezone"), ({"windows": ("sat 01:10-01:20",)}, "windows")]
)
def test_a_schedule_that_never_comes_is_refused(house: House, given: dict[str, Any], field: str) -> None:
    with pytest.raises(BadOrder) as caught:
        add(house, **given)
    assert list(caught.value.problems) == [field]


def test_a_name_is_given_once(house: House) -> None:
    add(house)
    with pytest.raises(BadOrder, match="there is a schedule 'nightly' already"):
        add(house)
    with house.database.write() as session:
        schedules.remove(house.database, session, "nightly", by="operator", because="")
    add(house)
    assert isinstance(row(house).next_at, datetime)
