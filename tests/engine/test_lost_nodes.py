"""A node is lost for good: its jobs go elsewhere or end, and it may start nothing unseen when it comes back."""

from datetime import timedelta

import pytest
from sqlmodel import col, select

from models.access import Audit
from models.findings import Finding
from models.fleet import Address, Container, ContainerState, Node, NodeState
from models.jobs import Begun, Event, Job
from models.lifecycle import Cause, State
from models.orders import StopContainer
from producers.fleet import turn
from producers.jobs import lose_node
from producers.refusals import Refusal
from producers.twins import Quarantine
from producers.why import why
from tests.engine.conftest import House
from tests.factories import make_node


def begun(house: House, **given: object) -> Job:
    """A new container on n1 that waits in the middle of its making."""
    job = house.order(node="n1", **given) if given.pop("fixed", False) else house.order(**given)
    with house.database.write() as session:
        row = session.get_one(Job, job.id)
        row.begun, row.step = True, "make"
        session.add(Begun(job_id=job.id, step="plant", direction="do", attempt=1, node="n1", token=1, at=house.clock.now(), outcome="ok"))
        session.add(row)
    return house.job(job.id)


def lose(house: House, job: Job) -> None:
    with house.database.write() as session:
        lose_node(session, session.get_one(Job, job.id), by="eve", because="burnt down", now=house.clock.now())


def second_node(house: House) -> None:
    with house.database.write() as session:
        session.add(make_node("n2"))


def activate(house: House) -> None:
    with house.database.write() as session:
        turn(session, session.get_one(Node, "n1"), NodeState.ACTIVE, by="eve", because="", now=house.clock.now())


def seen(house: House, *, twin: int | None = None) -> None:
    """A look at n1 after it came back."""
    house.clock.pass_(60)
    with house.database.write() as session:
        now = house.clock.now()
        session.get_one(Node, "n1").seen_at = now
        if twin is not None:
            session.add(Finding(kind="unknown-container", node="n1", subject=str(twin), why="there", first_seen=now, last_seen=now))


@pytest.mark.parametrize("state", [State.QUEUED, State.STUCK])
def test_a_new_container_is_made_elsewhere_and_its_old_id_and_address_are_kept_out(house: House, state: State) -> None:
    job = begun(house)
    second_node(house)
    with house.database.write() as session:
        session.get_one(Job, job.id).state = state
        address = session.exec(select(Address.address).where(Address.ctid == job.ctid)).one()
    lose(house, job)
    house.go_round()
    moved = house.job(job.id)
    assert (moved.state, moved.node, moved.begun) == (State.QUEUED, "n2", False)
    assert moved.ctid != job.ctid
    with house.database.read() as session:
        old = session.get_one(Container, job.ctid)
        assert (old.state, old.node) == (ContainerState.FOREIGN, "n1")
        assert session.get_one(Address, address).ctid == job.ctid  # given to nobody else meanwhile
        assert [one.outcome for one in session.exec(select(Begun).where(Begun.job_id == job.id))] == ["node lost"]
        assert session.exec(select(Audit.action).where(Audit.subject == "node:n1")).one() == "node lost"


def test_what_was_ordered_for_this_very_node_fails(house: House) -> None:
    job = begun(house, fixed=True)
    second_node(house)
    lose(house, job)
    house.go_round()
    assert (house.job(job.id).state, house.job(job.id).error_class) == (State.FAILED, "NodeLost")


@pytest.mark.parametrize(("cancelled", "end"), [(False, State.FAILED), (True, State.CANCELLED)])
def test_an_undoing_job_ends_instead_of_waiting_for_ever(house: House, cancelled: bool, end: State) -> None:
    job = begun(house)
    with house.database.write() as session:
        row = session.get_one(Job, job.id)
        row.state, row.cancel_asked = State.UNDOING, cancelled
    lose(house, job)
    house.go_round()
    assert house.job(job.id).state == end


def test_an_order_about_a_container_there_ends_and_the_containers_row_is_kept(house: House) -> None:
    made = house.order()
    with house.database.write() as session:
        session.get_one(Job, made.id).state = State.DONE
        session.get_one(Container, made.ctid).state = ContainerState.PRESENT
    stop = house.submit(StopContainer(ctid=made.ctid or 0)).job
    lose(house, stop)
    house.go_round()
    assert house.job(stop.id).state == State.FAILED
    with house.database.read() as session:
        assert session.get_one(Container, made.ctid).state == ContainerState.PRESENT
        assert session.exec(select(Job.id).where(Job.id == stop.id)).one()


def test_a_running_job_is_left_to_its_worker_until_it_is_postponed(house: House) -> None:
    house.worker()
    job = house.order()
    second_node(house)
    house.go_round()
    assert house.claim(house.claims(), job.id) is not None
    lose(house, house.job(job.id))
    house.go_round()
    assert (house.job(job.id).state, house.job(job.id).node) == (State.RUNNING, "n1")


def test_nothing_but_looks_goes_to_a_lost_node(house: House) -> None:
    house.worker()
    job = begun(house)
    lose(house, job)
    assert house.go_round().dispatched == 0
    with house.database.read() as session:
        assert session.get_one(Node, "n1").state == NodeState.LOST


def test_it_takes_work_again_only_after_a_look_and_when_its_copies_are_quiet(house: House) -> None:
    job = begun(house)
    second_node(house)
    lose(house, job)
    house.go_round()
    with pytest.raises(Refusal, match="not seen since"):
        activate(house)
    seen(house, twin=job.ctid)
    with pytest.raises(Refusal, match=f"{job.ctid}.*not quiet"):
        activate(house)
    quarantine = Quarantine(house.database, house.intake)
    assert (quarantine.run_once(), quarantine.run_once()) == (1, 0)
    with house.database.write() as session:
        order = session.exec(select(Job).where(Job.kind == "quarantine-container")).one()
        assert (order.node, order.ctid, order.producer) == ("n1", job.ctid, "vzq")
        order.state = State.DONE
        session.add(order)
    activate(house)
    with house.database.read() as session:
        assert session.get_one(Node, "n1").state == NodeState.ACTIVE
        assert session.exec(select(Address).where(Address.ctid == job.ctid)).all() == []


def test_the_order_that_keeps_a_copy_quiet_goes_to_the_lost_node(house: House) -> None:
    house.worker()
    job = begun(house)
    second_node(house)
    lose(house, job)
    house.go_round()
    seen(house, twin=job.ctid)
    Quarantine(house.database, house.intake).run_once()
    house.worker()
    house.go_round()
    with house.database.read() as session:
        order = session.exec(select(Job).where(Job.kind == "quarantine-container")).one()
        assert order.state == State.DISPATCHED, why(house.database, session, order)


def test_what_strangers_made_there_is_left_alone(house: House) -> None:
    job = begun(house)
    lose(house, job)
    seen(house, twin=90_000)
    assert Quarantine(house.database, house.intake).run_once() == 0
    activate(house)


def test_the_story_of_the_job_tells_it(house: House) -> None:
    job = begun(house)
    second_node(house)
    lose(house, job)
    house.go_round()
    with house.database.read() as session:
        events = session.exec(select(Event).where(Event.job_id == job.id).order_by(col(Event.id))).all()
    causes = [event.cause for event in events]
    assert causes[-2:] == [Cause.DISPLACED, Cause.PLACED]
    assert "n1 is lost for good" in events[-2].why
    assert events[-1].at - events[0].at < timedelta(minutes=1)
