"""The worker process: one loop that runs many jobs, one thread for commits, dramatiq's threads for the bells."""

import models.garbage  # noqa: F401, I001 - see there

import argparse
import asyncio
import contextlib
import os
import random
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, start_http_server
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import delete
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col

from models.clock import SystemClock
from models.database import Database, SchemaError
from models.house import Worker
from models.kinds import CRASHES_OF_POISON, FAMILIES
from models.logs import configure
from models.messages import console_channel
from models.settings import Settings
from models.vault import Vault
from workers import kin
from workers.actors import Bells, connect
from workers.claims import RENEW_S, Claims, RunAlone
from workers.metrics import WorkerMeters
from workers.node.install import release
from workers.probe.harvest import Harvest
from workers.probe.watch import Watches
from workers.runs import Runs, World
from workers.seats import Seats
from workers.solo import Solos
from workers.store import Store, locked
from workers.transport.links import Links

log = structlog.get_logger(__name__)


HAND_OVER_S = 10.0  # a database that is away is not waited for longer by a worker that shall stop
STOP_S = 30.0  # whatever hangs, a worker that was told to stop is gone by then; its leases end by themselves


class WorkerSettings(BaseSettings):
    """What only workers read."""

    model_config = SettingsConfigDict(env_prefix="VZQ_", frozen=True, extra="ignore")

    worker_slots: int = Field(32, ge=1, le=500)  # VZQ_WORKER_SLOTS: jobs of one family at once
    worker_metrics: str = "127.0.0.1:9465"  # VZQ_WORKER_METRICS: where /metrics is served; port 0: any free one


