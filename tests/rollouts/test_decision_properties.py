"""Whatever the rules, whatever becomes of the targets and in which order: what the guard promises holds."""

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.campaign_states import BAD, Outcome
from models.windows import read_window
from producers.campaigns.decision import Verdict, decide
from producers.campaigns.rules import UNIT, Budget, Rules, Seen
from tests.stand_ins import NOON

pytestmark = pytest.mark.quick
ENDS = st.sampled_from([Outcome.OK, Outcome.OK, Outcome.UP_TO_DATE, Outcome.FAILED, Outcome.UNREACHABLE, Outcome.REGRESSED, Outcome.SKIPPED])
NODES, CUSTOMERS, ROLES = ("n1", "n2", "n3"), (None, "acme", "zeta"), ("db", "web")


@dataclass
class Course:
    """A campaign that was played to its end."""

    targets: list[Seen]
    verdict: Verdict
    steps: int
    most_at_once: int
    out_of_order: int
    over_limit: list[str]


budgets = st.builds(
    Budget,
    most=st.one_of(st.none(), st.integers(0, 6)),
    rate=st.one_of(st.none(), st.integers(0, UNIT)),
    sample=st.integers(1, 12),
    canaries=st.integers(0, 3),
    counts=st.sampled_from([BAD, BAD | {Outcome.SKIPPED}, frozenset({Outcome.FAILED})]),
)
rules = st.builds(
    Rules,
    budget=budgets,
    at_once=st.integers(1, 12),
    per_node=st.one_of(st.none(), st.integers(1, 3)),
    per_customer=st.one_of(st.none(), st.integers(1, 3)),
    per_label=st.sampled_from([{}, {"role": 1}, {"role": 3}]),
    canaries=st.booleans(),
    soak=st.sampled_from([timedelta(0), timedelta(minutes=5)]),
    windows=st.sampled_from([(), (read_window("10:00-13:00"),), (read_window("20:00-20:30"), read_window("mon 23:00-01:00"))]),
    deadline=st.sampled_from([None, timedelta(hours=3)]),
)


@st.composite
def populations(draw: st.DrawFn) -> list[Seen]:
    sizes = draw(st.lists(st.integers(1, 8), min_size=1, max_size=5))
    waves = [wave for wave, size in enumerate(sizes) for _ in range(size)]
    one = st.builds(
        Seen,
        place=st.just(0),
        wave=st.just(0),
        outcome=st.just(Outcome.NOT_STARTED),
        node=st.sampled_from(NODES),
        customer=st.sampled_from(CUSTOMERS),
        labels=st.sampled_from([{"role": role} for role in ROLES]),
    )
    return [replace(draw(one), place=place, wave=wave) for place, wave in enumerate(waves)]


def play(by: Rules, targets: list[Seen], data: st.DataObject) -> Course:
    """Let the decision run the campaign while chance ends the targets."""
    targets = list(targets)
    now, most, out_of_order, over_limit = NOON, 0, 0, []
    for step in range(100 + 20 * len(targets)):
        decision = decide(by, targets, now, running_since=NOON)
        if decision.verdict in (Verdict.STOP, Verdict.PAUSE, Verdict.FINISHED):
            flying = [target for target in targets if target.outcome is Outcome.IN_FLIGHT]
            for target in flying:  # nothing more is started; what has begun goes to its end
                targets[target.place] = replace(target, outcome=data.draw(ENDS), ended_at=now)
            return Course(targets, decision.verdict, step, most, out_of_order, over_limit)
        for place in decision.start:
            targets[place] = replace(targets[place], outcome=Outcome.IN_FLIGHT)
            out_of_order += sum(t.wave < targets[place].wave and t.outcome in (Outcome.NOT_STARTED, Outcome.IN_FLIGHT) for t in targets)
        flying = [target for target in targets if target.outcome is Outcome.IN_FLIGHT]
        most = max(most, len(flying))
        over_limit += [f"{kind} {value}" for kind, value, limit, count in _counted(by, flying) if limit is not None and count > limit]
        if flying and (not decision.start or data.draw(st.booleans())):
            ending = data.draw(st.sampled_from(flying))
            targets[ending.place] = replace(ending, outcome=data.draw(ENDS), ended_at=now)
            now += timedelta(seconds=data.draw(st.integers(0, 600)))
        elif not decision.start:
            assert decision.until is not None, "it waits for nothing that could happen"
            now = decision.until
    raise AssertionError("it does not end")


def _counted(by: Rules, flying: list[Seen]) -> list[tuple[str, object, int | None, int]]:
    told = [("node", node, by.per_node, sum(t.node == node for t in flying)) for node in NODES]
    told += [("customer", who, by.per_customer, sum(t.customer == who for t in flying)) for who in CUSTOMERS if who]
    return told + [("role", role, by.per_label.get("role"), sum(t.labels["role"] == role for t in flying)) for role in ROLES]


def stops_at(budget: Budget, reckoned: int) -> int:
    """The failure at which the budget is used up when so many have ended, as the manual says it."""
    bounds = [] if budget.most is None else [budget.most]
    bounds += [] if budget.rate is None else [budget.rate * max(reckoned, budget.sample) // UNIT]
    return min(bounds, default=10**9) + 1


@settings(max_examples=150, deadline=None)
@given(rules, populations(), st.data())
def test_it_always_ends_and_promises_are_kept(by: Rules, population: list[Seen], data: st.DataObject) -> None:
    course = play(by, population, data)
    counts = by.budget.counts
    failed = sum(target.outcome in counts for target in course.targets)
    ended = [target for target in course.targets if target.outcome is not Outcome.NOT_STARTED]
    reckoned = sum(target.outcome is not Outcome.SKIPPED or target.outcome in counts for target in ended)
    assert failed <= stops_at(by.budget, reckoned), "the budget was overshot"
    if by.canaries:
        assert sum(target.outcome in counts for target in course.targets if target.wave == 0) <= by.budget.canaries + 1
    assert course.most_at_once <= by.at_once
    assert course.over_limit == []
    assert course.out_of_order == 0
    assert {target.place for target in course.targets} == {target.place for target in population}
    if course.verdict is Verdict.FINISHED:
        assert all(target.outcome not in (Outcome.NOT_STARTED, Outcome.IN_FLIGHT) for target in course.targets)


@settings(max_examples=100, deadline=None)
@given(rules, populations(), st.data())
def test_what_was_decided_is_decided_again(by: Rules, population: list[Seen], data: st.DataObject) -> None:
    targets = [replace(target, outcome=data.draw(st.one_of(ENDS, st.just(Outcome.NOT_STARTED))), ended_at=NOON) for target in population]
    assert decide(by, targets, NOON, running_since=NOON) == decide(by, targets, NOON, running_since=NOON)


@settings(max_examples=100, deadline=None)
@given(rules, populations(), st.data())
def test_nothing_is_started_outside_the_windows(by: Rules, population: list[Seen], data: st.DataObject) -> None:
    by = replace(by, windows=(read_window("tue,thu 03:00-05:00"),))
    now = NOON + timedelta(minutes=data.draw(st.integers(0, 14 * 24 * 60)))
    decision = decide(by, population, now, running_since=now)
    inside = now.weekday() in (1, 3) and 3 <= now.hour < 5
    assert (decision.verdict is Verdict.GO) is inside
    if not inside:
        assert decision.verdict is Verdict.CLOSED
        assert decision.until is not None
        assert decide(by, population, decision.until, running_since=now).verdict is Verdict.GO
