"""What may be specified, what is refused with which words, and what the rules come to."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from models.campaign_states import CAMPAIGN_EDGES, OVER, CampaignCause, CampaignState, Outcome
from models.fleet import Container, ContainerState
from models.rollouts import RolloutSpec, Selector, Waves
from models.spans import seconds, ten_thousandths
from producers.campaigns.rule_sheet import forecast, stops
from producers.campaigns.rules import Seen
from producers.cli.failures import complaints
from producers.refusals import BadOrder
from producers.rollouts.compiled import rules_of, stored
from producers.rollouts.select import canaries_of, spread, wave_sizes
from tests.rollouts.specs import make_spec
from tests.stand_ins import NOON

pytestmark = pytest.mark.quick
SCRIPT = {"do": "script", "text": "exit 0", "interpreter": "sh"}


def container(ctid: int, **given: Any) -> Container:
    fields: dict[str, Any] = {
        "node": f"n{ctid % 3}",
        "site": "main",
        "state": ContainerState.PRESENT,
        "hostname": f"ct{ctid}.example.net",
        "since": NOON,
    }
    return Container(ctid=ctid, **(fields | given))


def targets(count: int, canaries: int = 0) -> list[Seen]:
    return [Seen(place, int(place >= canaries), Outcome.NOT_STARTED, node=f"n{place % 10}") for place in range(count)]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"selector": {}}, "selector: selects nothing"),
        ({"selector": {"all": True, "nodes": ["n1"]}}, "selector: all = true and a narrower choice contradict"),
        ({"action": {"do": "script", "text": "exit 0"}}, "action.script.interpreter: Field required"),
        ({"action": {"do": "script", "text": "exit 0", "interpreter": "ruby"}}, "action.script.interpreter: Input should be 'sh', 'bash'"),
        ({"action": {"do": "script", "text": "", "interpreter": "sh"}}, "action.script.text: String should have at least 1"),
        ({"action": {"do": "packages", "families": ["rpm"]}}, "action.packages.families.0: Input should be 'apt', 'yum', 'dnf', 'zypper' or 'apk'"),
        ({"action": {"do": "dance"}}, "action: Input tag 'dance'"),
        ({"waves": {"sizes": ["60%", "50%"]}}, "waves: the sizes are 110 % of the containers together"),
        ({"waves": {"sizes": [1], "ramp_up": {}}}, "waves: sizes and ramp_up contradict each other"),
        ({"waves": {"sizes": ["0%"]}}, "waves: a wave of 0% starts nothing"),
        ({"waves": {"canaries": ["a", "a"]}}, "waves: a canary stands twice"),
        ({"waves": {"ramp_up": {"first": 8, "most": 4}}}, "waves: ramp_up begins with 8 and may not exceed 4"),
        ({"windows": ["22:00-22:00"]}, "windows.0: '22:00-22:00' opens and closes at the same time"),
        ({"windows": ["22:00-23:00"], "last_start": "1h"}, "last_start 1h leaves nothing of the window '22:00-23:00'"),
        ({"timezone": "Mars/Olympus"}, "timezone: there is no time zone"),
        ({"budget": {"failures": None, "rate": None}}, "budget: bounds nothing"),
        ({"revert": True}, "revert needs a snapshot"),
        ({"health": {}}, "health: asks for nothing"),
        ({"waves": {"soak": "7h"}}, "a deadline of 6h without progress is over before the soak of 7h is"),
        ({"waves": {"sizes": [1, -3]}}, "waves.sizes.1: is not a number of containers from 1 to 100000, or a share"),
        ({"waves": {"canaries": ["a b"]}}, "waves.canaries.0: is not an id, a name or a host name"),
        ({"waves": {"soak": "1 hour"}}, "waves.soak: is not a length of time; write 90s"),
        ({"action": {**SCRIPT, "timeout": "0s"}}, "action.script.timeout: is no time at all"),
        ({"budget": {"rate": "10"}}, "budget.rate: is not a share"),
        ({"colour": "blue"}, "colour: Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        RolloutSpec.model_validate({"selector": {"all": True}, "action": SCRIPT} | given)
    assert any(line.startswith(told) for line in complaints(caught.value)), complaints(caught.value)


@pytest.mark.parametrize("given", [{}, {"budget": {"rate": None, "failures": 3}}, {"waves": {"canaries": ["web1", 1004], "sizes": [1, "10%"]}}])
def test_a_specification_comes_back_as_it_was_stored(given: dict[str, Any]) -> None:
    spec = make_spec(**given)
    assert RolloutSpec.model_validate(stored(spec)) == spec


@pytest.mark.parametrize(
    ("waves", "population", "sizes"),
    [
        ({}, 7, [7]),
        ({"sizes": [1, 5]}, 20, [1, 5, 14]),
        ({"sizes": [1, "10%", "50%"]}, 25, [1, 3, 13, 8]),
        ({"sizes": [30, 10]}, 20, [20]),
        ({"ramp_up": {}}, 20, [1, 2, 4, 8, 5]),
        ({"ramp_up": {"first": 2, "factor": 3, "most": 6}}, 20, [2, 6, 6, 6]),
        ({"sizes": ["1%"]}, 1, [1]),
    ],
)
def test_waves_are_cut_to_the_population(waves: dict[str, Any], population: int, sizes: list[int]) -> None:
    assert list(wave_sizes(Waves.model_validate(waves), population)) == sizes
    assert sum(sizes) == population


def test_neighbours_live_apart() -> None:
    order = spread(container(ctid, node=node) for ctid, node in [(1, "a"), (2, "a"), (3, "a"), (4, "b"), (5, "c")])
    assert [one.node for one in order] == ["a", "b", "c", "a", "a"]


def test_a_canary_that_is_not_selected_is_named() -> None:
    with pytest.raises(BadOrder, match="web9: not among the 2 containers"):
        canaries_of([container(101), container(102, name="web1")], ["web1", "web9"])


def test_canaries_are_found_by_id_name_and_host_name() -> None:
    containers = [container(101), container(102, name="web1"), container(103)]
    assert [one.ctid for one in canaries_of(containers, ["ct103.*", "web1", 101])] == [103, 102, 101]


def test_a_selector_excludes_by_any_trait() -> None:
    selector = Selector.model_validate({"all": True, "exclude": {"ids": [101], "labels": {"role": "db"}}})
    assert selector.exclude.labels == {"role": "db"}
    assert not selector.exclude.nothing


def test_the_rule_sheet_says_when_it_stops() -> None:
    spec = make_spec(waves={"canaries": ["a"]}, budget={"failures": 8, "rate": "25%", "sample": 10})
    sheet = stops(rules_of(spec), targets(300, canaries=3), NOON)
    assert [str(stop) for stop in sheet] == ["1 of the 3 canaries", "3 of 10", "9 of 100", "9 of 300"]


def test_the_rule_sheet_of_a_budget_that_a_small_population_cannot_use_up() -> None:
    assert [str(stop) for stop in stops(rules_of(make_spec(budget={"failures": 8, "rate": None})), targets(5), NOON)] == ["none of 5"]


def test_the_predicted_end_counts_waves_soak_and_what_goes_at_once() -> None:
    spec = make_spec(waves={"sizes": [1, 4], "soak": "10m"}, at_once={"all": 2, "per_node": 1}, budget={"failures": 100, "rate": None})
    waves = [Seen(place, wave, Outcome.NOT_STARTED, node=f"n{place}") for place, wave in enumerate([0, 1, 1, 1, 1])]
    told = forecast(rules_of(spec), waves, NOON, ends=lambda _, at: at + timedelta(minutes=3))
    assert (told.ends_at, told.most_at_once) == (NOON + timedelta(minutes=3 + 10 + 3 + 3), 2)


def test_the_predicted_end_waits_for_the_window() -> None:
    spec = make_spec(windows=["20:00-20:05"], at_once={"all": 1}, budget={"failures": 100, "rate": None})
    told = forecast(rules_of(spec), targets(3), NOON, ends=lambda _, at: at + timedelta(minutes=3))
    assert told.ends_at == NOON + timedelta(hours=8 + 24, minutes=3)  # two on the first evening, one on the next


def test_so_many_that_it_would_take_long_are_not_played_through(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_spec(waves={"sizes": []}, at_once={"all": 1, "per_node": 1})
    monkeypatch.setattr("producers.campaigns.rule_sheet.LOOKS", 3 * 3)
    told = forecast(rules_of(spec), targets(3), NOON, ends=lambda _, at: at + timedelta(minutes=3))
    assert (told.ends_at, told.why) == (None, "3 targets are too many to be played through beforehand")


@pytest.mark.parametrize(("text", "value"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400)])
def test_spans_are_read(text: str, value: int) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize(("text", "value"), [("5%", 500), ("2.5%", 250), ("0.25%", 25), ("100%", 10_000)])
def test_shares_are_read_without_rounding(text: str, value: int) -> None:
    assert ten_thousandths(text) == value


def test_every_state_of_a_campaign_can_be_reached_and_all_but_the_last_ones_left() -> None:
    reached = {CampaignState.RUNNING}
    while more := {end for (start, _), end in CAMPAIGN_EDGES.items() if start in reached} - reached:
        reached |= more
    assert reached == set(CampaignState)
    assert {CampaignState.DONE, CampaignState.STOPPED, CampaignState.ABORTED} == OVER
    assert {cause for _, cause in CAMPAIGN_EDGES} == set(CampaignCause) - {CampaignCause.STARTED}
