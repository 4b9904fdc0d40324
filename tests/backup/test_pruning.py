"""History goes by age; what must outlive it stays, and nobody is left to believe that nothing went."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import SQLModel, select

from models.access import Audit
from models.fleet import Container, ContainerState
from models.hooks import Delivery, Webhook
from models.house import Secret
from models.ids import JobIds
from models.jobs import Begun, Event, Job, SpentKey
from models.lifecycle import Cause, State
from models.orders import ORDER
from producers.pruning import BATCH, EVERY_S, KeepSettings, Pruner, count
from producers.refusals import KeySpent
from producers.webhooks.fan_out import fan_out
from tests.engine.conftest import House, house
from tests.factories import make_job
from tests.stand_ins import ManualClock

__all__ = ["house"]
YEARS = timedelta(days=401)
CREATE = {"kind": "create-container", "plan": "small", "template": "debian-12-x86_64-minbase", "hostname": "a.example"}


@pytest.fixture
def ids(clock: ManualClock) -> JobIds:
    return JobIds(clock)


@pytest.fixture
def pruner(house: House, clock: ManualClock) -> Iterator[Pruner]:
    return Pruner(house.database, clock, KeepSettings(keep_days=400))


def ended(house: House, ids: JobIds, clock: ManualClock, **given: Any) -> Job:
    """A job that ended this moment, with an event, a try and a secret."""
    job = make_job(**({"id": ids.next(), "state": State.DONE, "accepted_at": clock.now(), "ended_at": clock.now()} | given))
    with house.database.write() as session:
        session.add(job)
        session.flush()
        session.add(Event(job_id=job.id, cause=Cause.ACCEPTED, state=State.QUEUED, at=clock.now()))
        session.add(Begun(job_id=job.id, step="start", direction="do", attempt=1, node="n1", token=1, at=clock.now()))
        session.add(Secret(job_id=job.id, name="password", sealed="x"))
    return job


def rows(house: House, kind: type[SQLModel]) -> list[Any]:
    with house.database.read() as session:
        return list(session.exec(select(kind)).all())


def through(pruner: Pruner) -> None:
    while pruner.run_once():
        pass


def test_what_ended_long_ago_goes_with_all_that_belongs_to_it_and_the_rest_stays(
    house: House, pruner: Pruner, ids: JobIds, clock: ManualClock
) -> None:
    old = ended(house, ids, clock)
    open_still = ended(house, ids, clock, state=State.STUCK, ended_at=None)
    clock.pass_(timedelta(days=300))
    young = ended(house, ids, clock)
    clock.pass_(timedelta(days=101))
    through(pruner)
    left = {open_still.id, young.id}
    assert old.id not in left
    for kind in (Event, Begun, Secret):
        assert {row.job_id for row in rows(house, kind)} == left
    assert {job.id for job in rows(house, Job)} == left


def test_the_job_whose_mark_a_container_carries_stays(house: House, pruner: Pruner, ids: JobIds, clock: ManualClock) -> None:
    maker = ended(house, ids, clock)
    with house.database.write() as session:
        session.add(Container(ctid=1001, node="n1", site="main", state=ContainerState.PRESENT, job_id=maker.id, since=clock.now()))
    clock.pass_(YEARS)
    through(pruner)
    assert [job.id for job in rows(house, Job)] == [maker.id]


def test_a_replayed_key_of_a_pruned_order_makes_no_second_container(house: House, pruner: Pruner, clock: ManualClock) -> None:
    order = ORDER.validate_python(CREATE)
    with house.database.write() as session:
        job = house.intake.submit(session, order, by="billing", key="invoice-7").job
    with house.database.write() as session:  # it was made, and long ago it went
        row = session.get_one(Job, job.id)
        row.state, row.ended_at = State.DONE, clock.now()
        session.add(row)
        session.delete(session.get_one(Container, job.ctid))
    clock.pass_(YEARS)
    through(pruner)
    assert rows(house, Job) == []
    for given, what in ((CREATE, "this very order"), (CREATE | {"hostname": "b.example"}, "another order")):
        with pytest.raises(KeySpent, match=what) as refused, house.database.write() as session:
            house.intake.submit(session, ORDER.validate_python(given), by="billing", key="invoice-7")
        assert refused.value.job_id == job.id
    assert rows(house, Job) == rows(house, Container) == []
    with house.database.write() as session:
        assert not house.intake.submit(session, order, by="billing", key="invoice-8").replay


def test_keys_that_nobody_chose_are_not_kept(house: House, pruner: Pruner, ids: JobIds, clock: ManualClock) -> None:
    own = ended(house, ids, clock, key="mine")
    name = ids.next()
    ended(house, ids, clock, id=name, key=name)
    clock.pass_(YEARS)
    through(pruner)
    assert [(spent.key, spent.job_id, spent.state) for spent in rows(house, SpentKey)] == [("mine", own.id, State.DONE)]


def test_it_goes_in_batches_and_rests_when_nothing_is_left(house: House, pruner: Pruner, ids: JobIds, clock: ManualClock) -> None:
    with house.database.write() as session:
        session.add_all(make_job(id=ids.next(), state=State.DONE, accepted_at=clock.now(), ended_at=clock.now()) for _ in range(2 * BATCH + 1))
    clock.pass_(YEARS)
    assert [pruner.run_once() for _ in range(4)] == [BATCH, BATCH, 1, 0]
    ended(house, ids, clock, ended_at=clock.now() - YEARS, id="01" + "0" * 24)
    assert pruner.run_once() == 0
    clock.pass_(EVERY_S)
    assert pruner.run_once() > 0


def test_nothing_goes_where_history_is_kept_for_ever(house: House, ids: JobIds, clock: ManualClock) -> None:
    ended(house, ids, clock)
    clock.pass_(10 * YEARS)
    assert Pruner(house.database, clock, KeepSettings(keep_days=0)).run_once() == 0
    assert len(rows(house, Job)) == 1


def test_deliveries_are_numbered_on_after_their_log_was_pruned(house: House, pruner: Pruner, ids: JobIds, clock: ManualClock) -> None:
    def told(*ctids: int) -> None:
        """Each of these containers has a job that ends, and its webhook is told."""
        for ctid in ctids:
            job = ended(house, ids, clock, ctid=ctid)
            with house.database.write() as session:
                session.add(Event(job_id=job.id, cause=Cause.FINISHED, state=State.DONE, at=clock.now()))
        house.dispatcher.go_round()
        with house.database.write() as session:
            fan_out(session, clock.now())
            for delivery in session.exec(select(Delivery)).all():
                delivery.state = "delivered"

    with house.database.write() as session:
        session.add(Webhook(id="h", url="http://127.0.0.1/", created_at=clock.now()))
    told(1001, 1001, 1002)
    clock.pass_(YEARS)
    through(pruner)
    assert {(row.subject, row.sequence) for row in rows(house, Delivery)} == {("container:1001", 2), ("container:1002", 1)}
    told(1001, 1002)
    assert {(row.subject, row.sequence) for row in rows(house, Delivery)} >= {("container:1001", 3), ("container:1002", 2)}


def test_audit_goes_by_its_own_age_and_a_count_says_beforehand_what_will_go(house: House, pruner: Pruner, ids: JobIds, clock: ManualClock) -> None:
    ended(house, ids, clock)
    with house.database.write() as session:
        session.add(Audit(at=clock.now(), by="me", action="look"))
    clock.pass_(YEARS)
    with house.database.write() as session:
        session.add(Audit(at=clock.now(), by="me", action="look again"))
    with house.database.read() as session:
        told = count(session, clock.now() - timedelta(days=400))
    assert told == {"job": 1, "event": 1, "campaign": 0, "target": 0, "delivery": 0, "finding": 0, "outage": 0, "audit": 1}
    through(pruner)
    assert [row.action for row in rows(house, Audit)] == ["look again"]
