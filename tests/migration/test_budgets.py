"""A move that history says will break a budget is refused with the figures, and goes only with a reason."""

from datetime import timedelta

import pytest
from sqlmodel import select

from models.access import Audit
from models.jobs import Event
from models.orders import CheckMigration, MigrateContainer
from models.outages import Outage
from models.standing import Standing
from producers.refusals import BadOrder, Refusal
from tests.factories import make_plan
from tests.migration.conftest import Fleet


def down(
    fleet: Fleet, gap_s: float, *, ctid: int = 1001, online: bool = True, times: int = 1, cause: str = "migrate-container", days_ago: int = 0
) -> None:
    with fleet.database.write() as session:
        began = fleet.clock.now() - timedelta(days=days_ago)
        session.add_all(
            Outage(ctid=ctid, node="n1", site="main", cause=cause, began_at=began, gap_s=gap_s, suspended_s=gap_s / 2 if online else None)
            for _ in range(times)
        )


def test_without_history_no_budget_is_known_to_break(fleet: Fleet) -> None:
    fleet.container(1001)
    assert fleet.submit(MigrateContainer(ctid=1001, budget_s=0.1)).job.to_node


@pytest.mark.parametrize("kind", [MigrateContainer, CheckMigration])
def test_what_moves_have_cost_is_held_against_the_budget_of_this_one(fleet: Fleet, kind: type[MigrateContainer]) -> None:
    fleet.container(1001)
    down(fleet, 0.5, ctid=1002, times=18)
    down(fleet, 4.0, ctid=1002, times=2)
    with pytest.raises(Refusal, match=r"may keep it from answering for 4\.0 s \(95 of 100 of 20 moves of site main .* budget is 2 s"):
        fleet.submit(kind(ctid=1001, to="n2", budget_s=2))
    assert fleet.submit(kind(ctid=1001, to="n2", budget_s=5)).job.to_node == "n2"


def test_its_own_moves_tell_more_than_the_others_and_online_not_of_offline(fleet: Fleet) -> None:
    fleet.container(1001)
    down(fleet, 9.0, ctid=1002, times=5)
    down(fleet, 0.4, times=3)
    down(fleet, 6.0, online=False, times=3)
    assert fleet.submit(MigrateContainer(ctid=1001, to="n2", budget_s=1)).job.to_node == "n2"
    fleet.container(1003)
    down(fleet, 6.0, ctid=1003, online=False, times=3)
    with pytest.raises(Refusal, match="3 moves of its own"):
        fleet.submit(MigrateContainer(ctid=1003, to="n2", mode="offline", budget_s=1))


def test_what_a_month_has_left_is_not_gone_over(fleet: Fleet) -> None:
    with fleet.database.write() as session:
        session.add(make_plan("gold", downtime_month_s=10))
    fleet.container(1001, plan="gold")
    fleet.container(1002, plan="gold", standing=Standing.STOPPED)
    down(fleet, 60, cause="restart-container", days_ago=45)
    down(fleet, 8, cause="restart-container")
    assert fleet.submit(CheckMigration(ctid=1001, to="n2")).job.to_node == "n2"
    down(fleet, 3, ctid=1004)
    with pytest.raises(Refusal, match=r"was down for 8\.0 s this month already and 3\.0 s more are to be expected; plan gold allows 10 s"):
        fleet.submit(MigrateContainer(ctid=1001, to="n2"))
    down(fleet, 30, ctid=1002, cause="restart-container")
    assert fleet.submit(MigrateContainer(ctid=1002, to="n2", mode="offline")).job.to_node == "n2"  # it does not run: nobody notices


def test_a_budget_is_gone_over_only_with_a_reason_which_is_audited(fleet: Fleet) -> None:
    fleet.container(1001)
    down(fleet, 4.0, times=3)
    order = MigrateContainer(ctid=1001, to="n2", budget_s=1, over_budget=True)
    with pytest.raises(BadOrder, match="goes only with a reason"):
        fleet.submit(order)
    with fleet.database.write() as session:
        job = fleet.intake.submit(session, order, by="ann", because="n1 is dying").job
    with fleet.database.read() as session:
        assert "over its budget on purpose" in session.exec(select(Event.why).where(Event.job_id == job.id)).one()
        audited = session.exec(select(Audit).where(Audit.subject == f"job:{job.id}")).one()
    assert (audited.by, audited.because) == ("ann", "n1 is dying")
