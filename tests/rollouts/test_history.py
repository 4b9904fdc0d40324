"""How long a roll-out will take, from how long others took; and how long what has ended is kept."""

from datetime import timedelta

import pytest
from sqlmodel import select

from models.campaigns import Campaign, CampaignEvent, Target
from models.jobs import Job
from producers.campaigns.rule_sheet import Forecast
from producers.pruning import KeepSettings, Pruner, count
from producers.refusals import KeySpent
from producers.rollouts.start import Sheet, plan, remaining
from tests.rollouts.conftest import House
from tests.rollouts.specs import make_spec

ROOMY = {"failures": 100, "rate": None}
TWO_AT_ONCE = {"budget": ROOMY, "at_once": {"all": 2, "per_node": 2}}


def planned(house: House, text: str = "exit 0", **spec: object) -> Sheet:
    with house.database.read() as session:
        return plan(house.database, session, make_spec(text, **spec))


def foretold(house: House, rollout: str) -> Forecast:
    with house.database.read() as session:
        return remaining(session, house.campaign(rollout), house.targets(rollout), house.clock.now())


def done(house: House, text: str, *lengths: timedelta) -> None:
    """A roll-out in which one target after the other took so long."""
    rollout = house.start(text=text, at_once={"all": 1}, budget=ROOMY)
    for length in lengths:
        house.step()
        house.end(*house.flying(rollout), after=length)
    house.step()
    assert house.campaign(rollout).over


def test_without_history_the_length_is_a_guess_and_says_so(house: House) -> None:
    house.containers(2)
    sheet = planned(house, **TWO_AT_ONCE)
    assert (sheet.each, sheet.lengths_of) == (timedelta(minutes=5), "")


def test_the_same_update_tells_most_and_others_of_its_sort_tell_something(house: House) -> None:
    house.containers(2)
    done(house, "exit 0", timedelta(seconds=30), timedelta(seconds=90))
    done(house, "exit 3", timedelta(minutes=10), timedelta(minutes=10))
    same, other = planned(house, **TWO_AT_ONCE), planned(house, "exit 4", **TWO_AT_ONCE)
    assert (same.each, same.lengths_of) == (timedelta(seconds=90), "the same update")
    assert (other.each, other.lengths_of) == (timedelta(minutes=10), "other scripts")
    assert planned(house, action={"do": "packages"}, budget=ROOMY).lengths_of == ""


def test_a_wave_is_expected_to_wait_for_its_slowest(house: House) -> None:
    house.containers(10)
    done(house, "exit 0", *[timedelta(seconds=10)] * 9, timedelta(minutes=9))
    sheet = planned(house, budget=ROOMY, at_once={"all": 10, "per_node": 10})
    assert (sheet.each, sheet.slow) == (timedelta(seconds=10), timedelta(minutes=9))
    assert sheet.forecast.ends_at == house.clock.now() + timedelta(minutes=9)


def test_what_is_in_flight_is_expected_to_end_when_its_time_is_over(house: House) -> None:
    house.containers(4)
    done(house, "exit 0", *[timedelta(minutes=4)] * 4)
    rollout = house.start(**TWO_AT_ONCE)
    house.step()
    house.clock.pass_(timedelta(minutes=3))
    assert foretold(house, rollout).ends_at == house.clock.now() + timedelta(minutes=1 + 4)
    house.clock.pass_(timedelta(minutes=3))  # late already
    late = foretold(house, rollout).ends_at
    assert late is not None
    assert timedelta(minutes=4) < late - house.clock.now() < timedelta(minutes=5)


def test_campaigns_that_ended_long_ago_go_with_their_targets_and_their_keys_stay(house: House) -> None:
    house.containers(2)
    old = house.start(key="monday", budget=ROOMY)
    house.run(old)
    house.clock.pass_(timedelta(days=300))
    young = house.start(budget=ROOMY)
    house.run(young)
    paused = house.start(budget=ROOMY)
    house.clock.pass_(timedelta(days=101))
    with house.database.read() as session:
        would = count(session, house.clock.now() - timedelta(days=400))
    assert (would["campaign"], would["target"]) == (1, 2)
    pruner = Pruner(house.database, house.clock, KeepSettings(keep_days=400))
    while pruner.run_once():
        pass
    left = {young, paused}
    with house.database.read() as session:
        assert set(session.exec(select(Campaign.id)).all()) == left
        assert set(session.exec(select(Target.campaign_id)).all()) == left
        assert set(session.exec(select(CampaignEvent.campaign_id)).all()) == left
        assert old not in set(session.exec(select(Job.campaign)).all())
    for text, what in (("exit 0", "this very order"), ("exit 1", "another order")):
        with pytest.raises(KeySpent, match=f"{what}, rollout {old}"):
            house.start(key="monday", text=text, budget=ROOMY)
