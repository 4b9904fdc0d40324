"""Orders that repeat: looks at nodes, purges of terminated containers."""

from datetime import timedelta

from sqlmodel import select

from models.fleet import Container, ContainerState
from models.jobs import Job
from models.orders import TerminateContainer
from models.reservations import keep
from models.standing import Standing
from producers.periodic import OBSERVE_EVERY, Observation, Purges
from tests.engine.conftest import House


def finish(house: House, job: Job) -> None:
    with house.database.write() as session:
        row = session.get(Job, job.id)
        assert row is not None
        row.state = "done"  # type: ignore[assignment]
        keep(session, row, now=house.clock.now())


def kinds(house: House) -> list[str]:
    with house.database.read() as session:
        return [job.kind for job in session.exec(select(Job).order_by(Job.id)).all()]


def test_a_terminated_container_is_purged_once_its_grace_is_over(house: House) -> None:
    created = house.order()
    finish(house, created)
    finish(house, house.submit(TerminateContainer(ctid=created.ctid, grace_hours=24)).job)  # type: ignore[arg-type]
    purges = Purges(house.database, house.intake)
    assert purges.run_once() == 0
    house.clock.pass_(timedelta(hours=25))
    for _ in range(3):
        purges.run_once()
    assert kinds(house).count("purge-container") == 1


def test_terminating_keeps_the_container_and_its_addresses_for_its_grace(house: House) -> None:
    created = house.order()
    finish(house, created)
    finish(house, house.submit(TerminateContainer(ctid=created.ctid)).job)  # type: ignore[arg-type]
    with house.database.read() as session:
        container = session.get(Container, created.ctid)
    assert container is not None
    assert (container.standing, container.state) == (Standing.TERMINATED, ContainerState.PRESENT)


def test_a_node_is_looked_at_again_and_never_twice_at_once(house: House) -> None:
    observation = Observation(house.database, house.intake)
    assert [observation.run_once() for _ in range(3)] == [1, 0, 0]
    house.clock.pass_(OBSERVE_EVERY * 2)
    assert observation.run_once() == 0
    assert kinds(house) == ["observe-node"]
