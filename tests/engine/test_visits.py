"""Who is inside a container keeps a move of it waiting, and the other way round; on both databases."""

from datetime import timedelta

import pytest
from sqlmodel import select

from models.fleet import Container, ContainerState
from models.inside import Visit
from models.jobs import Job
from models.lifecycle import State
from models.orders import ExecBatch, MigrateContainer
from producers.refusals import Refusal
from producers.snapshot import snapshot
from tests.engine.conftest import House
from tests.factories import make_node


@pytest.fixture
def inhabited(house: House) -> House:
    with house.database.write() as session:
        container = Container(ctid=101, node="n1", site="main", state=ContainerState.PRESENT, template="busybox-mini-x86_64", since=house.clock.now())
        session.add_all([make_node("n2"), container])
    return house


def visitor(house: House, job_id: str) -> str:
    with house.database.read() as session:
        return snapshot(session, [session.get_one(Job, job_id)], house.database.now(session)).waiting[0].visitor


def move(house: House) -> str:
    return house.submit(MigrateContainer(ctid=101, to="n2")).job.id


def test_a_move_waits_for_a_command_inside_and_says_whose_it_is(inhabited: House) -> None:
    batch = inhabited.submit(ExecBatch(node="n1", ctids=(101,), script="true"), by="alice").job.id
    assert visitor(inhabited, move(inhabited)).startswith(f"the exec of alice ({batch}")


def test_a_console_whose_person_is_gone_keeps_nobody_waiting(inhabited: House) -> None:
    now = inhabited.clock.now()
    with inhabited.database.write() as session:
        session.add(Visit(id="C1", ctid=101, what="console", by="bob", since=now, lease_until=now + timedelta(seconds=15)))
    job_id = move(inhabited)
    assert "console of bob" in visitor(inhabited, job_id)
    inhabited.clock.pass_(timedelta(seconds=16))
    assert visitor(inhabited, job_id) == ""


def test_no_command_goes_into_a_container_that_is_being_moved(inhabited: House) -> None:
    job_id = move(inhabited)
    with inhabited.database.write() as session:
        job = session.get_one(Job, job_id)
        job.state = State.DISPATCHED
        session.add(job)
    with pytest.raises(Refusal, match=f"101 is being moved, which a command inside would break \\(job {job_id}\\)"):
        inhabited.submit(ExecBatch(node="n1", ctids=(101,), script="true"), by="alice")
    with inhabited.database.read() as session:
        assert session.exec(select(Visit)).all() == []
