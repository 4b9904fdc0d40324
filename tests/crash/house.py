"""The real dispatcher, claims, journal, runs and plan around stand-in nodes, in virtual time on SQLite."""

import asyncio
import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from sqlalchemy import delete, update
from sqlalchemy.exc import OperationalError
from sqlmodel import SQLModel, col, select

from models.database import Database
from models.ids import JobIds
from models.jobs import Begun, Job
from models.orders import ORDER
from models.vault import Vault, make_key_file
from producers.dispatcher import Dispatcher
from producers.intake import Intake
from producers.jobs import cancel
from producers.refusals import Refusal
from tests.crash.faults import Case
from tests.crash.gate import Gate
from tests.crash.node import Run, StandInNode, Strike
from tests.crash.worker import PASSWORD, WorkerProcess
from tests.factories import make_node, make_plan, make_pool
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


class CrashHouse:
    """One case: a job, two nodes, workers that come and go."""

    def __init__(self, ground: Ground, case: Case, build: Build) -> None:
        self.ground, self.case, self.build = ground, case, build
        self.clock, self.database = ground.clock, ground.database
        self.rng = random.Random(case.seed)
        self.gate = Gate(self, case.faults)
        self.away_until = 0.0
        self.deaths = 0
        self.story: list[str] = []
        self.violations: list[str] = []
        self.strangers: list[tuple[StandInNode, int]] = []
        self.rung: list[tuple[str, int, str, str]] = []
        self.workers: list[WorkerProcess] = []  # who gets messages
        self.everybody: list[WorkerProcess] = []
        self._numbers = 0
        self._woken = asyncio.Event()
        self.nodes = {name: build.node(name, on_start=self._started) for name in ("n1", "n2")}
        for node in self.nodes.values():
            node.violations, node.story = self.violations, _Told(self)
        ground.clear()
        with self.database.write() as session:
            session.add_all(
                [make_plan(cpus=2, cpuunits=2000), make_pool(nameservers=["9.9.9.9"]), *(make_node(name, abilities=ABILITIES) for name in self.nodes)]
            )
        order = {"kind": "create-container", "plan": "small", "template": "busybox", "hostname": "a.example.net", "name": "web-a"}
        order |= {"password": PASSWORD} if case.password else {}
        order |= {"ctid": 5000 + case.seed % 1000} if case.own_ctid else {}
        intake = Intake(self.database, vault=ground.vault, ids=JobIds(self.clock, self.rng), site="main")
        with self.database.write() as session:
            self.job_id = intake.submit(session, ORDER.validate_python(order), by="crash").job.id
        self.dispatcher: Dispatcher = build.dispatcher(self.database, self, self.clock, name="d")  # type: ignore[arg-type]

    # -- the bell -----------------------------------------------------------------------------------------------

    def ring(self, bells: Iterable[tuple[str, int, str, str]]) -> int:
        """Each message goes to one of the workers that run."""
        rung = 0
        for job_id, token, site, family in bells:
            self.rung.append((job_id, token, site, family))
            self.rng.choice(self.workers).hear(job_id, token)
            rung += 1
        return rung

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

    def send_stranger(self) -> None:
        job = self.job()
        if job.ctid is not None and job.node is not None and self.nodes[job.node].stranger(job.ctid):
            self.strangers.append((self.nodes[job.node], job.ctid))

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
        """A container answers at its address once it runs."""
        return any(c.running and (c.conf or {}).get("IP_ADDRESS") == address for node in self.nodes.values() for c in node.containers.values())

    def tell(self, line: str) -> None:
        self.story.append(f"{self.clock.monotonic() - 1000:9.2f} {line}")

    def _started(self, run: Run) -> None:
        """Whatever starts on a node must stand in the journal already."""
        _, job, step, direction, attempt = run.key
        if self.clock.monotonic() < self.away_until:
            return
        with self.database.read() as session:
            same = (Begun.job_id == job, Begun.step == step, Begun.direction == direction, Begun.attempt == attempt, Begun.token == run.token)
            row = session.exec(select(Begun).where(*same)).first()
            begun = session.get_one(Job, job).begun
        if row is None or not begun:
            self.violations.append(f"{run.name} was started without being journaled")


class _Told(list[str]):
    def __init__(self, house: CrashHouse) -> None:
        super().__init__()
        self._house = house

    def append(self, line: str) -> None:
        self._house.tell(line)
