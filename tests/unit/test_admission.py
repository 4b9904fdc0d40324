"""Who goes and who waits, case by case; the rules that hold for all are in tests/properties."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from models.fleet import NodeState
from models.kinds import WEIGHT, Load, Rank
from models.pauses import Pause, Reach
from producers.admission import TRIAL_AFTER, Holder, Lane, NodeView, Snapshot, Waiting, admit, explain
from tests.stand_ins import NOON

pytestmark = pytest.mark.quick
LANE = ("main", "provision")


def waiting(number: int, rank: Rank = Rank.ORDER, *, producer: str = "billing", **given: Any) -> Waiting:
    fields: dict[str, Any] = {"load": Load.EXEC, "due_at": NOON, "placed": True, "node": "n1"}
    return Waiting(f"job-{number:05}", rank, producer, LANE, **(fields | given))


def node(**given: Any) -> NodeView:
    fields: dict[str, Any] = {"state": NodeState.ACTIVE, "slots": {Load.EXEC: 1000, Load.CREATE: 2}, "busy": {}}
    return NodeView(**(fields | given))


def picture(
    *jobs: Waiting, slots: int = 1000, busy: dict[Rank, int] | None = None, nodes: dict[str, NodeView] | None = None, **given: Any
) -> Snapshot:
    lanes = {LANE: Lane(slots, busy or {})} if slots else {}
    return Snapshot(NOON, jobs, {"n1": node()} if nodes is None else nodes, lanes, **given)


SOON = NOON + timedelta(minutes=1)
REASONS: list[tuple[str, Snapshot, str]] = [
    ("due", picture(waiting(1, due_at=SOON, error="locked")), "not before 12:01:00: locked"),
    ("paused", picture(waiting(1), pauses=[Pause(reach=Reach.NODE, name="n1", by="eve", because="disks", since=NOON)]), "node n1 is paused by eve"),
    ("place", picture(waiting(1, placed=False, node=None)), "no node has room for it yet"),
    ("container", picture(waiting(1, ctid=101, holder=Holder("job-0", "start-container", "running", NOON - timedelta(seconds=9)))), "(running, 9 s)"),
    ("visit", picture(waiting(1, ctid=101, visitor="the console of alice")), "container 101 must not be frozen under the console of alice"),
    ("node", picture(waiting(1), nodes={}), "node n1 is not enrolled"),
    ("node", picture(waiting(1), nodes={"n1": node(state=NodeState.DRAINING)}), "node n1 is draining"),
    ("breaker", picture(waiting(1), nodes={"n1": node(broken_until=SOON, finding="disk full")}), "disk full; tried again at 12:01:00"),
    ("breaker", picture(waiting(1), nodes={"n1": node(broken_until=NOON, finding="no answer")}), "vzq looks at it first"),
    ("breaker", picture(waiting(1), nodes={"n1": node(faults=2, busy={Load.EXEC: 1})}), "one job is tried there"),
    ("slot", picture(waiting(1, load=Load.CREATE), nodes={"n1": node(busy={Load.CREATE: 2})}), "all 2 create slots of node n1 are busy"),
    ("worker", picture(waiting(1), slots=0), "no worker of site main is alive"),
    ("worker", picture(waiting(1), slots=4, busy={Rank.ORDER: 4}), "all 4 provision slots of the workers of site main are busy"),
]


@pytest.mark.parametrize(("code", "snapshot", "sentence"), REASONS, ids=lambda value: value if isinstance(value, str) and " " not in value else "")
def test_a_job_that_waits_has_a_reason(code: str, snapshot: Snapshot, sentence: str) -> None:
    outcome = admit(snapshot)
    assert outcome.go == ()
    assert outcome.stay["job-00001"].code == code
    assert sentence in outcome.stay["job-00001"].text
    assert explain(snapshot, snapshot.waiting[0])[0] == outcome.stay["job-00001"]


def test_of_a_node_that_was_ill_a_look_goes_first_and_then_one_job() -> None:
    jobs = [waiting(1), waiting(2), waiting(3, load=Load.LOOK)]
    looks = {Load.LOOK: 2, Load.EXEC: 8}
    assert admit(picture(*jobs, nodes={"n1": node(broken_until=NOON, faults=1, slots=looks)})).go == ("job-00003",)
    assert admit(picture(*jobs[:2], nodes={"n1": node(faults=1, slots=looks)})).go == ("job-00001",)
    assert admit(picture(*jobs[:2], nodes={"n1": node(slots=looks)})).go == ("job-00001", "job-00002")


def test_a_node_that_nobody_looks_at_is_tried_with_one_job_after_a_while() -> None:
    long_ago = NOON - TRIAL_AFTER
    assert admit(picture(waiting(1), waiting(2), nodes={"n1": node(broken_until=long_ago, faults=1)})).go == ("job-00001",)


def test_all_reasons_are_told_and_not_only_the_first() -> None:
    job = waiting(1, due_at=SOON)
    snapshot = picture(job, slots=0, nodes={"n1": node(state=NodeState.DRAINING, broken_until=SOON)})
    assert [reason.code for reason in explain(snapshot, job)] == ["due", "node", "breaker", "worker"]


def test_reasons_that_pass_by_themselves_say_when() -> None:
    assert admit(picture(waiting(1, due_at=SOON))).stay["job-00001"].until == SOON
    assert admit(picture(waiting(1), nodes={"n1": node(broken_until=SOON)})).stay["job-00001"].until == SOON


def test_an_order_goes_before_three_hundred_updates_that_came_first() -> None:
    updates = [waiting(number, Rank.ROLLOUT, producer="ops") for number in range(300)]
    assert "job-00999" in admit(picture(*updates, waiting(999), slots=1)).go
    busy = admit(picture(*updates, waiting(999), slots=40))
    assert "job-00999" in busy.go[:2]


def test_updates_never_take_the_slots_that_are_kept_for_orders() -> None:
    updates = [waiting(number, Rank.ROLLOUT, producer="ops") for number in range(300)]
    outcome = admit(picture(*updates, slots=40))
    assert len(outcome.go) == 20  # a quarter each is kept for orders and for suspensions
    assert "20 of them are kept for more urgent jobs" in outcome.stay["job-00299"].text
    assert "job-00999" in admit(picture(waiting(999), slots=40, busy={Rank.ROLLOUT: 20})).go


def test_ranks_share_by_weight_even_with_one_slot_a_round() -> None:
    jobs = [waiting(number, rank) for number, rank in enumerate(rank for rank in Rank for _ in range(70))]
    went: Counter[Rank] = Counter()
    credits: Any = {}
    ranks = {job.id: job.rank for job in jobs}
    for _ in range(124):
        outcome = admit(picture(*jobs, slots=1, credits=credits))
        (gone,) = outcome.go
        went[ranks[gone]] += 1
        jobs = [job for job in jobs if job.id != gone]
        credits = outcome.credits
    assert went == {rank: 124 * weight // 31 for rank, weight in WEIGHT.items()}


def test_producers_of_a_rank_share_equally_however_much_one_asks() -> None:
    jobs = [waiting(number, producer="greedy") for number in range(200)] + [waiting(1000 + number, producer="modest") for number in range(5)]
    went: list[str] = []
    credits: Any = {}
    for _ in range(10):
        outcome = admit(picture(*jobs, slots=1, credits=credits))
        went += outcome.go
        jobs = [job for job in jobs if job.id not in outcome.go]
        credits = outcome.credits
    assert sum(job >= "job-01000" for job in went) == 5


def test_a_producers_own_jobs_go_in_the_order_they_came() -> None:
    jobs = [waiting(number) for number in (3, 1, 2)]
    assert admit(picture(*jobs)).go == ("job-00001", "job-00002", "job-00003")


def test_of_two_jobs_on_one_container_only_one_goes() -> None:
    outcome = admit(picture(waiting(1, ctid=101), waiting(2, ctid=101)))
    assert outcome.go == ("job-00001",)
    assert (outcome.stay["job-00002"].code, outcome.stay["job-00002"].holder) == ("container", "job-00001")


def test_a_draining_node_finishes_what_it_began() -> None:
    draining = {"n1": node(state=NodeState.DRAINING, keeps=frozenset({"job-00001"}))}
    outcome = admit(picture(waiting(1), waiting(2), nodes=draining))
    assert outcome.go == ("job-00001",)
    assert outcome.stay["job-00002"].code == "node"


def test_no_credit_is_kept_for_who_no_longer_waits() -> None:
    outcome = admit(picture(waiting(1), slots=1, credits={("upkeep", ""): 7, ("order", "gone"): -3}))
    assert outcome.credits == {}


def test_a_broken_node_does_not_hold_up_the_others() -> None:
    nodes = {"n1": node(broken_until=SOON), "n2": node()}
    jobs = [waiting(number) for number in range(50)]
    outcome = admit(picture(*jobs, replace(waiting(99), node="n2"), nodes=nodes, slots=1))
    assert outcome.go == ("job-00099",)
