"""What a dispatch round costs when the database is full of the past, against the same round in an empty one.

Both have the same 200 jobs that are due on ten nodes, whose slots are all taken, so that a round decides about all of
them and changes nothing: the next round is the same again. The full one has a million ended jobs and 10 000 nodes besides.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from itertools import count, islice
from typing import Any

import sqlalchemy as sa

from models.clock import SystemClock
from models.database import Database
from models.fleet import Node
from models.house import Worker
from models.ids import JobIds
from models.jobs import Event, Job
from models.kinds import FAMILIES, KINDS
from models.lifecycle import Cause, State
from producers.bell import Bell
from producers.dispatcher import Dispatcher
from tests import servers
from tests.bench.figures import Report, Target, quantile
from tests.bench.rounds_of import interleaved
from tests.bench.surroundings import Place
from tests.factories import make_job, make_node

DUE, BUSY_NODES, WARM = 200, 10, 3
CHUNK = 5000
KIND = "create-container"


def run(place: Place, rounds: int, *, jobs: int, nodes: int, dispatches: int) -> Report:
    """`dispatches` dispatch rounds in each round and database."""
    report = Report("rounds", f"a dispatch round over {DUE} due jobs: nothing else there, or {jobs} ended jobs and {nodes} nodes")
    engines = ["sqlite"]
    try:
        place.postgres_url  # noqa: B018 - is there one?
        engines.append("postgresql")
    except servers.Missing as missing:
        report.notes.append(f"POSTGRESQL IS NOT MEASURED: {missing}")
    for engine in engines:
        empty, full = f"empty {engine}", f"full {engine}"
        with (
            closing(Database(place.database(engine))) as little,
            closing(Database(place.database(engine))) as much,
            closing(Bell(place.redis_url)) as bell,
        ):
            _due(little)
            _due(much)
            _past(much, jobs=jobs, nodes=nodes)
            found = interleaved({empty: lambda: _median_ms(little, bell, dispatches), full: lambda: _median_ms(much, bell, dispatches)}, rounds)
        report.add(empty, "ms a round", found[empty])
        report.add(full, "ms a round", found[full], against=empty)
        report.targets.append(Target(f"a full {engine} against an empty one", report.ratio(full, empty, "ms a round"), 2, "at most"))
    return report


def _median_ms(database: Database, bell: Bell, dispatches: int) -> float:
    dispatcher = Dispatcher(database, bell, SystemClock(), name="bench")
    spans = []
    for number in range(dispatches + WARM):
        begun = time.perf_counter()
        went = dispatcher.go_round()
        if went.held != DUE:
            raise RuntimeError(f"the round held {went.held} jobs back instead of {DUE}")
        if number >= WARM:
            spans.append(time.perf_counter() - begun)
    return quantile(spans, 0.5) * 1000


def _due(database: Database) -> None:
    """Jobs that wait for a slot of their nodes, and a worker that has room."""
    now = SystemClock().now()
    later = now + timedelta(days=1)
    with database.write() as session:
        session.add_all(make_node(f"busy-{number}", slots={"create": 1}) for number in range(BUSY_NODES))
        session.add(Worker(name="bench", site="main", host="bench", slots=dict.fromkeys(FAMILIES, 100), started_at=now, seen_at=later))
        for number in range(BUSY_NODES):
            session.add(make_job(KIND, now=now, state=State.RUNNING, node=f"busy-{number}", worker="bench", lease_until=later, ctid=number + 1001))
        for number in range(DUE):
            session.add(make_job(KIND, now=now, node=f"busy-{number % BUSY_NODES}", ctid=number + 2001))


def _past(database: Database, *, jobs: int, nodes: int) -> None:
    """Ended jobs with two events each, and nodes that nobody has an order for; by bulk insert."""
    now = SystemClock().now()
    with database.engine.begin() as connection:
        for rows in _chunks(_node_rows(nodes), CHUNK):
            connection.execute(sa.insert(Node), rows)
    walk, numbers = _job_rows(jobs, now), count(1)  # numbered, as the relay left them
    while rows := list(islice(walk, CHUNK)):
        with database.engine.begin() as connection:
            connection.execute(sa.insert(Job), rows)
            events = [
                {"number": next(numbers), "job_id": row["id"], "at": now, "cause": cause, "state": state, "why": "", "data": {}}
                for row in rows
                for cause, state in ((Cause.ACCEPTED, State.QUEUED), (Cause.FINISHED, row["state"]))
            ]
            connection.execute(sa.insert(Event), events)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("analyze")  # autovacuum would have done it in the course of a million jobs


def _chunks(rows: Sequence[dict[str, Any]], size: int) -> Iterator[Sequence[dict[str, Any]]]:
    yield from (rows[first : first + size] for first in range(0, len(rows), size))


def _node_rows(nodes: int) -> list[dict[str, Any]]:
    return [make_node(f"idle-{number}").model_dump() for number in range(nodes)]


def _job_rows(jobs: int, now: datetime) -> Iterator[dict[str, Any]]:
    ids = JobIds(SystemClock())
    sample = make_job(KIND, now=now - timedelta(days=30)).model_dump()
    ended = [State.DONE] * 97 + [State.FAILED] * 2 + [State.CANCELLED]
    for number in range(jobs):
        job_id = ids.next()
        yield sample | {
            "id": job_id, "key": job_id, "state": ended[number % 100], "node": f"idle-{number % 10_000}", "ctid": 100_000 + number % 50_000,
            "producer": f"producer-{number % 20}", "ended_at": now, "rank": KINDS[KIND].rank,
        }  # fmt: skip
