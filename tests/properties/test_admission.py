"""What holds for every round, whatever waits."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fleet import NodeState
from models.kinds import Load, Rank
from producers.admission import Holder, Lane, NodeView, Snapshot, Waiting, admit, explain
from tests.stand_ins import NOON

pytestmark = pytest.mark.quick
NODES, LANES = ("n1", "n2", "n3"), (("main", "provision"), ("main", "inspect"), ("far", "provision"))
small = st.integers(0, 4)
moments = st.sampled_from([NOON - timedelta(seconds=9), NOON, NOON + timedelta(seconds=9)])


@st.composite
def jobs(draw: st.DrawFn, number: int) -> Waiting:
    node = draw(st.sampled_from([*NODES, "gone", None]))
    holder = draw(st.one_of(st.none(), st.none(), st.just(Holder("other", "create-container", "running", NOON))))
    return Waiting(
        id=f"job-{number:03}",
        rank=draw(st.sampled_from(Rank)),
        producer=draw(st.sampled_from(["a", "b", "c"])),
        lane=draw(st.sampled_from(LANES)),
        load=draw(st.sampled_from(Load)),
        due_at=draw(moments),
        placed=draw(st.booleans()) or node is not None,
        node=node,
        ctid=draw(st.one_of(st.none(), st.integers(101, 105))),
        holder=holder,
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    waiting = tuple(draw(jobs(number)) for number in range(draw(st.integers(0, 25))))
    nodes = {
        name: NodeView(
            state=draw(st.sampled_from(NodeState)),
            slots=draw(st.fixed_dictionaries(dict.fromkeys(Load, small))),
            busy=draw(st.dictionaries(st.sampled_from(Load), small)),
            broken_until=draw(st.one_of(st.none(), moments)),
            keeps=frozenset(draw(st.sets(st.sampled_from([job.id for job in waiting]), max_size=3)) if waiting else ()),
        )
        for name in NODES
    }
    lanes = {
        lane: Lane(draw(st.integers(0, 12)), draw(st.dictionaries(st.sampled_from(Rank), small))) for lane in draw(st.sets(st.sampled_from(LANES)))
    }
    credits = draw(st.dictionaries(st.tuples(st.sampled_from([str(rank) for rank in Rank]), st.sampled_from(["", "a", "b"])), st.integers(-31, 31)))
    return Snapshot(NOON, waiting, nodes, lanes, credits)


@given(snapshots())
@settings(max_examples=60, deadline=None)
def test_each_waiting_job_goes_or_has_a_reason(snapshot: Snapshot) -> None:
    outcome = admit(snapshot)
    assert sorted([*outcome.go, *outcome.stay]) == sorted(job.id for job in snapshot.waiting)
    assert all(reason.code and reason.text for reason in outcome.stay.values())


@given(snapshots())
@settings(max_examples=60, deadline=None)
def test_no_slot_is_given_out_twice(snapshot: Snapshot) -> None:
    going = [job for job in snapshot.waiting if job.id in set(admit(snapshot).go)]
    on_nodes = Counter((job.node, job.load) for job in going if job.node)
    for (name, load), more in on_nodes.items():
        assert snapshot.nodes[str(name)].busy.get(load, 0) + more <= snapshot.nodes[str(name)].slots[load]
    for lane, more in Counter(job.lane for job in going).items():
        assert sum(snapshot.lanes[lane].busy.values()) + more <= snapshot.lanes[lane].total
    assert max(Counter(job.ctid for job in going if job.ctid).values(), default=0) <= 1


@given(snapshots())
@settings(max_examples=60, deadline=None)
def test_who_goes_has_no_objection_and_who_has_none_alone_goes_alone(snapshot: Snapshot) -> None:
    outcome = admit(snapshot)
    for job in snapshot.waiting:
        reasons = explain(snapshot, job)
        if job.id in outcome.go:
            assert not reasons
        assert (admit(replace(snapshot, waiting=(job,))).go == (job.id,)) == (not reasons)


@given(snapshots())
@settings(max_examples=40, deadline=None)
def test_the_same_picture_gives_the_same_round(snapshot: Snapshot) -> None:
    assert admit(snapshot) == admit(replace(snapshot, waiting=tuple(reversed(snapshot.waiting))))


@given(snapshots())
@settings(max_examples=40, deadline=None)
def test_a_rounds_slots_are_used_up(snapshot: Snapshot) -> None:
    """Whoever stays would have to stay after the round too: nothing is left lying about."""
    outcome = admit(snapshot)
    going = [job for job in snapshot.waiting if job.id in outcome.go]
    busy = {name: Counter(node.busy) for name, node in snapshot.nodes.items()}
    lanes = {lane: Counter(view.busy) for lane, view in snapshot.lanes.items()}
    for job in going:
        lanes[job.lane][job.rank] += 1
        if job.node:
            busy[job.node][job.load] += 1
    after = replace(
        snapshot,
        waiting=tuple(job for job in snapshot.waiting if job.id in outcome.stay and job.ctid not in {gone.ctid for gone in going if gone.ctid}),
        nodes={name: replace(node, busy=busy[name]) for name, node in snapshot.nodes.items()},
        lanes={lane: replace(view, busy=lanes[lane]) for lane, view in snapshot.lanes.items()},
    )
    assert admit(after).go == ()


@given(st.lists(st.sampled_from(Rank), min_size=1, max_size=60))
@settings(max_examples=25, deadline=None)
def test_nobody_starves(ranks: list[Rank]) -> None:
    """With one slot a round, everybody has gone after as many rounds as there were jobs."""
    waiting = [Waiting(f"job-{number:03}", rank, "p", LANES[0], Load.NONE, NOON, placed=True) for number, rank in enumerate(ranks)]
    credits: dict[tuple[str, str], int] = {}
    for _ in ranks:
        outcome = admit(Snapshot(NOON, tuple(waiting), {}, {LANES[0]: Lane(1, {})}, credits))
        waiting = [job for job in waiting if job.id not in outcome.go]
        credits = dict(outcome.credits)
    assert not waiting
