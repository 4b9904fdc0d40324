"""Is anybody at work on this database? Service and workers write into it that they live; who writes no more is gone."""

import time
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, inspect, select
from sqlmodel import Session, col

from models.database import Database
from models.house import Beat, Worker
from producers.refusals import Refusal
from producers.snapshot import WORKER_SILENT

LOOK_S = 0.5


def until_silent(database: Database, *, wait: Callable[[float], None] = time.sleep, say: Callable[[str], None] = lambda _: None) -> None:
    """Returns when nobody lives, at the latest after WORKER_SILENT; raises Refusal as soon as one is seen to live."""
    first = _seen(database)
    if first:
        say(f"{', '.join(first)} was there a moment ago; waiting up to {WORKER_SILENT.seconds} s to see that it is gone")
    while seen := _seen(database):
        for who, at in seen.items():
            if at != first.get(who):
                raise Refusal(f"{who} is at work on this database; stop the service and all workers (embedded: `vzq up`), then restore")
        wait(LOOK_S)


def _seen(database: Database) -> dict[str, datetime]:
    """Who wrote within WORKER_SILENT, and when."""
    with database.snapshot() as connection, Session(connection, join_transaction_mode="create_savepoint") as session:
        if not inspect(connection).has_table("worker"):
            return {}
        now = database.now(session)
        return {who: at for who, at in _rows(connection) if at > now - WORKER_SILENT}


def _rows(connection: Connection) -> list[tuple[str, datetime]]:
    workers = [(f"worker {name}", at) for name, at in connection.execute(select(col(Worker.name), col(Worker.seen_at)))]
    beats = [(f"the service's {name}", at) for name, at in connection.execute(select(col(Beat.name), col(Beat.at)))]
    return workers + beats
