"""What the storm does, drawn from its seed: processes killed and stopped, servers restarted, links cut, disks full."""

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import redis
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from models.jobs import Job
from models.kinds import FAMILIES
from tests.storm.place import StormPlace

OVER_LEASE_S = (17.0, 24.0)  # a lease is 15 s


@dataclass(frozen=True)
class Killed:
    """A worker that was killed with jobs in hand."""

    at: float  # by the machine's wall clock, as the database's
    jobs: dict[str, str]  # job → the worker that had it


class Weather:
    """Lets one thing happen after the other; what takes time goes on beside the next one."""

    def __init__(self, place: StormPlace, rng: random.Random, tell: Callable[[str], None]) -> None:
        self._place, self._rng, self._tell = place, rng, tell
        self.happened: Counter[str] = Counter()
        self.killed: list[Killed] = []
        self.quakes: list[float] = []  # when something befell what every take-over needs: database, Redis, services
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._threads: list[threading.Thread] = []
        self._old: list[tuple[str, int, str, str]] = []
        self._down: set[str] = set()  # what is stopped or restarting just now
        self._faults: dict[str, tuple[int, Callable[[], None]]] = {
            "kill -9 of a worker": (8, self._kill_worker),
            "kill -9 of a service": (3, self._kill_service),
            "kill -9 of a worker's solo": (1, self._kill_solo),
            "kill -9 of vzq-run on a node": (2, self._kill_runner),
            "SIGTERM to a worker": (2, self._end_worker),
            "SIGSTOP of a worker": (3, self._stop_worker),
            "SIGSTOP of a service": (1, self._stop_service),
            "FLUSHALL": (3, self._flush),
            "Redis killed": (1, lambda: self._redis(empty=False)),
            "Redis killed, back empty": (2, lambda: self._redis(empty=True)),
            "links cut": (4, self._cut),
            "links delayed": (2, self._delay),
            "links dead for a while": (1, self._dead),
            "node rebooted": (2, self._reboot),
            "node's disk full": (2, self._node_disk),
            "command killed on a node": (3, self._kill_command),
            "old messages": (3, self._old_messages),
        }
        if place.on_sqlite:
            self._faults["database's disk full"] = (2, self._database_disk)
        else:
            self._faults["PostgreSQL restarted"] = (2, self._postgres)
        self._round: list[str] = []

    def strike(self) -> None:
        """One fault; in each round of them every one comes once before chance decides alone."""
        if not self._round:
            self._round = [name for name, (times, _) in self._faults.items() for _ in range(times)]
            self._rng.shuffle(self._round)
            first = list(dict.fromkeys(self._round)) if not self.happened else []
            for name in first:
                self._round.remove(name)
            self._round += first
        name = self._round.pop()
        self.happened[name] += 1
        self._tell(name)
        self._faults[name][1]()

    def tick(self) -> None:
        """What was to come later and is due; messages are remembered to be sent again."""
        now = time.monotonic()
        for at, action in [entry for entry in self._later if entry[0] <= now]:
            self._later.remove((at, action))
            action()
        for name in self._place.kept_running:
            if name not in self._down and self._place.processes[name].poll() is not None:
                self._down.add(name)
                self._in(self._rng.uniform(0.2, 1.5), lambda name=name: self._again(name))  # type: ignore[misc]
        with contextlib.suppress(SQLAlchemyError), self._place.house.database.read() as session:
            self._old += [
                (job.id, job.token, job.site, job.family) for job in session.exec(select(Job).where(col(Job.lease_until).is_not(None))).all()
            ]
        self._old = self._old[-200:]

    def calm(self) -> None:
        """Everything that was begun ends; all processes run."""
        for thread in self._threads:
            thread.join(60)
        while self._later:
            at = min(at for at, _ in self._later)
            time.sleep(max(0.0, at - time.monotonic()))
            self.tick()
        for name in self._place.kept_running:
            self._place.processes[name].send_signal(signal.SIGCONT)
        self._place.supervise()
        for wire in self._place.network.wires.values():
            wire.delay_s, wire.open = 0.0, True
        for node in self._place.nodes:
            self._place.ctl(node.name, "up")
            self._place.ctl(node.name, "clear")

    # -- processes ------------------------------------------------------------------------------------------------

    def _again(self, name: str) -> None:
        self._down.discard(name)
        if self._place.processes[name].poll() is not None:
            self._place.begin(name)

    def _a(self, what: str) -> str | None:
        names = [name for name in self._place.kept_running if name.startswith(what) and name not in self._down]
        return self._rng.choice(names) if names else None

    def _in_hand(self, pids: list[int]) -> dict[str, str]:
        with contextlib.suppress(SQLAlchemyError), self._place.house.database.read() as session:
            rows = session.exec(select(Job).where(col(Job.worker).is_not(None), col(Job.lease_until).is_not(None))).all()
            return {job.id: job.worker for job in rows if job.worker and int(job.worker.split("/")[-2]) in pids}
        return {}

    def _kill_worker(self) -> None:
        """The one that has most in hand, mostly."""
        names = [name for name in self._place.kept_running if name.startswith("worker") and name not in self._down]
        if names:
            busy = {name: self._in_hand([self._place.processes[name].pid]) for name in names}
            name = max(names, key=lambda name: len(busy[name])) if self._rng.random() < 0.7 else self._rng.choice(names)
            self._place.processes[name].kill()
            self.killed.append(Killed(time.time(), busy[name]))

    def _kill_service(self) -> None:
        name = self._a("service")
        if name:
            self._place.processes[name].kill()
            self.quakes.append(time.time())

    def _kill_solo(self) -> None:
        solos = self._place.solos()
        if solos:
            pid = self._rng.choice(solos)
            hand = self._in_hand([pid])
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.killed.append(Killed(time.time(), hand))

    def _kill_runner(self) -> None:
        runners = self._place.runners()
        if runners:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._rng.choice(runners), signal.SIGKILL)

    def _end_worker(self) -> None:
        name = self._a("worker")
        if name:
            self._place.processes[name].terminate()

    def _stop_worker(self) -> None:
        self._pause(self._a("worker"), self._rng.uniform(*OVER_LEASE_S))

    def _stop_service(self) -> None:
        self.quakes.append(time.time())
        self._pause(self._a("service"), self._rng.uniform(*OVER_LEASE_S))

    def _pause(self, name: str | None, seconds: float) -> None:
        if name is None:
            return
        process = self._place.processes[name]
        self._down.add(name)
        process.send_signal(signal.SIGSTOP)

        def go_on() -> None:
            self._down.discard(name)
            process.send_signal(signal.SIGCONT)

        self._in(seconds, go_on)

    # -- servers --------------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        with contextlib.suppress(redis.RedisError):
            self._place.empty_redis()
        self.quakes.append(time.time())

    def _redis(self, *, empty: bool) -> None:
        self.quakes.append(time.time())
        self._place.redis_comes_back(empty=empty)

    def _postgres(self) -> None:
        self.quakes.append(time.time())
        self._place.postgres_restarts(how=self._rng.choice((signal.SIGINT, signal.SIGQUIT)))

    def _database_disk(self) -> None:
        self.quakes.append(time.time())

        def full() -> None:
            with self._place.full_disk():
                time.sleep(self._rng.uniform(2, 6))
            self.quakes.append(time.time())

        self._beside(full)

    def _old_messages(self) -> None:
        """Messages come again, some at once and some much later."""
        if self._old:
            again = [self._rng.choice(self._old) for _ in range(20)]
            self._place.house.bell.ring(again)
            self._in(self._rng.uniform(3, 20), lambda: self._place.house.bell.ring(again) and None)
            now = [(job, token + self._rng.randrange(-1, 2), site, FAMILIES[0]) for job, token, site, _ in again[:5]]
            self._place.house.bell.ring(now)

    # -- nodes and links --------------------------------------------------------------------------------------------

    def _wire(self) -> str:
        return self._rng.choice(sorted(self._place.network.wires))

    def _cut(self) -> None:
        for name in self._place.network.wires if self._rng.random() < 0.3 else [self._wire()]:
            self._place.network.do(self._place.network.wires[name].cut())

    def _delay(self) -> None:
        wire = self._place.network.wires[self._wire()]
        wire.delay_s = self._rng.uniform(0.1, 1.0)
        self._in(self._rng.uniform(4, 10), lambda: setattr(wire, "delay_s", 0.0))

    def _dead(self) -> None:
        wire = self._place.network.wires[self._wire()]
        wire.open = False
        self._place.network.do(wire.cut())
        self._in(self._rng.uniform(3, 12), lambda: setattr(wire, "open", True))

    def _reboot(self) -> None:
        self._place.ctl(self._rng.choice(self._place.nodes).name, "reboot")

    def _node_disk(self) -> None:
        node = self._rng.choice(self._place.nodes).name
        self._place.ctl(node, "disk", free_kib=0)
        self._in(self._rng.uniform(3, 8), lambda: self._place.ctl(node, "disk"))

    def _kill_command(self) -> None:
        command = self._rng.choice(("create", "start", "stop", "set", "destroy", "vzmigrate", "chkpnt", "restore"))
        self._place.ctl(self._rng.choice(self._place.nodes).name, "fault", command=command, action="kill")

    # -- later ------------------------------------------------------------------------------------------------------

    def _in(self, seconds: float, action: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, action))

    def _beside(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work)
        thread.start()
        self._threads.append(thread)
