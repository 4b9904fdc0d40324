"""The worker process: one loop that runs many jobs, one thread for commits, dramatiq's threads for the bells."""

import argparse
import asyncio
import contextlib
import os
import random
import signal
import socket
import sys
from collections.abc import Coroutine
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, start_http_server
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from models.clock import SystemClock
from models.database import Database, SchemaError
from models.house import Worker
from models.kinds import FAMILIES
from models.logs import configure
from models.settings import Settings
from models.vault import Vault
from workers.actors import Bells
from workers.claims import RENEW_S, Claims
from workers.metrics import WorkerMeters
from workers.runs import Runs, World
from workers.store import Store
from workers.transport.links import Links

log = structlog.get_logger(__name__)


class WorkerSettings(BaseSettings):
    """What only workers read."""

    model_config = SettingsConfigDict(env_prefix="VZQ_", frozen=True, extra="ignore")

    worker_slots: int = Field(32, ge=1, le=500)  # VZQ_WORKER_SLOTS: jobs of one family at once
    worker_metrics: str = "127.0.0.1:9465"  # VZQ_WORKER_METRICS: where /metrics is served; port 0: any free one


class WorkerProcess:
    """Registers its slots, hears bells, keeps leases, and hands everything over when it is told to stop."""

    def __init__(self, settings: Settings, own: WorkerSettings, *, site: str, registry: CollectorRegistry) -> None:
        self._settings = settings
        self._own = own
        self._site = site
        self._registry = registry
        self._clock = SystemClock()
        self._database = Database(settings.database_url, clock=self._clock)
        self._host = socket.gethostname()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT, then hand over: what runs on nodes goes on there, another worker attaches."""
        loop = asyncio.get_running_loop()
        self._database.check_schema()
        name = f"{self._host}/{os.getpid()}/{int(self._clock.now().timestamp())}"
        meters = WorkerMeters(self._registry)
        rng = random.Random()  # noqa: S311 - jitter
        store = Store(self._database, self._clock, loop)
        claims = Claims(self._database, self._clock, worker=name)
        links = Links(client_key=self._settings.ssh_key_file, clock=self._clock, rng=rng)
        world = World(self._database, store, claims, links, Vault(self._settings.key_file), self._clock, rng, meters)
        runs = Runs(world)
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)

        bells: Bells

        async def heard(job_id: str, token: int) -> None:
            with meters.in_hand.track_inprogress():
                await runs.answer(job_id, token)
            bells.wake_dispatcher()

        def ring(job_id: str, token: int) -> None:
            loop.call_soon_threadsafe(lambda: None if stopping.is_set() else self._keep(heard(job_id, token)))

        bells = Bells(self._settings.redis, site=self._site, families=FAMILIES, ring=ring)
        await store.write(lambda session: self._register(session, name))
        heart = asyncio.create_task(self._heartbeat(store, claims, meters))
        bells.start()
        log.info("worker_started", worker=name, site=self._site, slots=self._own.worker_slots)
        bells.wake_dispatcher()
        await stopping.wait()
        await self._hand_over(name, bells, store, links, heart)
        log.info("worker_stopped", worker=name)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("bell_unanswered", error=repr(task.exception()))  # it is rung again when the dispatch lease ends

    def _register(self, session: Session, name: str) -> None:
        now = self._database.now(session)
        slots = dict.fromkeys(FAMILIES, self._own.worker_slots)
        session.merge(Worker(name=name, site=self._site, host=self._host, slots=slots, started_at=now, seen_at=now))

    async def _heartbeat(self, store: Store, claims: Claims, meters: WorkerMeters) -> None:
        """Renew all leases every few seconds; a renewal that fails is tried again at once, until the leases are over."""
        while True:
            before, asked = self._clock.monotonic(), set(claims.held)
            try:
                claims.renewed(await store.write(claims.renew), before=before, asked=asked)
            except SQLAlchemyError as error:
                meters.renewal_failed()
                log.warning("renewal_failed", error=str(error).splitlines()[0])
            await asyncio.sleep(max(0.2, RENEW_S - (self._clock.monotonic() - before)))

    async def _hand_over(self, name: str, bells: Bells, store: Store, links: Links, heart: "asyncio.Task[None]") -> None:
        def stop(session: Session) -> None:
            row = session.get(Worker, name)
            if row is not None:
                row.stopping = True
                session.add(row)

        with contextlib.suppress(SQLAlchemyError):
            await store.write(stop)
        await asyncio.to_thread(bells.stop)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        heart.cancel()
        bells.wake_dispatcher()
        await links.close()
        await asyncio.to_thread(store.close)
        self._database.close()


def main() -> None:
    """Run a worker; exit 0 when it was asked to stop, 2 for bad usage, 5 when it could not start."""
    settings = Settings()
    parser = argparse.ArgumentParser(prog="vzq worker", description="Carries out the jobs of one site.")
    parser.add_argument("--site", default=settings.site, help="the site whose nodes this management host can reach")
    arguments = parser.parse_args()
    configure()
    own = WorkerSettings()
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    host, _, port = own.worker_metrics.rpartition(":")
    try:
        start_http_server(int(port), addr=host or "127.0.0.1", registry=registry)
    except OSError as error:
        _give_up(f"cannot serve metrics on {own.worker_metrics}: {error.strerror}; set VZQ_WORKER_METRICS to a free host:port")
    try:
        asyncio.run(WorkerProcess(settings, own, site=arguments.site, registry=registry).run())
    except (SchemaError, OSError) as error:
        _give_up(str(error))
    except SQLAlchemyError as error:
        _give_up(f"database cannot be used: {str(error).splitlines()[0]}")


def _give_up(why: str) -> None:
    print(f"vzq worker: {why}", file=sys.stderr)
    sys.exit(5)


if __name__ == "__main__":
    main()
