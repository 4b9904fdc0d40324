"""What two processes do at the same moment, on both databases: threads stand for processes, each with its own transaction."""

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier, Lock
from typing import TypeVar

import pytest
from sqlmodel import col, select

from models.database import Database
from models.fleet import Address, Container
from models.house import Worker
from models.ids import JobIds
from models.jobs import Event, Job
from models.kinds import FAMILIES, Load
from models.lifecycle import Cause, State
from models.orders import ORDER
from models.vault import Vault, make_key_file
from producers.dispatcher import Dispatcher
from producers.intake import Intake
from producers.jobs import cancel
from producers.refusals import NoRoom, Refusal
from tests.factories import TEMPLATES, make_node, make_plan, make_pool
from tests.stand_ins import ManualClock
from workers.claims import Claims

T = TypeVar("T")
SLOTS = 3


@dataclass
class Bell:
    rung: list[tuple[str, int]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def ring(self, jobs: Iterable[tuple[str, int, str, str]]) -> int:
        with self.lock:
            bells = [(job, token) for job, token, _, _ in jobs]
            self.rung += bells
        return len(bells)


@pytest.fixture
def intake(database: Database, clock: ManualClock, tmp_path: Path) -> Intake:
    make_key_file(tmp_path / "key")
    with database.write() as session:
        nodes = [make_node(f"n{number}", slots={Load.CREATE: SLOTS}) for number in (1, 2)]
        worker = Worker(name="w", site="main", host="h", slots=dict.fromkeys(FAMILIES, 40), started_at=clock.now(), seen_at=clock.now())
        session.add_all([*nodes, make_plan(), make_pool(), worker])
    return Intake(database, vault=Vault(tmp_path / "key"), ids=JobIds(clock), site="main")


def at_once(number: int, work: Callable[[int], T]) -> list[T]:
    """All of them begin at the same moment."""
    line = Barrier(number)

    def one(which: int) -> T:
        line.wait()
        return work(which)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(one, range(number)))


def order(database: Database, intake: Intake, key: str = "") -> str:
    wanted = ORDER.validate_python({"kind": "create-container", "plan": "small", "template": TEMPLATES[0], "hostname": "a.example.net"})
    with database.write() as session:
        return intake.submit(session, wanted, by="test", key=key).job.id


def test_two_dispatchers_at_once_never_exceed_a_nodes_slots_and_ring_nobody_twice(database: Database, clock: ManualClock, intake: Intake) -> None:
    for _ in range(20):
        order(database, intake)
    bell = Bell()
    dispatchers = [Dispatcher(database, bell, clock, name=f"d{number}") for number in range(4)]  # type: ignore[arg-type]
    for _ in range(2):
        at_once(4, lambda which: dispatchers[which].go_round())
    with database.read() as session:
        on = Counter(session.exec(select(Job.node).where(Job.state == State.DISPATCHED)).all())
    assert on == {"n1": SLOTS, "n2": SLOTS}
    assert len({job for job, _ in bell.rung}) == len(bell.rung) == 2 * SLOTS
    assert len({token for _, token in bell.rung}) == len(bell.rung)


def test_a_doubled_message_is_claimed_by_one_of_many_workers(database: Database, clock: ManualClock, intake: Intake) -> None:
    for _ in range(2 * SLOTS):
        order(database, intake)
    bell = Bell()
    Dispatcher(database, bell, clock, name="d").go_round()  # type: ignore[arg-type]
    claims = [Claims(database, clock, worker=f"w{number}") for number in range(6)]

    def take_all(which: int) -> list[str]:
        taken = []
        for job_id, token in bell.rung:
            with database.write() as session:
                if claims[which].take(session, job_id, token) is not None:
                    taken.append(job_id)
        return taken

    taken = [job for one in at_once(6, take_all) for job in one]
    assert sorted(taken) == sorted(job for job, _ in bell.rung)


