"""The real intake, dispatchers, claims, journal, runs and plans around stand-in nodes, in virtual time on SQLite."""

import asyncio
import random
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import delete, update
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, SQLModel, col

from models.database import Database
from models.ids import JobIds
from models.jobs import Job
from models.kinds import KINDS
from models.lifecycle import State
from models.orders import ORDER
from models.standing import Standing
from models.vault import Vault, make_key_file
from producers.admission import TRIAL_AFTER
from producers.dispatcher import Dispatcher
from producers.intake import Intake
from producers.jobs import cancel
from producers.refusals import Refusal
from tests.crash.books import books
from tests.crash.copies import Copies
from tests.crash.faults import Case
from tests.crash.gate import BELLS, Gate
from tests.crash.node import Run, StandInNode, Strike
from tests.crash.scenes import CTID, NODE, plans
from tests.crash.vzctl import thawed
from tests.crash.vzq_mv import HOST_KEY
from tests.crash.worker import WorkerProcess
from tests.factories import make_node, make_pool
from tests.stand_ins import ManualClock
from workers.claims import Claims
from workers.openvz.driver import Abilities
from workers.openvz.rows import row_of
from workers.runs import Runs

ABILITIES = row_of(
    Abilities(
        dialect="vzctl",
        version="4.11",
        openvz=True,
        vswap=True,
        ploop=False,
        checkpointing=True,
        kernel="2.6.32-042stab145.3",
        arch="x86_64",
        cpus=8,
        memory_bytes=64 << 30,
        swap_bytes=0,
        disk_bytes=1000 << 30,
        disk_free_bytes=900 << 30,
        inodes_free=None,
        templates=("busybox",),
        samples=("vswap-256m",),
    )
)


@dataclass(frozen=True)
class Build:
    """The parts that a broken build replaces by worse ones."""

    node: type[StandInNode] = StandInNode
    runs: type[Runs] = Runs
    claims: type[Claims] = Claims
    dispatcher: type[Dispatcher] = Dispatcher


class Ground:
    """What many cases stand on one after the other: a database, a clock that only goes on, a key."""

    def __init__(self, database: Path, folder: Path) -> None:
        self.clock = ManualClock()
        self.database = Database(f"sqlite:///{database}", clock=self.clock)
        self.spy = sqlite3.connect(database, isolation_level=None)  # the watch reads by itself, and ten times as fast as through the models
        make_key_file(folder / "key")
        self.vault = Vault(folder / "key")

    def clear(self) -> None:
        """Everything of the last case but the counters, which only grow."""
        with self.database.write() as session:
            for table in reversed(SQLModel.metadata.sorted_tables):
                if table.name not in ("counter", "alembic_version"):
                    session.execute(delete(table))


def make_ground(folder: Path) -> Ground:
    """A fresh database in this folder, and what else belongs to a ground."""
    path = folder / "vzq.sqlite"
    fresh = Database(f"sqlite:///{path}")
    fresh.upgrade()
    fresh.close()
    return Ground(path, folder)


class Desk:
    """A dispatcher's way to the database: before and after each commit is a point where it may die."""

    def __init__(self, house: "CrashHouse") -> None:
        self._house = house

    @contextmanager
    def write(self) -> Iterator[Session]:
        with self._house.database.write() as session:
            yield session
            self._house.gate.of_round("before a round's commit")
        self._house.gate.of_round("after a round's commit")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._house.database, name)


