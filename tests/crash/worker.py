"""A worker process as workers/main.py puts it together, with a life that can end anywhere."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from sqlalchemy import delete, update
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col

from models.errors import Unreachable, Unsure
from models.house import Worker
from models.kinds import FAMILIES
from tests.crash.faults import Fault
from tests.crash.gate import WorkerDied
from tests.crash.node import RunnerDied, StandInNode
from tests.crash.scenes import OLD_PASSWORD, PASSWORD
from workers.claims import RENEW_S, RunAlone
from workers.commands import Finished
from workers.metrics import WorkerMeters
from workers.runs import World
from workers.transport.ssh import NodeAddress, Raw

if TYPE_CHECKING:
    from tests.crash.house import CrashHouse

BROKEN = "the worker itself broke: "  # no build may be caught by this
PATIENCE_S = 8.0  # as workers/store.py
METERS = WorkerMeters(CollectorRegistry())


class Store:
    """workers/store.py without its thread: the same promises, one transaction a piece of work."""

    def __init__(self, house: "CrashHouse", worker: "WorkerProcess") -> None:
        self._house = house
        self._worker = worker

    async def write(self, function: Callable[[Session], Any], *, job: str | None = None) -> Any:
        house = self._house
        fault = await house.gate.point(self._worker, "before a commit")
        until = house.clock.monotonic() + PATIENCE_S
        lost = fault is not None and fault.how == "unanswered"
        while True:
            try:
                house.check_database()
                self._worker.check_reach()
                with house.database.write() as session:
                    answer = function(session)
                lost, was_lost = False, lost
                if was_lost:
                    house.lose_answer()
            except OperationalError:
                if house.clock.monotonic() >= until:
                    raise
                await asyncio.sleep(0.25)
            else:
                break
        await house.gate.point(self._worker, "after a commit")
        return answer


class Link:
    """The way to one stand-in node."""

    def __init__(self, house: "CrashHouse", worker: "WorkerProcess", node: StandInNode) -> None:
        self._house = house
        self._worker = worker
        self._stand_in = node

    @property
    def node(self) -> str:
        return self._stand_in.name

    async def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: timedelta) -> Finished:
        await self._before(argv)
        answer = self._stand_in.directly(list(argv)) if not (self._house.mute and argv[1] == "exec2") else (31, "", "Container is not running")
        await self._after(argv)
        return Finished(*answer)

    async def exchange(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: timedelta) -> Raw:
        fault = await self._before(argv)
        words = list(argv[1:])
        if PASSWORD in " ".join(argv) or OLD_PASSWORD in " ".join(argv):
            self._stand_in.violations.append("a password is in a command line")
        if fault is not None and fault.how == "late":
            asyncio.get_running_loop().call_later(fault.seconds, lambda: asyncio.ensure_future(self._arrives_late(words, stdin)))
            raise Unsure(f"{self.node}: the link died")
        try:
            out = await self._stand_in.vzq_run(words, stdin)
        except RunnerDied:
            raise Unsure(f"vzq-run on {self.node} was ended by SIGKILL") from None
        await self._after(argv)
        return Raw(0, out, b"")

    async def _arrives_late(self, words: list[str], stdin: bytes) -> None:
        with suppress(RunnerDied):
            await self._stand_in.vzq_run(words, stdin)

    async def _before(self, argv: Sequence[str]) -> Fault | None:
        step = f" step {argv[5]}" if argv[1] == "begin" else ""
        frozen = self._worker.freezes
        fault = await self._house.gate.point(self._worker, f"before {' '.join(argv[:2])}{step}")
        await asyncio.sleep(0.005 if self._house.clock.monotonic() >= self._house.lag_until else 2.0)
        if not self._worker.alive:
            raise WorkerDied
        if fault is not None and fault.how == "cut":
            raise Unreachable(f"{self.node} does not answer")
        if fault is not None and fault.how == "torn":
            raise Unsure(f"{self.node}: the link died in the middle of the request")
        if (
            frozen == self._worker.freezes and argv[1] != "attach"
        ):  # waiting for what it started is no harm; what a worker says that stood still on its way here is for the ledger to refuse
            self._worker.must_have_its_lease(f"{' '.join(argv[:2])} on {self.node}")
        return fault

    async def _after(self, argv: Sequence[str]) -> None:
        fault = await self._house.gate.point(self._worker, f"after {' '.join(argv[:2])}")
        if fault is not None and fault.how in ("cut", "torn", "late"):
            raise Unsure(f"{self.node}: the link died")


class WorkerProcess:
    """What workers/main.py puts together, with a life that can end anywhere."""

    def __init__(self, house: "CrashHouse", name: str, *, solo: bool = False) -> None:
        self.name = name
        self.alive = True
        self.freezes = 0
        self.cut_off_until = 0.0
        self._frozen: asyncio.Future[None] | None = None
        self._house = house
        store: Any = Store(house, self)
        self.claims = house.build.claims(house.database, house.clock, worker=name, solo=solo)
        world = World(house.database, store, self.claims, self, house.ground.vault, house.clock, house.rng, METERS, house.answers)
        self._runs = house.build.runs(world)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._heart = asyncio.create_task(self._beat())
        if not solo:
            with house.database.write() as session:
                now, long = house.clock.now(), timedelta(days=1)  # it is seen for as long as the case may last, without a heartbeat while idle
                session.add(Worker(name=name, site="main", host="here", slots=dict.fromkeys(FAMILIES, 4), started_at=now, seen_at=now + long))

    def to(self, address: NodeAddress) -> Link:
        return Link(self._house, self, self._house.nodes[address.name])

    def hear(self, job_id: str, token: int) -> None:
        task = asyncio.create_task(self._answer(job_id, token))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, job_id: str, token: int) -> None:
        try:
            await self._runs.answer(job_id, token)
        except RunAlone:
            solo = self._house.start_worker(solo=True)
            solo.hear(job_id, token)
        except WorkerDied:
            return
        except OperationalError:
            return  # workers/main.py: bell_unanswered
        except Exception as error:  # noqa: BLE001 - told, so that no case hangs on it
            self._house.violations.append(f"{BROKEN}{error!r}")
            self._house.given_up = True
            return
        self._house.wake()

    async def _beat(self) -> None:
        house = self._house
        while True:
            before, asked = house.clock.monotonic(), set(self.claims.held)
            if asked and before >= max(house.away_until, self.cut_off_until):
                with house.database.write() as session:
                    still = self.claims.renew(session)
                    session.execute(update(Worker).values(seen_at=house.clock.now() + timedelta(days=1)))
                self.claims.renewed(still, before=before, asked=asked)
            await asyncio.sleep(RENEW_S)
            if not self.busy and self not in house.workers:
                return

    def die(self) -> None:
        """SIGKILL: nothing of it does anything more; the supervisor starts another."""
        if not self.alive:
            return
        self.alive = False
        self._heart.cancel()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()  # wherever it stands, the first thing it comes to is a point
        self._house.died(self)

    async def freeze(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after a while."""
        self.freezes += 1
        self._heart.cancel()
        self._house.died(self, counts=False)
        self._frozen = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(seconds, self.thaw)
        await self._frozen
        if self.alive:
            self._heart = asyncio.create_task(self._beat())

    def check_reach(self) -> None:
        """Raises while this worker alone cannot reach the database."""
        if self._house.clock.monotonic() < self.cut_off_until:
            self._house.lose_answer()

    def must_have_its_lease(self, saying: str) -> None:
        """The watch: whoever speaks to a node has the job, and its lease runs."""
        house = self._house
        if house.clock.monotonic() < house.away_until:
            return  # nobody else can take it meanwhile either
        worker, lease = house.asked("worker, lease_until")
        if worker != self.name or lease is None or datetime.fromisoformat(lease).replace(tzinfo=UTC) <= house.clock.now():
            house.violations.append(f"{self.name} said {saying} without its lease ({worker} has the job until {lease})")

    def thaw(self) -> None:
        if self._frozen is not None and not self._frozen.done():
            self._frozen.set_result(None)

    def stop(self) -> None:
        """SIGTERM: sign off, hand over, end."""
        self._house.died(self, counts=False)
        with self._house.database.write() as session:
            session.execute(delete(Worker).where(col(Worker.name) == self.name))
        for task in self._tasks:
            task.cancel()
        if not self._tasks:
            self._heart.cancel()

    def rest(self) -> None:
        """Nothing is in hand any more and nothing will come."""
        self._heart.cancel()

    @property
    def busy(self) -> bool:
        return any(not task.done() for task in self._tasks)
