"""Moves between two nodes go as many at once as earlier ones bore, and a budget that history breaks by now holds a move back."""

from datetime import timedelta
from typing import Any

from models.campaigns import Campaign, CampaignKind
from models.house import Worker
from models.kinds import FAMILIES
from models.lifecycle import State
from models.orders import MigrateContainer
from models.outages import Outage
from producers.admission import Reason
from producers.why import why
from tests.factories import make_job, make_plan
from tests.migration.conftest import Fleet


def moved(
    fleet: Fleet, gap_s: float | None, *, to: str = "n2", times: int = 1, online: bool = True, campaign: str | None = None, **order: object
) -> None:
    """Moves from n1 that are over, and what they have cost."""
    with fleet.database.write() as session:
        for _ in range(times):
            job = make_job(
                "migrate-container", state=State.DONE, node="n1", to_node=to, campaign=campaign, order={"kind": "migrate-container", **order}
            )
            session.add(job)
            session.flush()
            session.add(
                Outage(
                    ctid=1, node="n1", site="main", job_id=job.id, cause=job.kind, began_at=job.accepted_at, gap_s=gap_s,
                    suspended_s=0.1 if online else None,
                )
            )  # fmt: skip


def go_round(fleet: Fleet) -> None:
    with fleet.database.write() as session:
        now = fleet.database.now(session)
        session.merge(Worker(name="w1", site="main", host="h", slots=dict.fromkeys(FAMILIES, 32), started_at=now, seen_at=now))
    fleet.go_round()


def ordered(fleet: Fleet, *ctids: int, to: str = "n2", because: str = "", **order: Any) -> list[str]:
    """New containers of n1 are to move, and one round has been made."""
    jobs = []
    for ctid in ctids:
        fleet.container(ctid)
        with fleet.database.write() as session:
            jobs.append(fleet.intake.submit(session, MigrateContainer(ctid=ctid, to=to, **order), by="ann", because=because).job.id)
    go_round(fleet)
    return jobs


def reasons(fleet: Fleet, job_id: str) -> list[Reason]:
    with fleet.database.read() as session:
        return why(fleet.database, session, fleet.job(job_id))


def states(fleet: Fleet, jobs: list[str]) -> list[State]:
    return [fleet.job(job).state for job in jobs]


def test_after_moves_that_went_over_their_budget_the_next_go_one_at_a_time_and_say_why(fleet: Fleet) -> None:
    moved(fleet, 3.0, budget_s=2.0)
    jobs = ordered(fleet, 1001, 1002)
    assert states(fleet, jobs) == [State.DISPATCHED, State.QUEUED]
    told = [(reason.code, reason.text) for reason in reasons(fleet, jobs[1])]
    assert told == [
        ("pace", "1 moves from n1 to n2 are on their way, 1 go at once (95 of 100 of the last 1 interrupted for up to 150% of their budget)")
    ]
    assert states(fleet, ordered(fleet, 1003, to="n3")) == [State.DISPATCHED]  # another pair has another pace


def test_moves_that_nobody_bound_or_measured_teach_nothing(fleet: Fleet) -> None:
    moved(fleet, 60.0, budget_s=2.0, over_budget=True, times=3)
    moved(fleet, 60.0, online=False)  # offline, and nobody said how long
    moved(fleet, None, budget_s=2.0)  # not measured
    assert states(fleet, ordered(fleet, 1001, 1002)) == [State.DISPATCHED, State.DISPATCHED]


def test_the_containers_of_a_dying_node_are_held_by_slots_alone(fleet: Fleet) -> None:
    moved(fleet, 9.0)
    assert states(fleet, ordered(fleet, 1001, 1002, over_budget=True, because="n1 is dying")) == [State.DISPATCHED, State.DISPATCHED]


def test_a_campaigns_longest_gap_is_its_moves_budget(fleet: Fleet) -> None:
    with fleet.database.write() as session:
        now = fleet.database.now(session)
        session.add(
            Campaign(id="c" * 26, kind=CampaignKind.EVACUATION, name="e", version=1, producer="ann", key="k", digest="d",
                     spec={"longest_gap_s": 30.0}, started_at=now, running_since=now, look_at=now)
        )  # fmt: skip
    moved(fleet, 20.0, to="n3", campaign="c" * 26)
    assert states(fleet, ordered(fleet, 1001, 1002, to="n3")) == [State.DISPATCHED, State.DISPATCHED]
    moved(fleet, 40.0, to="n3", campaign="c" * 26)
    assert [reason.code for reason in reasons(fleet, ordered(fleet, 1003, to="n3")[0])] == ["pace"]


def test_a_move_that_breaks_its_budget_by_what_was_learned_since_waits_and_says_so(fleet: Fleet) -> None:
    fleet.container(1001)
    job = fleet.submit(MigrateContainer(ctid=1001, to="n2", budget_s=2.0)).job.id
    moved(fleet, 4.0, budget_s=5.0)
    go_round(fleet)
    assert fleet.job(job).state == State.QUEUED
    assert "budget" in {reason.code for reason in reasons(fleet, job)}
    assert "waits for its budget: moving container 1001 online may keep it from answering for 4.0 s" in fleet.job(job).error
    moved(fleet, 0.5, budget_s=5.0, times=50)
    fleet.clock.pass_(timedelta(seconds=61))
    go_round(fleet)
    assert (fleet.job(job).state, fleet.job(job).error) == (State.DISPATCHED, "")


def test_a_month_that_is_used_up_before_its_turn_holds_it_until_the_next_one(fleet: Fleet) -> None:
    with fleet.database.write() as session:
        session.add(make_plan("gold", downtime_month_s=10))
    fleet.container(1001, plan="gold")
    job = fleet.submit(MigrateContainer(ctid=1001, to="n2")).job.id
    with fleet.database.write() as session:
        session.add(Outage(ctid=1001, node="n1", site="main", cause="restart-container", began_at=fleet.clock.now(), gap_s=11.0))
    go_round(fleet)
    assert fleet.job(job).state == State.QUEUED
    assert [reason.text for reason in reasons(fleet, job) if reason.code == "budget"] == [
        "container 1001 was down for 11.0 s this month already; plan gold allows 10 s"
    ]
