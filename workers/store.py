"""The worker's way to the database: writes of many jobs that come at the same time share one commit.

A commit waits for the disk; jobs do not wait for each other's. Each piece of work is a function of a session that
may be run again from its beginning: a failing one is tried alone and spoils nobody else's, and while the database
is away for a moment all are tried again. So each must find out by itself whether it has been written already.
"""

import asyncio
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import structlog
from sqlmodel import Session, col, select

from models.clock import Clock
from models.database import AWAY, Database
from models.jobs import Job

log = structlog.get_logger(__name__)
T = TypeVar("T")
AT_ONCE = 128
PATIENCE_S = 8.0  # how long a database that is away is waited for before the caller is told; less than a lease
PAUSE_S = 0.25
LOCKED = "vzq_locked"  # in the session: rows of the jobs of this transaction


@dataclass(frozen=True)
class _Work:
    function: Callable[[Session], Any]
    future: "asyncio.Future[Any]"
    job: str | None  # whose row it is going to change


class Store:
    """Runs functions of a session in one thread, as many as have come in one transaction."""

    def __init__(self, database: Database, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self._database = database
        self._clock = clock
        self._loop = loop
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="store", daemon=True)
        self._thread.start()

    async def write(self, function: Callable[[Session], T], *, job: str | None = None) -> T:
        """What `function` returns, after its commit; what it raised, after its rollback. It may be called more than once.

        The row of `job` is read and locked together with those of all others in the same transaction; see `locked`.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Work(function, future, job))
        return await asyncio.shield(future)  # a cancelled waiter does not take back what is on its way to the disk

    def close(self) -> None:
        """Finish what has come, then stop."""
        self._closing.set()
        self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        try:
            self._commit_what_comes()
        except BaseException:  # a worker that can write nothing any more must not look alive
            log.exception("store_broken")
            os._exit(70)

    def _commit_what_comes(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            while len(batch) < AT_ONCE:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    self._queue.put(None)
                    break
                batch.append(more)
            self._commit(batch, patient_until=self._clock.monotonic() + PATIENCE_S)

    def _commit(self, batch: list[_Work], *, patient_until: float) -> None:
        while True:
            try:
                with self._database.write() as session:
                    _lock(session, {work.job for work in batch if work.job is not None})
                    results = [work.function(session) for work in batch]
            except AWAY as error:
                if self._clock.monotonic() < patient_until and not self._closing.wait(PAUSE_S):
                    log.warning("database_away", error=str(error).splitlines()[0])
                    continue
                self._answer(partial(_fail, batch, error))
            except Exception as error:  # noqa: BLE001 - handed to the one who asked
                if len(batch) == 1:
                    self._answer(partial(_fail, batch, error))
                else:
                    for work in batch:
                        self._commit([work], patient_until=patient_until)
            else:
                self._answer(partial(_settle, batch, results))
            return

    def _answer(self, call: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(call)


def locked(session: Session, job_id: str) -> Job | None:
    """The job's row, locked until the transaction ends; None when there is no such job."""
    rows: dict[str, Job | None] = session.info.get(LOCKED, {})
    return rows[job_id] if job_id in rows else session.get(Job, job_id, with_for_update=True)


def _lock(session: Session, job_ids: set[str]) -> None:
    """One query for all, and in the order of ids, so that two workers never wait for each other in a ring."""
    if job_ids:
        rows = session.exec(select(Job).where(col(Job.id).in_(job_ids)).order_by(col(Job.id)).with_for_update()).all()
        session.info[LOCKED] = dict.fromkeys(job_ids) | {job.id: job for job in rows}


def _settle(batch: list[_Work], results: list[Any]) -> None:
    for work, result in zip(batch, results, strict=True):
        if not work.future.done():
            work.future.set_result(result)


def _fail(batch: list[_Work], error: Exception) -> None:
    for work in batch:
        if not work.future.done():
            work.future.set_exception(error)
            work.future.exception()  # a waiter that was cancelled meanwhile will not fetch it
