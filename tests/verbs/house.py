"""The real intake, dispatcher, claims, runs and SSH links around one simulated node, all in one loop; only Redis is left out.

The clock can be moved on, so that nobody waits for a pause between two attempts.
"""

import asyncio
import contextlib
import os
import random
import shutil
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import asyncssh
from prometheus_client import CollectorRegistry
from sqlmodel import col, select

from models.clock import SystemClock
from models.database import Database
from models.fleet import Address, Container, Hold, Node, NodeState
from models.house import Worker
from models.ids import JobIds
from models.jobs import Event, Job
from models.kinds import FAMILIES
from models.lifecycle import State
from models.orders import ORDER
from models.standing import Standing
from models.vault import Vault, make_key_file
from ops.simnode.control import carry_out
from ops.simnode.lab import Lab, LabSettings
from producers.admission import TRIAL_AFTER
from producers.dispatcher import Dispatcher
from producers.intake import Intake
from tests.factories import make_plan, make_pool
from workers.claims import Claims
from workers.commands import Finished
from workers.metrics import WorkerMeters
from workers.openvz import holds
from workers.openvz.driver import Sight
from workers.openvz.rows import abilities_of
from workers.openvz.vzctl import Vzctl
from workers.plans.container import identity_of, limits_of
from workers.plans.nodes import learn
from workers.probe.watch import Watches
from workers.reach import answers
from workers.runs import Runs, World
from workers.store import Store
from workers.transport.links import Links
from workers.transport.ssh import NodeAddress

MIB = 1 << 20
TEMPLATE = "busybox-mini-x86_64"
PATIENCE_S = 60.0
METERS = WorkerMeters(CollectorRegistry())


