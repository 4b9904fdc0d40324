"""What benchmarks run in: a throw-away folder, real Redis and databases, and our own processes as an installation starts them."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import asyncssh
import psycopg
import redis

from models.database import Database
from models.settings import Settings
from producers.house import House, open_house
from tests import servers

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
NUMBERS = count(1)
# Against a rival on the same server, so with the promises of a server in earnest: tests/servers.py leaves them off.
IN_EARNEST = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "autovacuum": "on", "shared_buffers": "128MB"}


class TookTooLong(Exception):
    """Something the benchmark waits for did not happen."""


def wait_until(true: Callable[[], bool], what: str, *, patience_s: float = PATIENCE_S, every_s: float = 0.02) -> None:
    """Ask again and again; raises TookTooLong."""
    until = time.monotonic() + patience_s
    while not true():
        if time.monotonic() > until:
            raise TookTooLong(f"{what}: not within {patience_s:.0f} s")
        time.sleep(every_s)


@dataclass
class Place:
    """Servers for one run of benchmarks, started when first asked for and ended with it."""

    folder: Path
    stack: ExitStack
    _redis_url: str = ""
    _postgres_url: str = ""
    _emptied: dict[str, Path] = field(default_factory=dict)

    @property
    def redis_url(self) -> str:
        if not self._redis_url:
            process, self._redis_url = servers.start_redis(self._below("r"))
            self.stack.callback(servers.stop, process)
        return self._redis_url

    def empty_redis(self) -> None:
        """Nothing of an earlier round is left."""
        with redis.Redis.from_url(self.redis_url) as client:
            client.flushall()

    @property
    def postgres_url(self) -> str:
        """URL of the `postgres` database; raises tests.servers.Missing where there is no PostgreSQL."""
        if not self._postgres_url:
            process, url = servers.start_postgres(self._below("p"))
            argv = [*process.args, *(word for name, value in IN_EARNEST.items() for word in ("-c", f"{name}={value}"))]
            servers.stop(process)
            user = servers.NOBODY if os.geteuid() == 0 else None
            quiet = subprocess.DEVNULL
            again = subprocess.Popen(argv, stdout=quiet, stderr=quiet, user=user, cwd=self.folder / "p", preexec_fn=servers._tied)  # noqa: PLW1509
            self.stack.callback(servers.stop, again)
            wait_until(lambda: _connects(url), "PostgreSQL with fsync")
            self._postgres_url = url
        return self._postgres_url

    def database(self, engine: str) -> str:
        """URL of a fresh database on `sqlite` or `postgresql`, with our schema."""
        name = f"bench{next(NUMBERS)}"
        url = f"sqlite:///{self.folder / name}.sqlite" if engine == "sqlite" else self.empty_postgres(name)
        database = Database(url)
        database.upgrade()
        database.close()
        return url

    def empty_postgres(self, name: str) -> str:
        """URL of a database with nothing in it."""
        with psycopg.connect(self.postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"create database {name}")
        return self.postgres_url.replace("/postgres?", f"/{name}?")

    def installation(self, engine: str, **settings: str) -> "Installation":
        """A fresh installation, nothing of it running yet."""
        return Installation(self, self._below(f"i{next(NUMBERS)}"), self.database(engine), settings)

    def _below(self, name: str) -> Path:
        (self.folder / name).mkdir()
        return self.folder / name


class Installation:
    """One house: its settings, the producers' side opened here, service and worker as processes of their own."""

    def __init__(self, place: Place, state: Path, database: str, settings: Mapping[str, str]) -> None:
        (state / "ssh").mkdir()
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(state / "ssh" / "id_ed25519")
        (state / "ssh" / "id_ed25519").chmod(0o600)
        asyncssh.read_private_key(state / "ssh" / "id_ed25519").write_public_key(state / "ssh" / "id_ed25519.pub")
        self.settings = Settings(state=state, database=database, redis_url=place.redis_url)
        own = {
            "VZQ_STATE": state,
            "VZQ_DATABASE": database,
            "VZQ_REDIS_URL": place.redis_url,
            "VZQ_API": "127.0.0.1:0",
            "VZQ_SERVICE_METRICS": "127.0.0.1:0",
            "VZQ_WORKER_METRICS": "127.0.0.1:0",
        }
        self.environment = dict(os.environ) | {name: str(value) for name, value in own.items()} | dict(settings)
        self.house: House = open_house(self.settings)

    @contextmanager
    def process(self, module: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """One of our programs, for the length of the block; what it says is in the state folder."""
        with (self.settings.state / f"{module}.log").open("ab") as log, started(module, *words, env=self.environment, log=log) as process:
            yield process

    @contextmanager
    def running(self, *, workers: int = 1) -> Iterator[list[subprocess.Popen[bytes]]]:
        """Service and workers, up and idle: the service first, then the workers."""
        with ExitStack() as stack:
            processes = [stack.enter_context(self.process("producers.service"))]
            processes += [stack.enter_context(self.process("workers.main")) for _ in range(workers)]
            wait_until(lambda: self._registered() >= workers, f"worker of {self.settings.state}")
            time.sleep(0.5)  # their imports and first rounds are over
            yield processes

    def _registered(self) -> int:
        with self.house.database.read() as session:
            return int(session.connection().exec_driver_sql("select count(*) from worker").scalar_one())

    def open_jobs(self) -> int:
        """Jobs that have not ended, asked as cheaply as can be."""
        with self.house.database.read() as session:
            return int(
                session.connection()
                .exec_driver_sql("select count(*) from job where state in ('queued', 'dispatched', 'running', 'undoing')")
                .scalar_one()
            )

    def close(self) -> None:
        """Give the connections back."""
        self.house.close()


@contextmanager
def started(module: str, *words: str, env: Mapping[str, str], log: int | object = subprocess.DEVNULL) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m module`, ended with TERM at the end of the block."""
    process = subprocess.Popen([sys.executable, "-m", module, *words], cwd=ROOT, env=dict(env), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def place() -> Iterator[Place]:
    """A folder under /tmp, short because a socket's path may have 107 bytes only."""
    folder = Path(tempfile.mkdtemp(prefix="vzqb-", dir="/tmp"))
    folder.chmod(0o711)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield Place(folder, stack)


def _connects(url: str) -> bool:
    try:
        psycopg.connect(url.replace("+psycopg", "")).close()
    except psycopg.OperationalError:
        return False
    return True