def test_a_key_that_comes_many_times_at_once_gives_one_job(database: Database, intake: Intake) -> None:
    assert len(set(at_once(12, lambda _: order(database, intake, key="order-7")))) == 1
    with database.read() as session:
        assert len(session.exec(select(Job)).all()) == len(session.exec(select(Container)).all()) == len(session.exec(select(Address)).all()) == 1
        assert [event.cause for event in session.exec(select(Event)).all()] == [Cause.ACCEPTED]


def test_the_last_addresses_go_to_as_many_orders_and_the_others_are_refused_with_nothing_written(database: Database, intake: Intake) -> None:
    with database.write() as session:
        session.merge(make_pool(first="127.64.0.1", last="127.64.0.3"))

    def try_it(_: int) -> str | None:
        try:
            return order(database, intake)
        except NoRoom:
            return None

    given = [job for job in at_once(10, try_it) if job]
    with database.read() as session:
        assert sorted(session.exec(select(Job.id)).all()) == sorted(given)
        assert len(session.exec(select(Address.address)).all()) == len(session.exec(select(Container.ctid)).all()) == len(given) == 3


def test_a_cancel_and_a_claim_at_once_leave_one_of_both_and_never_a_mixture(database: Database, clock: ManualClock, intake: Intake) -> None:
    for _ in range(6):
        order(database, intake)
    bell = Bell()
    Dispatcher(database, bell, clock, name="d").go_round()  # type: ignore[arg-type]
    claims = Claims(database, clock, worker="w")

    def race(which: int) -> None:
        job_id, token = bell.rung[which // 2]
        with database.write() as session:
            if which % 2:
                claims.take(session, job_id, token)
                return
            cancel(database, session, session.get_one(Job, job_id), by="test", because="")

    at_once(2 * len(bell.rung), race)
    with database.read() as session:
        for job in session.exec(select(Job)).all():
            holds = session.exec(select(Container.ctid).where(Container.job_id == job.id)).all()
            if job.state == State.CANCELLED:
                assert (job.worker, job.lease_until, list(holds)) == (None, None, [])
            else:
                assert (job.state, job.worker, job.cancel_asked, list(holds)) == (State.RUNNING, "w", True, [job.ctid])


def test_dispatchers_workers_and_customers_all_at_once_never_stand_in_each_others_way(database: Database, clock: ManualClock, intake: Intake) -> None:
    """Everybody who locks rows, again and again: no deadlock, no slot given twice, tokens that only grow."""
    bell = Bell()
    dispatchers = [Dispatcher(database, bell, clock, name=f"d{number}") for number in range(2)]  # type: ignore[arg-type]
    claims = [Claims(database, clock, worker=f"w{number}", solo=True) for number in range(2)]
    for _ in range(8):
        order(database, intake)

    def dispatch(which: int) -> None:
        for _ in range(8):
            dispatchers[which].go_round()

    def work(which: int) -> None:
        for _ in range(8):
            for job_id, token in list(bell.rung):
                with database.write() as session:
                    claims[which].take(session, job_id, token)
            with database.write() as session:
                claims[which].renew(session)

    def ask(which: int) -> None:
        for number in range(8):
            job_id = order(database, intake, key=f"{which}-{number % 4}")
            if number % 3 == 0:
                with suppress(Refusal), database.write() as session:
                    cancel(database, session, session.get_one(Job, job_id), by="test", because="")

    parts = [(dispatch, 0), (dispatch, 1), (work, 0), (work, 1), (ask, 0), (ask, 1)]
    at_once(len(parts), lambda which: parts[which][0](parts[which][1]))
    with database.read() as session:
        busy = Counter(session.exec(select(Job.node).where(col(Job.lease_until).is_not(None))).all())
        tokens = session.exec(select(Event.data).where(Event.cause == Cause.DISPATCHED).order_by(col(Event.id))).all()
    assert all(count <= SLOTS for count in busy.values())
    drawn = [data["token"] for data in tokens]
    assert drawn == sorted(set(drawn))
