"""No-op jobs a second through the whole durable way: accept → dispatch → Redis → claim → end, against bare dramatiq and procrastinate.

Each contender has one producer (this process) and one worker process; ours has the service besides. The clock starts
before the first job is placed and stops when the last has ended, and the worker is up and idle when it starts.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial

import dramatiq
import procrastinate
import psycopg
import redis
from dramatiq.brokers.redis import RedisBroker

from models.orders import CheckQueue
from tests import servers
from tests.bench.figures import Report, Target
from tests.bench.rounds_of import interleaved
from tests.bench.surroundings import Installation, Place, started, wait_until

BATCH = 100  # as `vzq order file --partial` places them: a transaction each
POLL_S = 0.01
HOW = ("in batches", "one by one")
DRAMATIQ, PROCRASTINATE = "dramatiq", "procrastinate"


@dataclass(frozen=True)
class Contest:
    """A contender that is up: how it takes so many jobs, and whether all have ended."""

    enqueue: Callable[[Sequence[int]], None]
    drained: Callable[[], bool]


def run(place: Place, rounds: int, *, jobs: int, singly: int) -> Report:
    """`jobs` in batches and then `singly` one by one, in each round and for each contender."""
    report = Report("durable", f"{jobs} no-op jobs in batches of {BATCH}, {singly} one by one; one worker process each")
    contenders: dict[str, Callable[[], AbstractContextManager[Contest]]] = {
        DRAMATIQ: partial(_dramatiq, place),
        "vzq on sqlite": partial(_ours, place, "sqlite"),
    }
    try:
        place.postgres_url  # noqa: B018 - is there one?
        contenders["vzq on postgresql"] = partial(_ours, place, "postgresql")
        contenders[PROCRASTINATE] = partial(_procrastinate, place)
    except servers.Missing as missing:
        report.notes.append(f"POSTGRESQL IS NOT MEASURED: {missing}")
    found = interleaved({name: partial(_both, opened, jobs, singly) for name, opened in contenders.items()}, rounds)
    for figure in (f"{what}, {how}" for how in HOW for what in ("jobs/s", "enqueued/s")):
        for name, series in found.items():
            report.add(name, figure, [one[figure] for one in series], against="" if name == DRAMATIQ else DRAMATIQ)
    figure = f"jobs/s, {HOW[0]}"
    for name in contenders:
        if name.startswith("vzq"):
            report.targets.append(Target(f"{name} against bare dramatiq", report.ratio(name, DRAMATIQ, figure), 0.35, "at least"))
    if PROCRASTINATE in contenders:
        report.targets.append(
            Target("vzq against procrastinate on the same PostgreSQL", report.ratio("vzq on postgresql", PROCRASTINATE, figure), 1.5, "at least")
        )
    report.notes.append("dramatiq has no batches: it always sends one by one; its jobs are gone when Redis is")
    return report


def _both(opened: Callable[[], AbstractContextManager[Contest]], jobs: int, singly: int) -> dict[str, float]:
    with opened() as contest:
        return {
            f"{what}, {how}": value
            for how, number, batch in ((HOW[0], jobs, BATCH), (HOW[1], singly, 1))
            for what, value in _race(contest, number, batch).items()
        }


def _race(contest: Contest, number: int, batch: int) -> dict[str, float]:
    begun = time.perf_counter()
    for first in range(0, number, batch):
        contest.enqueue(range(first, min(first + batch, number)))
    placed = time.perf_counter()
    wait_until(contest.drained, "the last job's end", patience_s=300, every_s=POLL_S)
    ended = time.perf_counter()
    return {"jobs/s": number / (ended - begun), "enqueued/s": number / (placed - begun)}


@contextmanager
def _ours(place: Place, engine: str) -> Iterator[Contest]:
    place.empty_redis()
    with closing(place.installation(engine, VZQ_WORKER_SLOTS="200")) as installation, installation.running():
        place_orders(installation, 20)  # everybody has seen a job, as the rivals' workers have in a moment
        wait_until(lambda: installation.open_jobs() == 0, "the first jobs")
        yield Contest(lambda numbers: place_orders(installation, len(numbers)), lambda: installation.open_jobs() == 0)


def place_orders(installation: Installation, number: int) -> None:
    """So many orders in one transaction, then the bell, as the command line does it."""
    house = installation.house
    with house.database.write() as session:
        for _ in range(number):
            house.intake.submit(session, CheckQueue(), by="bench")
    house.bell.wake()


@contextmanager
def _dramatiq(place: Place) -> Iterator[Contest]:
    place.empty_redis()
    broker = RedisBroker(url=place.redis_url)
    actor = dramatiq.Actor(lambda _number: None, broker=broker, actor_name="nothing", queue_name="default", priority=0, options={})
    words = ("-p", "1", "-t", "8", "tests.bench.rivals.bare_dramatiq")
    with (
        closing(broker),
        started("dramatiq", *words, env=os.environ | {"BENCH_REDIS_URL": place.redis_url}),
        closing(redis.Redis.from_url(place.redis_url)) as asked,
    ):

        def drained() -> bool:
            return not asked.hlen("dramatiq:default.msgs")  # a message stays there until it is acknowledged

        def send(numbers: Sequence[int]) -> None:
            for number in numbers:
                actor.send(number)

        send(range(20))
        wait_until(drained, "the first messages")
        yield Contest(send, drained)


@contextmanager
def _procrastinate(place: Place) -> Iterator[Contest]:
    conninfo = place.empty_postgres(f"rival{time.monotonic_ns()}").replace("+psycopg", "")
    with ExitStack() as stack:
        app = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=conninfo))
        stack.enter_context(app.open())
        app.schema_manager.apply_schema()
        task = app.configure_task("nothing")
        words = ("--app", "tests.bench.rivals.procrastinate_app.app", "--log-level", "warning", "worker", "-c", "8")
        stack.enter_context(started("procrastinate", *words, env=os.environ | {"BENCH_POSTGRES_URL": conninfo}))
        asked = stack.enter_context(psycopg.connect(conninfo, autocommit=True))

        def drained() -> bool:
            row = asked.execute("select count(*) from procrastinate_jobs where status in ('todo', 'doing')").fetchone()
            return row is not None and row[0] == 0

        def defer(numbers: Sequence[int]) -> None:
            if len(numbers) == 1:
                task.defer(number=numbers[0])
            else:
                task.batch_defer(*({"number": number} for number in numbers))

        defer(range(20))
        wait_until(drained, "the first jobs")
        yield Contest(defer, drained)
