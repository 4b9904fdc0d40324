"""Jobs that need a slot on two nodes at once: both or none, and nobody waits for ever."""

from collections import Counter
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fleet import NodeState
from models.kinds import Load, Rank
from producers.admission import AGED, Lane, NodeView, Snapshot, Waiting, admit, explain
from tests.stand_ins import NOON

pytestmark = pytest.mark.quick
NODES = ("n1", "n2", "n3", "n4")
LANE = ("main", "migrate")
OUT, IN = Load.MOVE_OUT, Load.MOVE_IN


def moving(number: int, source: str, target: str, *, waits_s: float = 0, producer: str = "ops") -> Waiting:
    due = NOON - timedelta(seconds=waits_s)
    return Waiting(
        f"job-{number:03}", Rank.MOVE, producer, LANE, OUT, due, placed=True, node=source, ctid=1000 + number, to_node=target, load_there=IN
    )


def picture(*jobs: Waiting, busy: dict[tuple[str, Load], int] | None = None, slots: int = 2, lane: int = 100) -> Snapshot:
    taken = busy or {}
    nodes = {name: NodeView(NodeState.ACTIVE, {OUT: slots, IN: slots}, {load: taken.get((name, load), 0) for load in (OUT, IN)}) for name in NODES}
    return Snapshot(NOON, jobs, nodes, {LANE: Lane(lane, {})})


@pytest.mark.parametrize(
    ("full", "sentence"), [(("n1", OUT), "all 2 move_out slots of node n1 are busy"), (("n2", IN), "all 2 move_in slots of node n2")]
)
def test_the_end_that_is_full_is_named(full: tuple[str, Load], sentence: str) -> None:
    snapshot = picture(moving(1, "n1", "n2"), busy={full: 2})
    outcome = admit(snapshot)
    assert outcome.go == ()
    assert sentence in outcome.stay["job-001"].text
    assert [reason.code for reason in explain(snapshot, snapshot.waiting[0])] == ["slot"]


def test_a_target_that_drains_or_is_broken_takes_nobody() -> None:
    job = moving(1, "n1", "n2")
    for state, until, code in ((NodeState.DRAINING, None, "node"), (NodeState.ACTIVE, NOON + AGED, "breaker")):
        snapshot = picture(job)
        nodes = dict(snapshot.nodes) | {"n2": NodeView(state, {OUT: 2, IN: 2}, {}, broken_until=until)}
        assert admit(Snapshot(NOON, (job,), nodes, snapshot.lanes)).stay[job.id].code == code


def test_a_slot_that_comes_free_is_kept_for_who_waits_long_for_two() -> None:
    old, young = moving(1, "n1", "n2", waits_s=120), moving(2, "n1", "n3")
    outcome = admit(picture(old, young, busy={("n2", IN): 2, ("n1", OUT): 1}))
    assert outcome.go == ()
    assert (outcome.stay[young.id].code, outcome.stay[young.id].holder) == ("kept", old.id)
    assert admit(picture(moving(1, "n1", "n2", waits_s=5), young, busy={("n2", IN): 2, ("n1", OUT): 1})).go == (young.id,)


def test_nothing_is_kept_for_who_waits_for_more_than_slots() -> None:
    old, young = moving(1, "n1", "n9", waits_s=120), moving(2, "n1", "n3")
    assert admit(picture(old, young, busy={("n1", OUT): 1})).go == (young.id,)


@st.composite
def moves(draw: st.DrawFn) -> list[Waiting]:
    found = []
    for number in range(draw(st.integers(1, 20))):
        source, target = draw(st.permutations(NODES))[:2]
        found.append(
            moving(number, source, target, waits_s=draw(st.sampled_from([0, 30, 60, 600])), producer=draw(st.sampled_from(["ops", "evacuation"])))
        )
    return found


busy_slots = st.dictionaries(st.tuples(st.sampled_from(NODES), st.sampled_from([OUT, IN])), st.integers(0, 2))


@given(moves(), busy_slots)
@settings(max_examples=80, deadline=None)
def test_both_ends_are_reserved_together_and_never_twice(jobs: list[Waiting], busy: dict[tuple[str, Load], int]) -> None:
    outcome = admit(picture(*jobs, busy=busy))
    used = Counter(busy)
    for job in jobs:
        if job.id in outcome.go:
            used.update(job.ends)
    assert max(used.values(), default=0) <= 2
    assert sorted([*outcome.go, *outcome.stay]) == sorted(job.id for job in jobs)


@given(moves(), st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_nobody_starves_however_the_others_come(jobs: list[Waiting], chance: Random) -> None:
    """One slot at each end, moves that last, and newcomers each round: those that came first all get their turn."""
    running: dict[str, tuple[Waiting, int]] = {}
    waiting, number = {job.id: job for job in jobs}, 500
    first = set(waiting)
    for second in range(2000):
        running = {job_id: (job, left - 1) for job_id, (job, left) in running.items() if left > 1}
        number += 1
        source, target = chance.sample(NODES, 2)
        waiting[f"job-{number:03}"] = moving(number, source, target, waits_s=-second)
        now = NOON + timedelta(seconds=second)
        busy = Counter(end for job, _ in running.values() for end in job.ends)
        view = picture(*waiting.values(), busy=busy, slots=1)
        outcome = admit(Snapshot(now, view.waiting, view.nodes, view.lanes))
        for job_id in outcome.go:
            running[job_id] = (waiting.pop(job_id), chance.randint(1, 9))
        first -= set(outcome.go)
        if not first:
            return
        waiting = {job_id: job for job_id, job in waiting.items() if job_id in first or int(job_id[4:]) > number - 6}  # keep the round small
    raise AssertionError(sorted(first))