class CrashHouse:
    """One case: a job, two nodes, workers and dispatchers that come and go."""

    def __init__(self, ground: Ground, case: Case, build: Build) -> None:
        self.ground, self.case, self.build = ground, case, build
        self.clock, self.database = ground.clock, ground.database
        self.rng = random.Random(case.seed)
        self.gate = Gate(self, case.faults)
        self.away_until = self.lag_until = self.mute_until = 0.0
        self.deaths = 0
        self.given_up = False
        self.story: list[str] = []
        self.violations: list[str] = []
        self.strangers: list[tuple[StandInNode, int]] = []
        self.rung: list[tuple[str, int, str, str]] = []
        self.workers: list[WorkerProcess] = []  # who gets messages
        self.everybody: list[WorkerProcess] = []
        self.maker = ""  # the job that made what the scene begins with
        self._numbers = 0
        self._woken = asyncio.Event()
        self.ids = JobIds(self.clock, self.rng)
        self.nodes = {name: build.node(name, on_start=self._started) for name in ("n1", "n2")}
        self.copies = Copies(self.violations, watched=case.scene.kind == "migrate-container")
        for node in self.nodes.values():
            node.violations, node.story, node.peers, node.copies = self.violations, _Told(self), self.nodes, self.copies
        ground.clear()
        with self.database.write() as session:
            session.add_all(
                [*plans(), make_pool(nameservers=["9.9.9.9"]), *(make_node(name, abilities=ABILITIES, host_key=HOST_KEY) for name in self.nodes)]
            )
        case.scene.furnish(self)
        for node in self.nodes.values():
            for container in node.containers.values():
                container.effects.clear()
        self.memory = self.nodes[NODE].of(CTID).memory  # the processes that run when the order comes
        with self.database.read() as session:
            self.before = books(session)
        order = case.scene.order(self, self.rng)
        intake = Intake(self.database, vault=ground.vault, ids=self.ids, site="main")
        with self.database.write() as session:
            self.job_id = intake.submit(session, ORDER.validate_python(order), by="crash").job.id
        self.desks = [self.open_desk() for _ in range(2)]

    def open_desk(self) -> Dispatcher:
        """One more dispatcher."""
        return self.build.dispatcher(Desk(self), self, self.clock, name="d")  # type: ignore[arg-type]

    # -- the bell -----------------------------------------------------------------------------------------------

    def ring(self, bells: Iterable[tuple[str, int, str, str]]) -> int:
        """Each message goes to one of the workers that run."""
        bells = list(bells)
        struck = self.gate.of_round(BELLS) if bells else None
        for job_id, token, site, family in bells:
            if self.asked("token")[0] < token:
                self.violations.append(f"the message with token {token} went out before its dispatch was committed")
            self.rung.append((job_id, token, site, family))
            if struck is None or struck.how == "bells-twice":
                for _ in range(1 if struck is None else 2):
                    self.rng.choice(self.workers).hear(job_id, token)
            elif struck.how == "bells-late":
                asyncio.get_running_loop().call_later(struck.seconds, lambda job=job_id, its=token: self.rng.choice(self.workers).hear(job, its))
        return len(bells)

    def ring_again(self) -> None:
        for job_id, token, _, _ in list(self.rung):
            self.rng.choice(self.workers).hear(job_id, token)

    def wake(self) -> None:
        self._woken.set()

    async def until_woken(self, seconds: float) -> None:
        self._woken.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    # -- workers ------------------------------------------------------------------------------------------------

    def start_worker(self, *, solo: bool = False) -> WorkerProcess:
        self._numbers += 1
        worker = WorkerProcess(self, f"w{self._numbers}", solo=solo)
        if not solo:
            self.workers.append(worker)
        self.everybody.append(worker)
        return worker

    def died(self, worker: WorkerProcess, *, counts: bool = True) -> None:
        self.deaths += counts
        if counts and self.rng.random() < 0.5:  # a worker of the same host sees that the process is gone (workers/kin.py)
            with self.database.write() as session:
                session.execute(
                    update(Job)
                    .where(col(Job.worker) == worker.name, col(Job.lease_until).is_not(None))
                    .values(lease_until=self.clock.now() - timedelta(microseconds=1))
                )
            self.wake()
        if worker in self.workers:
            self.workers.remove(worker)
        if not self.workers:
            self.start_worker()

    # -- what befalls it ----------------------------------------------------------------------------------------

    def strike(self, strike: Strike) -> None:
        for node in self.nodes.values():
            node.strikes.append(replace(strike))

    def mutes(self, seconds: float) -> None:
        self.mute_until = self.clock.monotonic() + seconds

    @property
    def mute(self) -> bool:
        """Containers run, and nothing in them answers."""
        return self.clock.monotonic() < self.mute_until

    def lags(self, seconds: float) -> None:
        self.lag_until = self.clock.monotonic() + seconds

    def database_goes(self, seconds: float) -> None:
        self.away_until = self.clock.monotonic() + seconds

    def reboot(self) -> None:
        for node in self.nodes.values():
            node.reboot()

    def send_stranger(self) -> None:
        job = self.job()
        where = job.to_node or job.node
        if job.ctid is not None and where is not None and self.nodes[where].stranger(job.ctid):
            self.strangers.append((self.nodes[where], job.ctid))

    def mend(self) -> None:
        """A person who was told that nobody knows which copy is newer has looked, and starts that one."""
        copy = self.copies.newest_of(CTID) if self.copies.watched and self.case.scene.standing is Standing.RUNNING else None
        if copy is None or any(one.awake and one.ctid == CTID and one.strangers_from is None for one in self.copies.everywhere):
            return
        if copy.frozen:
            thawed(copy)
        elif copy.conf is not None and not copy.running:
            copy.boots()

    def cancel(self) -> None:
        try:
            with self.database.write() as session:
                cancel(self.database, session, session.get_one(Job, self.job_id), by="crash", because="")
        except Refusal as refusal:
            self.tell(str(refusal))
        self.wake()

    # -- looking ------------------------------------------------------------------------------------------------

    def job(self) -> Job:
        with self.database.read() as session:
            return session.get_one(Job, self.job_id)

    def check_database(self) -> None:
        """Raises while the database is away."""
        if self.clock.monotonic() < self.away_until:
            raise OperationalError("", {}, Exception("the database is away"))

    def lose_answer(self) -> None:
        raise OperationalError("", {}, Exception("the answer was lost"))

    async def answers(self, address: str, probe: str) -> bool:
        """A container answers at the addresses it runs with."""
        return not self.mute and any(
            c.awake and address in c.live.get("IP_ADDRESS", "").split() for node in self.nodes.values() for c in node.containers.values()
        )

    def asked(self, what: str) -> Any:
        """Some columns of the job's row."""
        return self.ground.spy.execute(f"select {what} from job where id = ?", (self.job_id,)).fetchone()  # noqa: S608 - words of ours

    def next_moment(self) -> float:
        """Seconds until something can be due in the books; a dispatcher that polls would find nothing until then."""
        state, lease, due = self.asked("state, lease_until, due_at")
        own = [self._seconds_to(moment) for moment in ([lease] if lease else [due] if state in (State.QUEUED, State.UNDOING) else [])]
        breakers = [self._seconds_to(row[0]) for row in self.ground.spy.execute("select broken_until from node where broken_until is not null")]
        trial = TRIAL_AFTER.total_seconds()  # nobody looks at nodes here, so a pause that is over ends with a trial
        held = [wait if wait > 0 else wait + trial for wait in breakers if wait + trial > 0]
        if held and not lease and own and own[0] <= 0:
            return min(30.0, *held)
        return min([30.0, *held, *(wait for wait in own if wait > 0 or not lease)])

    def _seconds_to(self, moment: str) -> float:
        return (datetime.fromisoformat(moment).replace(tzinfo=UTC) - self.clock.now()).total_seconds()

    def tell(self, line: str) -> None:
        self.story.append(f"{self.clock.monotonic() - 1000:9.2f} {line}")

    def _started(self, run: Run) -> None:
        """Whatever starts on a node must stand in the journal already."""
        _, job, step, direction, attempt = run.key
        if self.clock.monotonic() < self.away_until:
            return
        named = (job, step, direction, attempt, run.token)
        row = self.ground.spy.execute("select 1 from begun where job_id=? and step=? and direction=? and attempt=? and token=?", named).fetchone()
        kept = self.ground.spy.execute("select job_id from container where id=?", (run.key[0],)).fetchone()
        begun, kind = self.asked("begun, kind")
        if row is None or not begun:
            self.violations.append(f"{run.name} was started without being journaled")
        if KINDS[kind].placed and (kept is None or kept[0] != job):
            self.violations.append(f"{run.name} was started, and the id was not kept for its job any more")


class _Told(list[str]):
    def __init__(self, house: CrashHouse) -> None:
        super().__init__()
        self._house = house

    def append(self, line: str) -> None:
        self._house.tell(line)