class WorkerProcess:
    """Keeps leases and runs jobs until it is told to stop; then it hands over, and what runs on nodes goes on there."""

    def __init__(self, settings: Settings, *, site: str, registry: CollectorRegistry, solo: bool = False) -> None:
        self._settings = settings
        self._site = site
        self._clock = SystemClock()
        self._database = Database(settings.database_url, clock=self._clock)
        self._database.check_schema()
        self._name = kin.name(self._clock, solo=solo)
        self._meters = WorkerMeters(registry)
        self._claims = Claims(self._database, self._clock, worker=self._name, solo=solo)
        self._probes = settings.state.absolute() / "probes"
        self._tasks: set[asyncio.Task[Any]] = set()

    async def serve(self, slots: int) -> None:
        """Register slots, hear bells, work until SIGTERM or SIGINT."""
        loop, stopping = asyncio.get_running_loop(), self._stop_on_signals()
        store, runs = self._open(loop)
        solos = Solos(site=self._site)
        about = {"worker": self._name, "site": self._site}
        seats = Seats(self._database, store, Vault(self._settings.key_file), client=lambda: connect(self._settings.redis), **about)
        bells: Bells

        async def heard(job_id: str, token: int) -> None:
            try:
                with self._meters.in_hand.track_inprogress():
                    await runs.answer(job_id, token)
            except RunAlone:
                died = await solos.run(job_id, token)
                await store.write(lambda session: self._testify(session, job_id, token) if died else self._bury(session))
            bells.wake_dispatcher()

        def ring(job_id: str, token: int) -> None:
            loop.call_soon_threadsafe(lambda: None if stopping.is_set() else self._keep(heard(job_id, token)))

        def asked_in(seat: bytes) -> None:
            loop.call_soon_threadsafe(lambda: None if stopping.is_set() else self._keep(seats.answer(seat.decode(errors="replace"))))

        def freed(jobs: int) -> None:
            if jobs:
                bells.wake_dispatcher()

        others = {console_channel(self._site): asked_in}
        bells = Bells(self._settings.redis, site=self._site, families=FAMILIES, ring=ring, others=others)
        await store.write(lambda session: self._register(session, slots))
        heart = self._beating(store, freed)
        self._keep(Harvest(self._probes, store, self._database, self._meters).go_on(self._claims.held))
        bells.start()
        log.info("worker_started", worker=self._name, site=self._site, slots=slots)
        bells.wake_dispatcher()
        await stopping.wait()
        self._end_by(STOP_S)
        with contextlib.suppress(SQLAlchemyError):
            await store.write(self._sign_off)
        await asyncio.to_thread(bells.stop)
        solos.stop()
        await self._hand_over(store, heart)
        bells.wake_dispatcher()
        log.info("worker_stopped", worker=self._name)

    async def serve_alone(self) -> None:
        """Run the jobs that a worker names on stdin, one after the other, and say on stdout when a run has ended; end with stdin."""
        loop, stopping = asyncio.get_running_loop(), self._stop_on_signals()
        store, runs = self._open(loop)
        heart = self._beating(store, lambda _: None)
        lines = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)

        async def one_by_one() -> None:
            while line := await lines.readline():
                job_id, token = line.split()
                await runs.answer(job_id.decode(), int(token))
                print("ended", flush=True)  # noqa: T201 - the answer that workers/solo.py waits for

        self._keep(one_by_one())
        ending = asyncio.create_task(stopping.wait())
        await asyncio.wait([*self._tasks, ending], return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        self._end_by(STOP_S)
        await self._hand_over(store, heart)

    def _open(self, loop: asyncio.AbstractEventLoop) -> tuple[Store, Runs]:
        rng = random.Random()  # noqa: S311 - jitter
        store = Store(self._database, self._clock, loop)
        self._links = Links(client_key=self._settings.ssh_key_file, clock=self._clock, rng=rng)
        vault = Vault(self._settings.key_file)
        self._watches = watches = Watches(self._probes, clock=self._clock, meters=self._meters)
        return store, Runs(World(self._database, store, self._claims, self._links, vault, self._clock, rng, self._meters, watches=watches))

    def _stop_on_signals(self) -> asyncio.Event:
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        return stopping

    def _keep(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("bell_unanswered", error=repr(task.exception()))  # it is rung again when the dispatch lease ends

    def _register(self, session: Session, slots: int) -> None:
        now = self._database.now(session)
        about = {"site": self._site, "host": socket.gethostname(), "programs": release()}
        session.merge(Worker(name=self._name, slots=dict.fromkeys(FAMILIES, slots), started_at=now, seen_at=now, **about))

    def _sign_off(self, session: Session) -> None:
        session.execute(delete(Worker).where(col(Worker.name) == self._name))  # its slots are gone; what it has in hand is handed over next

    def _testify(self, session: Session, job_id: str, token: int) -> int:
        """A process that had nothing else in hand died under this job: at its next expiry, which is now, it is poison."""
        job = locked(session, job_id)
        if job is None or job.token != token or job.worker is None:
            return 0
        job.crashes, job.lease_until = max(job.crashes, CRASHES_OF_POISON - 1), self._database.now(session)
        session.add(job)
        return 1

    def _bury(self, session: Session) -> int:
        return kin.bury(self._database, session, self._name)

    def _beating(self, store: Store, freed: Callable[[int], None]) -> "asyncio.Task[None]":
        """The heartbeat's task; if it ends by mistake the process does, for nobody would renew its leases."""

        def ended(heart: "asyncio.Task[None]") -> None:
            if not heart.cancelled() and heart.exception() is not None:
                log.error("heart_broken", error=repr(heart.exception()))
                os._exit(70)

        heart = asyncio.create_task(self._heartbeat(store, freed))
        heart.add_done_callback(ended)
        return heart

    async def _heartbeat(self, store: Store, freed: Callable[[int], None]) -> None:
        """Renew all leases every few seconds, and free what dead workers of this host held; failures are tried again at once."""
        while True:
            before, asked = self._clock.monotonic(), set(self._claims.held)
            try:
                self._claims.renewed(await store.write(self._claims.renew), before=before, asked=asked)
                freed(await store.write(self._bury))
            except SQLAlchemyError as error:
                self._meters.renewal_failed()
                log.warning("renewal_failed", error=str(error).splitlines()[0])
            await asyncio.sleep(max(0.2, RENEW_S - (self._clock.monotonic() - before)))

    def _end_by(self, seconds: float) -> None:
        def gone() -> None:
            log.warning("stopped_late", worker=self._name, seconds=seconds)
            os._exit(75)

        end = threading.Timer(seconds, gone)
        end.daemon = True
        end.start()

    async def _hand_over(self, store: Store, heart: "asyncio.Task[None]") -> None:
        """Give back what is in hand: another worker attaches to what runs on the nodes. What the database does not take by then, the lease ends."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=HAND_OVER_S)
            if left:
                log.warning("not_handed_over", worker=self._name, jobs=len(left))
        heart.cancel()
        await self._links.close()
        await asyncio.to_thread(store.close)
        await asyncio.to_thread(self._watches.nursery.close)
        self._database.close()


def main() -> None:
    """Run a worker; exit 0 when it was asked to stop, 2 for bad usage, 5 when it could not start."""
    settings = Settings()
    parser = argparse.ArgumentParser(prog="vzq worker", description="Carries out the jobs of one site.")
    parser.add_argument("--site", default=settings.site, help="the site whose nodes this management host can reach")
    parser.add_argument("--solo", action="store_true", help=argparse.SUPPRESS)  # started by a worker itself (workers/solo.py)
    arguments = parser.parse_args()
    configure()
    registry = CollectorRegistry()
    try:
        worker = WorkerProcess(settings, site=arguments.site, registry=registry, solo=arguments.solo)
        if arguments.solo:
            asyncio.run(worker.serve_alone())
        else:
            own = WorkerSettings()
            _serve_metrics(own.worker_metrics, registry)
            asyncio.run(worker.serve(own.worker_slots))
    except (SchemaError, OSError) as error:
        _give_up(str(error))
    except SQLAlchemyError as error:
        _give_up(f"database cannot be used: {str(error).splitlines()[0]}")


def _serve_metrics(where: str, registry: CollectorRegistry) -> None:
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    host, _, port = where.rpartition(":")
    try:
        start_http_server(int(port), addr=host or "127.0.0.1", registry=registry)
    except OSError as error:
        _give_up(f"cannot serve metrics on {where}: {error.strerror}; set VZQ_WORKER_METRICS to a free host:port")


def _give_up(why: str) -> None:
    print(f"vzq worker: {why}", file=sys.stderr)  # noqa: T201 - to the person who started it
    sys.exit(5)


if __name__ == "__main__":
    main()
