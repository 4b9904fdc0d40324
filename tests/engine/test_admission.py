"""Admission: who goes, who stays, and shares that hold over many rounds."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fleet import NodeState
from models.kinds import Load, Rank
from producers.admission import Holder, Lane, NodeView, Snapshot, Waiting, admit, explain
from tests.stand_ins import NOON

pytestmark = pytest.mark.quick
LANE = ("main", "provision")


def waiting(number: int, **given: object) -> Waiting:
    fields: dict[str, object] = {
        "id": f"J{number:05}",
        "rank": Rank.ORDER,
        "producer": "billing",
        "lane": LANE,
        "load": Load.CREATE,
        "due_at": NOON,
        "placed": True,
        "node": "n1",
        "ctid": number,
    }
    return Waiting(**(fields | given))  # type: ignore[arg-type]


def node(**given: object) -> NodeView:
    fields: dict[str, object] = {"state": NodeState.ACTIVE, "slots": {Load.CREATE: 2, Load.EXEC: 8}, "busy": {}}
    return NodeView(**(fields | given))  # type: ignore[arg-type]


def snapshot(*jobs: Waiting, total: int = 32, busy: dict[Rank, int] | None = None, owed: dict[tuple[str, str], int] | None = None, **nodes: NodeView):
    lanes = {LANE: Lane(total, busy or {})}
    return Snapshot(now=NOON, waiting=jobs, nodes=nodes or {"n1": node()}, lanes=lanes, credits=owed or {})


@pytest.mark.parametrize(
    ("job", "view", "code"),
    [
        (waiting(1, due_at=NOON + timedelta(seconds=5)), node(), "due"),
        (waiting(1, placed=False, node=None), node(), "place"),
        (waiting(1, holder=Holder("J0", "create-container", "running", NOON)), node(), "container"),
        (waiting(1, node="n9"), node(), "node"),
        (waiting(1), node(state=NodeState.DRAINING), "node"),
        (waiting(1), node(broken_until=NOON + timedelta(seconds=9), finding="disk full"), "breaker"),
        (waiting(1), node(busy={Load.CREATE: 2}), "slot"),
        (waiting(1, lane=("other", "provision")), node(), "worker"),
    ],
)
def test_each_reason_to_wait_is_told_by_its_code(job: Waiting, view: NodeView, code: str) -> None:
    picture = snapshot(job, n1=view)
    assert admit(picture).stay[job.id].code == code
    assert code in [reason.code for reason in explain(picture, job)]


def test_a_job_that_nothing_holds_goes() -> None:
    outcome = admit(snapshot(waiting(1)))
    assert (outcome.go, dict(outcome.stay)) == (("J00001",), {})


def test_a_draining_node_lets_finish_what_it_has_begun() -> None:
    assert admit(snapshot(waiting(1), n1=node(state=NodeState.DRAINING, keeps=frozenset({"J00001"})))).go == ("J00001",)


def test_a_container_is_given_to_one_job_a_round() -> None:
    outcome = admit(snapshot(waiting(1, ctid=7), waiting(2, ctid=7)))
    assert outcome.go == ("J00001",)
    assert outcome.stay["J00002"].code == "container"


def test_an_order_does_not_wait_behind_three_hundred_updates() -> None:
    updates = [waiting(number, rank=Rank.ROLLOUT, producer="rollout", load=Load.EXEC) for number in range(300)]
    outcome = admit(snapshot(*updates, waiting(999), total=4))
    assert "J00999" in outcome.go


def test_urgent_slots_are_kept_from_those_below() -> None:
    updates = [waiting(number, rank=Rank.ROLLOUT, load=Load.EXEC) for number in range(20)]
    outcome = admit(snapshot(*updates, total=8))
    assert len(outcome.go) == 4  # a quarter is kept for each of the two ranks above
    assert "kept for more urgent" in next(iter(outcome.stay.values())).text


def one_slot_at_a_time(jobs: list[Waiting], rounds: int) -> Counter[tuple[Rank, str]]:
    """Give out one slot a round, as a busy house does, and count who got it."""
    credits: dict[tuple[str, str], int] = {}
    went: Counter[tuple[Rank, str]] = Counter()
    left = {job.id: job for job in jobs}
    for _ in range(rounds):
        outcome = admit(snapshot(*left.values(), owed=credits, n1=node(slots={Load.CREATE: 1, Load.EXEC: 1})))
        first = left.pop(outcome.go[0])
        went[first.rank, first.producer] += 1
        credits = dict(outcome.credits)
    return went


def test_ranks_share_by_weight_when_slots_come_one_by_one() -> None:
    jobs = [waiting(number, rank=Rank.ORDER) for number in range(200)] + [waiting(1000 + number, rank=Rank.MOVE) for number in range(200)]
    went = one_slot_at_a_time(jobs, 60)
    assert went[Rank.ORDER, "billing"] == 40
    assert went[Rank.MOVE, "billing"] == 20


def test_producers_of_one_rank_share_equally() -> None:
    jobs = [waiting(number, producer="loud") for number in range(300)] + [waiting(1000 + number, producer="quiet") for number in range(30)]
    went = one_slot_at_a_time(jobs, 40)
    assert went[Rank.ORDER, "quiet"] == 20


JOBS = st.lists(
    st.builds(
        waiting,
        st.integers(0, 10_000),
        rank=st.sampled_from(Rank),
        producer=st.sampled_from("abc"),
        load=st.sampled_from([Load.CREATE, Load.EXEC]),
        node=st.sampled_from(["n1", "n2", "gone"]),
        due_at=st.integers(-5, 5).map(lambda seconds: NOON + timedelta(seconds=seconds)),
    ),
    max_size=60,
    unique_by=lambda job: job.id,
)


@settings(max_examples=150, deadline=None)
@given(JOBS, st.integers(0, 12), st.integers(0, 3))
def test_no_slot_is_ever_given_twice_and_every_job_is_answered(jobs: list[Waiting], total: int, busy: int) -> None:
    picture = snapshot(*jobs, total=total, busy={Rank.ORDER: min(busy, total)}, n1=node(busy={Load.CREATE: min(busy, 2)}), n2=node())
    outcome = admit(picture)
    went = [job for job in jobs if job.id in outcome.go]
    assert sorted([*outcome.go, *outcome.stay]) == sorted(job.id for job in jobs)
    assert len(went) + min(busy, total) <= max(total, busy)
    for name, view in picture.nodes.items():
        for load in (Load.CREATE, Load.EXEC):
            assert sum((job.node, job.load) == (name, load) for job in went) + view.busy.get(load, 0) <= view.slots[load]
    assert admit(picture) == outcome
    assert all(explain(picture, job) for job in jobs if job.due_at > NOON or job.node == "gone")
