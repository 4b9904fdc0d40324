"""Two rounds at the same moment on PostgreSQL: the lock between them is all that keeps both from giving away the same free slots.

On SQLite the lock is BEGIN IMMEDIATE itself; a build without it could not write at all.
"""

import threading
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, select

from models.database import Database
from models.fleet import Container, ContainerState
from models.house import Worker
from models.ids import JobIds
from models.jobs import Job
from models.kinds import FAMILIES, Load
from models.lifecycle import State
from models.orders import CreateContainer, Order, PurgeContainer
from models.standing import Standing
from models.vault import Vault, make_key_file
from producers.admission import Round
from producers.dispatcher import Dispatcher
from producers.intake import Intake
from tests.factories import TEMPLATES, make_node, make_plan, make_pool
from tests.stand_ins import ManualClock

SLOTS = 2
GONE = range(3001, 3001 + SLOTS)  # containers whose purge is ordered first
AT_MOST_S = 2.0  # how long the first round waits for the second, which the lock keeps out
PATIENCE_S = 60.0


class WithoutLock(Database):
    """Every dispatcher goes round as it likes."""

    def lock(self, session: Session, name: str) -> None:
        return None


class Deaf:
    """Nobody hears these bells."""

    def ring(self, bells: Any) -> int:
        return len(list(bells))


class SlowDispatcher(Dispatcher):
    """Has decided, and takes long to commit."""

    decided = threading.Event()
    go_on = threading.Event()

    def _dispatch(self, session: Session, now: datetime) -> tuple[list[tuple[str, int, str, str]], Round]:
        outcome = super()._dispatch(session, now)
        self.decided.set()
        self.go_on.wait(AT_MOST_S)
        return outcome


def overbooked(url: str, folder: Path, kind: type[Database] = Database) -> str:
    """What two rounds at once do wrong on the empty database at `url`; nothing, if one waits for the other."""
    clock = ManualClock()
    database = kind(url, clock=clock, own_clock=True)
    make_key_file(folder / "key")
    intake = Intake(database, vault=Vault(folder / "key"), ids=JobIds(clock), site="main")
    with database.write() as session:
        worker = Worker(name="w", site="main", host="h", slots=dict.fromkeys(FAMILIES, 40), started_at=clock.now(), seen_at=clock.now())
        session.add_all([make_node("n1", slots={Load.CREATE: SLOTS}), make_plan(), make_pool(), worker])
        session.add_all(
            Container(ctid=ctid, node="n1", site="main", state=ContainerState.PRESENT, standing=Standing.TERMINATED, since=clock.now())
            for ctid in GONE
        )

    def order(what: Order) -> None:
        with database.write() as session:
            intake.submit(session, what, by="somebody")

    slow = SlowDispatcher(database, Deaf(), clock, name="slow")  # type: ignore[arg-type]
    slow.decided, slow.go_on = threading.Event(), threading.Event()
    other = Dispatcher(database, Deaf(), clock, name="other")  # type: ignore[arg-type]
    troubles: list[str] = []

    def go_round(dispatcher: Dispatcher) -> None:
        try:
            dispatcher.go_round()
        except SQLAlchemyError as error:
            troubles.append(str(error).splitlines()[0])

    for ctid in GONE:
        order(PurgeContainer(ctid=ctid))
    first = threading.Thread(target=go_round, args=(slow,))
    first.start()
    slow.decided.wait(PATIENCE_S)
    for _ in range(SLOTS):
        order(CreateContainer(plan="small", template=TEMPLATES[0], hostname="web"))  # more urgent than what the first round let go
    second = threading.Thread(target=go_round, args=(other,))
    second.start()
    first.join(PATIENCE_S)
    slow.go_on.set()
    second.join(PATIENCE_S)
    with database.read() as session:
        states = Counter(job.state for job in session.exec(select(Job)).all())
    database.close()
    if troubles:
        return f"two rounds at once trip over each other: {troubles[0]}"
    taken = states[State.DISPATCHED]
    return f"{taken} jobs hold {SLOTS} slots of one node" if taken > SLOTS else "" if taken == SLOTS else f"only {taken} jobs went"
