"""Everything on one machine: brought up in order until it is proven to work, tended, and stopped in order."""

import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import redis

from models.jobs import Job
from models.lifecycle import State
from models.orders import CheckQueue
from models.settings import Settings
from producers.bell import connect
from producers.embedded import lab, programs, redis_server
from producers.embedded.state_folder import StateFolder
from producers.embedded.stopping import Stopping
from producers.embedded.supervisor import Program, Supervisor
from producers.house import House, open_house

REDIS, LAB, SERVICE, WORKER = "redis", "lab", "service", "worker"
PATIENCE_S = 60.0  # for each thing that is waited for; on a slow machine all of it takes some ten seconds
GIVEN_REDIS_S = 5.0  # a server that is not ours to start is there or it is not
TRIES = 3  # deaths in a row before the start is given up


class CannotStartError(Exception):
    """The house does not come up; says why and what to do."""


class StoppedError(Exception):
    """Somebody wanted it to stop before it was through."""


@dataclass(frozen=True)
class Wanted:
    """What is to be brought up."""

    settings: Settings
    lab: int = 0  # simulated nodes
    speed: float | None = None  # of the simulated nodes; None: their own default
    workers: int = 1
    api: str = "127.0.0.1:9080"
    service_metrics: str = "127.0.0.1:9464"
    worker_metrics: str = "127.0.0.1:9465"  # of the first; the others count up from it


