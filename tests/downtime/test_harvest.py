"""What a probe of this host saw of a job that ended without a worker here is written down all the same."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sqlmodel import select

from models.clock import SystemClock
from models.database import Database
from models.fleet import Container, ContainerState
from models.lifecycle import State
from models.outages import Outage
from tests.factories import make_job
from workers.metrics import WorkerMeters
from workers.probe.harvest import Harvest
from workers.probe.outages import ELSEWHERE
from workers.probe.record import Writer
from workers.store import Store

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class Field:
    """A database, a folder of records, and somebody who goes round."""

    def __init__(self, folder: Path, template: Path) -> None:
        shutil.copy(template, folder / "vzq.sqlite")
        self.database = Database(f"sqlite:///{folder / 'vzq.sqlite'}")
        self.store = Store(self.database, SystemClock(), asyncio.get_running_loop())
        self.folder = folder / "probes"
        self.folder.mkdir()
        self.registry = CollectorRegistry()
        self.harvest = Harvest(self.folder, self.store, self.database, WorkerMeters(self.registry))

    def job(self, state: State) -> str:
        """A restart of container 1001 that left a record of a second's silence behind."""
        job = make_job("restart-container", state=state, ctid=1001, node="n1")
        with self.database.write() as session:
            session.add(job)
            session.merge(Container(ctid=1001, node="n1", site="main", state=ContainerState.PRESENT, customer="acme", since=NOW))
        opened = os.open(self.folder / f"{job.id}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        writer = Writer(opened)
        writer.begun(NOW.timestamp(), 0.0, "tcp:22")
        for number in range(150):
            if number == 25:
                writer.heard(0.49, "critical")
            writer.missed(number * 0.02) if 50 <= number < 100 else writer.answered(number * 0.02, 0.001, held=False)
        os.close(opened)
        return job.id

    def rows(self) -> list[Outage]:
        with self.database.read() as session:
            return list(session.exec(select(Outage)).all())


@pytest.fixture
async def field(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Field]:
    made = Field(tmp_path, sqlite_template)
    yield made
    await asyncio.to_thread(made.store.close)
    made.database.close()


@pytest.mark.parametrize("state", [State.STUCK, State.FAILED, State.DONE])
async def test_a_job_that_ended_without_a_worker_has_its_outage_written_once(field: Field, state: State) -> None:
    job_id = field.job(state)
    assert await field.harvest.go_round(()) == 1
    assert await field.harvest.go_round(()) == 0
    (row,) = field.rows()
    assert row.gap_s == pytest.approx(1.019, abs=0.002)
    assert (row.job_id, row.customer, row.how, row.cause) == (job_id, "acme", "tcp:22", "restart-container")
    assert field.registry.get_sample_value("vzq_outages_total", {"cause": "restart-container", "measured": "yes"}) == 1


@pytest.mark.parametrize("state", [State.QUEUED, State.DISPATCHED, State.RUNNING, State.UNDOING])
async def test_a_job_that_goes_on_keeps_its_record(field: Field, state: State) -> None:
    field.job(state)
    assert await field.harvest.go_round(()) == 0
    assert field.rows() == []
    assert len(list(field.folder.iterdir())) == 1


async def test_a_job_in_this_workers_hands_is_left_to_it(field: Field) -> None:
    job_id = field.job(State.DONE)
    assert await field.harvest.go_round({job_id}) == 0


async def test_a_row_that_could_say_nothing_gives_way_to_what_was_seen_here(field: Field) -> None:
    job_id = field.job(State.DONE)
    with field.database.write() as session:
        session.add(Outage(ctid=1001, node="n1", site="main", job_id=job_id, cause="restart-container", began_at=NOW, not_measured=ELSEWHERE))
    await field.harvest.go_round(())
    (row,) = field.rows()
    assert row.gap_s is not None


async def test_a_row_that_was_measured_stays_as_it_is(field: Field) -> None:
    job_id = field.job(State.DONE)
    with field.database.write() as session:
        session.add(Outage(ctid=1001, node="n1", site="main", job_id=job_id, cause="restart-container", began_at=NOW, gap_s=2.0))
    assert await field.harvest.go_round(()) == 1
    assert [row.gap_s for row in field.rows()] == [2.0]