class HurriedClock:
    """The machine's clock, as many seconds ahead as the test has skipped."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        return monotonic() + self.ahead.total_seconds()


class Bells:
    """Stands for Redis: what the dispatcher rings is answered by the worker in the same loop."""

    def __init__(self, house: "VerbHouse") -> None:
        self._house = house

    def ring(self, jobs: Iterable[tuple[str, int, str, str]]) -> int:
        return sum(self._house.hear(job_id, token) for job_id, token, _, _ in jobs)


class VerbHouse:
    """One node, one worker, one dispatcher; `order` gives an order and waits for its end."""

    def __init__(self, folder: Path, template: Path, *, speed: float, probes: Path | None = None) -> None:
        self.clock = HurriedClock()
        self.database = self.database_in(folder, template)
        make_key_file(folder / "key")
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(folder / "ssh")
        (folder / "ssh").chmod(0o600)
        chance = random.Random(1)
        self.vault = Vault(folder / "key")
        self.ids = JobIds(self.clock, chance)
        self.intake = Intake(self.database, vault=self.vault, ids=self.ids, site="main")
        self.lab = Lab(self.lab_settings(folder, speed))
        self.links = Links(client_key=folder / "ssh", clock=self.clock, rng=chance)
        self.store = Store(self.database, self.clock, asyncio.get_running_loop())
        self.claims = Claims(self.database, self.clock, worker="w1", solo=True)  # a job whose worker died goes on here
        self.watches = watches = (
            Watches(probes, clock=SystemClock(), meters=METERS) if probes is not None else None
        )  # a probe's clock cannot be moved on
        world = World(self.database, self.store, self.claims, self.links, self.vault, self.clock, chance, METERS, watches=watches)  # type: ignore[arg-type]
        self.runs = Runs(world)
        self.dispatcher = Dispatcher(self.database, Bells(self), self.clock, name="d1")  # type: ignore[arg-type]
        self.tasks: set[asyncio.Task[Any]] = set()
        self._woken = asyncio.Event()
        self._changed = asyncio.Event()  # a run has ended since it was made
        self._own: list[asyncio.Task[None]] = []
        self.abilities: dict[str, Any] = {}

    def database_in(self, folder: Path, template: Path) -> Database:
        """An upgraded, empty one."""
        shutil.copy(template, folder / "vzq.sqlite")
        return Database(f"sqlite:///{folder / 'vzq.sqlite'}", clock=self.clock)

    def lab_settings(self, folder: Path, speed: float) -> LabSettings:
        """What the simulated nodes are."""
        return LabSettings(state=folder / "lab", any_key=True, speed=speed)

    async def open(self) -> None:
        """Switch the node on, take it into the fleet, write what can be ordered."""
        await self.lab.open()
        about = self.lab.machines["n1"].about()
        where = NodeAddress("n1", str(about["host"]), int(about["port"]), "root", str(about["host_key"]))
        learned = await learn(self.links.to(where), self.clock)
        self.abilities = learned["abilities"]
        second = 160 + os.getpid() % 90  # no other process of this machine answers there
        with self.database.write() as session:
            session.add(
                Node(name="n1", site="main", host=where.host, port=where.port, host_key=where.host_key, state=NodeState.ACTIVE, dialect="vzctl",
                     abilities=learned["abilities"], memory_bytes=64 << 30, disk_bytes=200 << 30, slots={"exec": 16, "create": 16})
            )  # fmt: skip
            now = self.database.now(session)
            session.add(Worker(name="w1", site="main", host="h", slots=dict.fromkeys(FAMILIES, 64), started_at=now, seen_at=now + timedelta(days=9)))
            session.add_all(
                [make_plan("small"), make_plan("large", ram_bytes=512 * MIB, disk_bytes=3 << 30, cpus=2), make_plan("tiny", disk_bytes=MIB)]
            )
            session.add(make_pool(cidr=f"127.{second}.0.0/18", first=f"127.{second}.0.1", last=f"127.{second}.63.254"))
        self._own = [asyncio.create_task(self._serve()), asyncio.create_task(self._beat())]

    async def close(self) -> None:
        for task in (*self._own, *self.tasks):
            task.cancel()
        await asyncio.gather(*self._own, *self.tasks, return_exceptions=True)
        await self.links.close()
        await asyncio.to_thread(self.store.close)
        if self.watches is not None:
            await asyncio.to_thread(self.watches.nursery.close)
        await self.lab.close()
        self.database.close()

    # -- giving orders --------------------------------------------------------------------------------------------

    def place(self, kind: str, ctid: int | None = None, **given: Any) -> str:
        """Accept an order; the job's id. Raises what the intake refuses with."""
        order = ORDER.validate_python({"kind": kind, **({"ctid": ctid} if ctid else {}), **given})
        with self.database.write() as session:
            job = self.intake.submit(session, order, by="test").job
        self._woken.set()
        return job.id

    async def order(self, kind: str, ctid: int | None = None, **given: Any) -> Job:
        """Give the order and wait for its end."""
        return await self.ended(self.place(kind, ctid, **given))

    async def create(self, **given: Any) -> int:
        """A running container; its id."""
        words = {"plan": "small", "template": TEMPLATE, "hostname": "a.example"} | given
        job = await self.order("create-container", **words)
        assert job.state == State.DONE, job.error
        assert job.ctid is not None
        return job.ctid

    async def ended(self, job_id: str) -> Job:
        """The job, once it has ended or a person must look."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                job = self.job(job_id)
                if job.ended or job.state == State.STUCK:
                    return job
                await self._changed.wait()

    async def step(self, job_id: str, step: str) -> None:
        """Wait until the job is at this step."""
        async with asyncio.timeout(PATIENCE_S):
            while self.job(job_id).step != step:
                await asyncio.sleep(0.01)

    async def until(self, job_id: str, state: State) -> None:
        """Wait until the job is in this state."""
        async with asyncio.timeout(PATIENCE_S):
            while self.job(job_id).state != state:
                await asyncio.sleep(0.01)

    def hear(self, job_id: str, token: int) -> int:
        task = asyncio.create_task(self.runs.answer(job_id, token))
        self.tasks.add(task)
        task.add_done_callback(self._heard)
        return 1

    def _heard(self, task: "asyncio.Task[Any]") -> None:
        self.tasks.discard(task)
        self._woken.set()
        self._changed.set()
        self._changed = asyncio.Event()
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def _serve(self) -> None:
        """Go round whenever something may be due; where all wait for an hour, that hour comes at once."""
        while True:
            self._woken.clear()
            self.dispatcher.go_round()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.25 if self.tasks else 0.05):  # wait_for loses a cancel that comes with the call (Python 3.11)
                    await self._woken.wait()
            if not self.tasks:
                self._hurry()

    async def _beat(self) -> None:
        while True:
            await self.renew()
            await asyncio.sleep(2)

    async def renew(self) -> None:
        """What the worker's heartbeat does; it also learns there that a cancel was asked for."""
        before, asked = self.clock.monotonic(), set(self.claims.held)
        self.claims.renewed(await self.store.write(self.claims.renew), before=before, asked=asked)

    def lose_leases(self) -> None:
        """As if the worker had died: what it has in hand is somebody else's from now on."""
        self.clock.ahead += timedelta(seconds=30)
        self._woken.set()

    async def answers(self, address: str) -> bool:
        """Asked from where the customer stands."""
        return await answers(address, "tcp:7000")

    def _hurry(self) -> None:
        now = self.clock.now()
        with self.database.read() as session:
            waiting = col(Job.state).in_((State.QUEUED, State.UNDOING)), col(Job.due_at) > now
            tried = [until + TRIAL_AFTER for until in session.exec(select(Node.broken_until)) if until is not None]
            hours = [*session.exec(select(Job.due_at).where(*waiting)), *(hour for hour in tried if hour > now)]
        if hours:
            self.clock.ahead += min(hour for hour in hours if hour is not None) - now
            self._woken.set()

    # -- looking --------------------------------------------------------------------------------------------------

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            job = session.get(Job, job_id)
            assert job is not None
            return job

    def row(self, ctid: int) -> Container | None:
        with self.database.read() as session:
            return session.get(Container, ctid)

    def addresses(self, ctid: int) -> list[str]:
        with self.database.read() as session:
            return sorted(session.exec(select(Address.address).where(Address.ctid == ctid)).all())

    def story(self, job_id: str) -> list[str]:
        """What happened to the job, a line an event."""
        with self.database.read() as session:
            return [f"{event.cause} {event.why}" for event in session.exec(select(Event).where(Event.job_id == job_id).order_by(col(Event.id)))]

    @property
    def node(self) -> Any:
        return self.lab.machines["n1"].node

    @property
    def root(self) -> Path:
        return self.node.sandbox.root

    async def ctl(self, operation: str, **details: object) -> Any:
        return await carry_out(self.lab, {"node": "n1", "op": operation, **details})

    async def shell(self, *words: str) -> tuple[int, str]:
        """What an administrator does on the node; exit code and all output."""
        where = self.lab.machines["n1"].about()
        node = NodeAddress("n1", str(where["host"]), int(where["port"]), "root", str(where["host_key"]))
        done = await self.links.to(node).run(list(words), timeout=timedelta(seconds=30))
        return done.code, done.out + done.err

    async def sight(self, ctid: int) -> Sight:
        driver = Vzctl()
        code, out = await self.shell(*driver.look(ctid).argv)
        assert code == 0, out
        return driver.sight(Finished(0, out, ""))

    def nothing_kept(self) -> None:
        """No capacity and no address is kept for a job any more."""
        with self.database.read() as session:
            assert session.exec(select(Hold)).all() == []
            assert session.exec(select(Address).where(col(Address.job_id).is_not(None))).all() == []

    async def agrees(self, ctid: int) -> None:
        """The node shows what the rows say: standing, limits, names, addresses, mark; and nothing is left over."""
        row, sight = self.row(ctid), await self.sight(ctid)
        if row is None:
            assert sight.nothing, sight
            assert self.addresses(ctid) == []
            return
        assert sight.whole, sight
        assert sight.marker == row.job_id
        assert sight.aside is None
        up = row.standing is Standing.RUNNING
        assert sight.running is up
        driver = Vzctl(abilities_of(self.abilities))
        assert driver.has_onboot(sight, onboot=up)
        assert driver.has_disabled(sight, disabled=row.standing in (Standing.SUSPENDED, Standing.TERMINATED))
        assert driver.has_limits(sight, limits_of(row)), (sight.conf, limits_of(row))
        assert driver.has_identity(sight, identity_of(row)), (sight.conf, identity_of(row))
        addresses = self.addresses(ctid)
        assert holds.lacking(sight, addresses) == []
        assert len(sight.addresses) == len(addresses)
        assert sorted(self.node.state(ctid).addresses) == (addresses if up else [])
        if row.name:
            assert (self.root / "etc/vz/names" / row.name).is_symlink()


@contextlib.asynccontextmanager
async def house_in(
    folder: Path, template: Path, *, speed: float = 0.001, probes: Path | None = None, kind: type[VerbHouse] = VerbHouse
) -> AsyncIterator[VerbHouse]:
    house = kind(folder, template, speed=speed, probes=probes)
    try:
        await house.open()
        yield house
    finally:
        await house.close()