class Embedded:
    """One embedded house in the foreground: `start`, `tend`, `stop`. All three from the main thread."""

    def __init__(self, wanted: Wanted, folder: StateFolder, stopping: Stopping, *, say: Callable[[str], None]) -> None:
        self.house: House = open_house(wanted.settings)
        self.nodes: list[lab.LabNode] = []
        self._wanted = wanted
        self._folder = folder
        self._stopping = stopping
        self._say = say
        self._supervisor = Supervisor(folder.logs, say=say)
        self._workers = [f"{WORKER}-{number}" if number > 1 else WORKER for number in range(1, wanted.workers + 1)]

    def start(self) -> None:
        """Bring all of it up; returns when an order went through the whole queue and every simulated node works."""
        wanted, settings = self._wanted, self._wanted.settings
        self._check_ports()
        if not settings.redis_url:
            self._start_redis()
        before = lab.stamp(self._folder.lab)
        if wanted.lab:
            self._start(lab.program(settings, self._folder.lab, nodes=wanted.lab, speed=wanted.speed))
        elif lab.nodes_of(self._folder.lab):
            self._say(f"lab      not started; its nodes do not answer until it is: --lab {len(lab.nodes_of(self._folder.lab))}")
        self.house.database.upgrade()
        self._until_redis_answers()
        self._start(programs.service(settings, metrics=wanted.service_metrics, api=wanted.api))
        for number, name in enumerate(self._workers):
            self._start(programs.worker(settings, name=name, metrics=_nth(wanted.worker_metrics, number)))
        check = self._order_check()
        if wanted.lab:
            self._enrol(before)
        self._until(lambda: self._ended_well(check), "an order goes through the queue", needs=[REDIS, SERVICE, *self._workers])

    def tend(self, until: Callable[[], bool] = lambda: False) -> None:
        """Keep everything running until somebody wants it to stop, or `until` says so."""
        while not self._stopping.asked and not until():
            self._look()
            time.sleep(0.05)

    def mind(self, pause_s: float) -> None:
        """Keep everything running for a moment; raises StoppedError when somebody wants it to stop."""
        end = time.monotonic() + pause_s
        self.tend(lambda: time.monotonic() >= end)
        if self._stopping.asked:
            raise StoppedError

    def stop(self) -> None:
        """Workers first, so that they give back what they have; then the service, Redis and the lab."""
        for names in (self._workers, [SERVICE], [REDIS], [LAB]):
            self._supervisor.stop(names, hurry=self._stopping.at_once)
        self._supervisor.kill()
        self.house.close()

    def _start_redis(self) -> None:
        server, socket_path = redis_server.find_server(), self._wanted.settings.redis_socket
        data = self._folder.path / "redis"
        redis_server.make_folders(socket=socket_path, folder=data)
        self._start(Program(REDIS, redis_server.command(server, socket=socket_path, folder=data)))
        self._say(f"redis    {server.name} on {socket_path}")

    def _enrol(self, before: tuple[int, int]) -> None:
        """Real orders: the worker pins the host key, installs the node's side and looks at each node."""
        house, wanted = self.house, self._wanted.lab
        lab.furnish(house)
        self._until(lambda: lab.stamp(self._folder.lab) != before, f"{wanted} simulated nodes are ready", needs=[LAB])
        self.nodes = lab.nodes_of(self._folder.lab)
        jobs = lab.enrol(house, self.nodes)
        self._until(lambda: self._working(jobs), "all simulated nodes are enrolled", needs=[REDIS, LAB, SERVICE, *self._workers])
        self._say(
            f"lab      {len(self.nodes)} simulated nodes: {', '.join(node.name for node in self.nodes[:8])}{' …' if len(self.nodes) > 8 else ''}"
        )

    def _working(self, jobs: Sequence[str]) -> bool:
        bad = lab.failure(self.house, jobs)
        if bad:
            raise CannotStartError(f"{bad}; see {self._folder.logs}")
        return lab.working(self.house, self.nodes)

    def _order_check(self) -> str:
        with self.house.database.write() as session:
            job = self.house.intake.submit(session, CheckQueue(), by=lab.ASKER, because="does all of it work together?").job.id
        self.house.bell.wake()
        return job

    def _ended_well(self, job_id: str) -> bool:
        with self.house.database.read() as session:
            job = session.get_one(Job, job_id)
        if job.state == State.DONE:
            return True
        if job.ended or job.state == State.STUCK:
            raise CannotStartError(f"job {job.id} ({job.kind}) is {job.state}: {job.error}; see {self._folder.logs}")
        return False

    def _start(self, program: Program) -> None:
        self._supervisor.start(program)
        self._tell()

    def _look(self) -> None:
        if self._supervisor.look():
            self._tell()

    def _tell(self) -> None:
        wanted = self._wanted
        ports = [_nth(wanted.worker_metrics, number) for number in range(wanted.workers)]
        self._folder.tell(
            self._supervisor.pids(), redis=_without_password(wanted.settings.redis), metrics={SERVICE: wanted.service_metrics, WORKER: ports}
        )

    def _until(self, condition: Callable[[], bool], what: str, *, needs: Sequence[str] = (), patience_s: float = PATIENCE_S) -> None:
        """Wait for it, minding the children; raises CannotStartError when one of `needs` does not stay up or it takes too long."""
        deadline = time.monotonic() + patience_s
        while not condition():
            if self._stopping.asked:
                raise StoppedError
            self._look()
            for name in needs:
                if self._supervisor.deaths(name) >= TRIES:
                    raise CannotStartError(
                        f"{name} does not stay up: {self._supervisor.last_words(name) or 'it said nothing'}; see {self._folder.logs}"
                    )
            if time.monotonic() > deadline:
                raise CannotStartError(f"waited {patience_s:.0f} s in vain until {what}; see {self._folder.logs}")
            time.sleep(0.02)

    def _until_redis_answers(self) -> None:
        what = f"the server at {_without_password(self._wanted.settings.redis)} answers"
        if self._wanted.settings.redis_url:
            self._until(self._redis_answers, f"{what} (it must run, and VZQ_REDIS_URL must name it)", patience_s=GIVEN_REDIS_S)
        else:
            self._until(self._redis_answers, what, needs=[REDIS])

    def _redis_answers(self) -> bool:
        try:
            with connect(self._wanted.settings.redis) as client:
                return bool(client.ping())
        except redis.AuthenticationError as error:
            raise CannotStartError(f"{_without_password(self._wanted.settings.redis)}: {error}; mend VZQ_REDIS_URL") from None
        except redis.RedisError:
            return False

    def _check_ports(self) -> None:
        wanted = self._wanted
        _check_free(wanted.api, "VZQ_API")
        _check_free(wanted.service_metrics, "VZQ_SERVICE_METRICS")
        for number in range(wanted.workers):
            _check_free(_nth(wanted.worker_metrics, number), "VZQ_WORKER_METRICS")


def _nth(metrics: str, number: int) -> str:
    """The address of the number-th of several alike; port 0 stays 0, that is any free one."""
    host, _, port = metrics.rpartition(":")
    return f"{host}:{int(port) + number}" if number and int(port) else metrics


def _check_free(metrics: str, setting: str) -> None:
    host, _, port = metrics.rpartition(":")
    try:
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host or "127.0.0.1", int(port)))
    except (ValueError, OverflowError):
        raise CannotStartError(f"{setting} is {metrics!r}; write host:port") from None
    except OSError as error:
        raise CannotStartError(
            f"nothing can be served on port {port} of {host}: {os.strerror(error.errno or 0)}; set {setting} to a free host:port"
        ) from None


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return url if parts.password is None else url.replace(f":{parts.password}@", ":***@")
