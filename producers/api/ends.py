"""Waiting for the end of jobs: one look at the database serves all who wait."""

import asyncio
import threading
from contextlib import suppress

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select
from starlette.concurrency import run_in_threadpool

from models.database import Database
from models.jobs import Job
from models.lifecycle import FINAL, State

log = structlog.get_logger(__name__)
LOOK_S = 0.05
PAUSE_S = 1.0  # while the database is away
OVER = sorted({*FINAL, State.STUCK})  # a stuck job goes on by a person's hand, not by waiting
AT_ONCE = 500


class Ends:
    """Belongs to one event loop."""

    def __init__(self, database: Database, closing: threading.Event) -> None:
        self._database = database
        self._closing = closing
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def wait(self, job_id: str, seconds: float) -> None:
        """Returns when the job has ended or is stuck, when the time is over, or when the service stops."""
        if self._closing.is_set() or seconds <= 0:
            return
        event = asyncio.Event()
        self._waiting.setdefault(job_id, set()).add(event)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await event.wait()
        finally:
            self._waiting[job_id].discard(event)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    async def _look(self) -> None:
        while self._waiting and not self._closing.is_set():
            try:
                self._tell(await run_in_threadpool(self._over, list(self._waiting)))
            except SQLAlchemyError as error:
                log.warning("waiting_without_database", error=str(error).splitlines()[0][:300])
                await asyncio.sleep(PAUSE_S)
            await asyncio.sleep(LOOK_S)
        self._tell(list(self._waiting))

    def _tell(self, jobs: list[str]) -> None:
        for job_id in jobs:
            for event in self._waiting.get(job_id, ()):
                event.set()

    def _over(self, ids: list[str]) -> list[str]:
        found: list[str] = []
        with self._database.read() as session:
            for start in range(0, len(ids), AT_ONCE):
                part = col(Job.id).in_(ids[start : start + AT_ONCE])
                found += session.exec(select(Job.id).where(part, col(Job.state).in_(OVER))).all()
        return found
