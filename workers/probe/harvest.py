"""Collects what probes of this host saw of jobs that came to their end without a worker here.

The dispatcher gave it up, a person resolved it, or a worker of another host took it over and could say nothing: the record is
still here, and says more.
"""

import asyncio
from collections.abc import Collection
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from models.database import Database
from models.fleet import Container
from models.lifecycle import State
from models.outages import Outage
from workers.metrics import WorkerMeters
from workers.probe.intervals import measure
from workers.probe.outages import ELSEWHERE, Finding, rows
from workers.probe.places import Places
from workers.probe.record import Told, read
from workers.store import Store, locked

log = structlog.get_logger(__name__)
EVERY_S = 30.0
AT_ONCE = 50


class Harvest:
    """Goes through the records of this host now and then."""

    def __init__(self, folder: Path, store: Store, database: Database, meters: WorkerMeters) -> None:
        self._folder = folder
        self._store = store
        self._database = database
        self._meters = meters

    async def go_on(self, held: Collection[str]) -> None:
        """Until it is cancelled; `held`: jobs in this worker's hands, which it writes itself."""
        while True:
            try:
                await self.go_round(held)
            except (SQLAlchemyError, OSError) as error:
                log.warning("probe_uncollected", error=str(error).splitlines()[0])
            await asyncio.sleep(EVERY_S)

    async def go_round(self, held: Collection[str]) -> int:
        """Collect once; how many records are gone."""
        gone = 0
        for path in sorted(self._folder.glob("*.log"))[:AT_ONCE]:
            places = Places(self._folder, path.stem)
            if places.name in held:
                continue
            told = await asyncio.to_thread(read, path)
            written = await self._store.write(partial(self._write, told, places.name), job=places.name)
            if written is None:
                continue
            for row in written:
                self._meters.outage(row.cause, gap_s=row.gap_s, suspended_s=row.suspended_s)
            places.say("end")
            places.remove()
            gone += 1
            log.info("probe_collected", job=places.name, outages=len(written))
        return gone

    def _write(self, told: Told, job_id: str, session: Session) -> list[Outage] | None:
        """The rows that were missing; None while the job goes on."""
        job = locked(session, job_id)
        if job is None or not (job.ended or job.state is State.STUCK):
            return None
        known = session.exec(select(Outage).where(Outage.job_id == job_id).order_by(col(Outage.id))).all()
        container = session.get(Container, job.ctid) if job.ctid is not None else None
        if container is None or any(row.not_measured != ELSEWHERE for row in known):
            return []  # the worker that ended it has written all there is
        last = max((one.sent + (one.after or 0.0) for one in told.answers), default=0.0)
        finding = Finding(told, measure(told.answers, now=last, before=min(told.critical, default=None)), told.trouble)
        touched_at = told.wall(min(told.critical)) if told.critical else None
        made = rows(job, container, finding, touched_at, now=job.ended_at or self._database.now(session))
        if known and not any(row.gap_s is not None for row in made):
            return []
        for row in known:
            session.delete(row)
        session.add_all(made)
        return made
