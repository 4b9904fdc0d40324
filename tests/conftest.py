"""What everyone's tests stand on: the clock, a real Redis, real databases."""

import gc
import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
import structlog

from models.database import Database
from tests import servers
from tests.stand_ins import ManualClock

NUMBERS = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    """In a shell's background, or under nohup, a suite ignores signals that tests send to the programs they start."""
    if not hasattr(config, "workerinput"):
        for number, usual in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, usual)


def pytest_collection_finish() -> None:
    """Thousands of collected tests stay to the end; the collector need not look through them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _log_of_its_own() -> Iterator[None]:
    """A test that sets up logging prints to its own standard error, which is closed when the next one runs."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _environment_of_its_own() -> Iterator[None]:
    """`vzq --database` and the like put what they are told into the environment, where the next test's house would find it."""
    before = {name: value for name, value in os.environ.items() if name.startswith("VZQ_")}
    yield
    for name in [name for name in os.environ if name.startswith("VZQ_")]:
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Short, because a socket's path may have 107 bytes only; open, because PostgreSQL runs as nobody where we are root."""
    folder = Path(tempfile.mkdtemp(prefix="vzqt-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def redis_url(server_folder: Path) -> Iterator[str]:
    """One real server for all tests of this process; `empty_redis` is the same, emptied."""
    (server_folder / "r").mkdir()
    process, url = servers.start_redis(server_folder / "r")
    yield url
    servers.stop(process)


@pytest.fixture
def empty_redis(redis_url: str) -> str:
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    return redis_url


@pytest.fixture(scope="session")
def postgres_url(server_folder: Path) -> Iterator[str]:
    """URL of the `postgres` database of a real cluster; skips, loudly, where there is none to be had."""
    (server_folder / "p").mkdir()
    try:
        process, url = servers.start_postgres(server_folder / "p")
    except servers.Missing as missing:
        if os.environ.get("CI"):
            pytest.fail(f"POSTGRESQL IS NOT TESTED: {missing}")
        pytest.skip(f"POSTGRESQL IS NOT TESTED: {missing}")
    yield url
    servers.stop(process)


@pytest.fixture(scope="session")
def sqlite_template(server_folder: Path) -> Path:
    """An upgraded, empty database to copy from: ten times as fast as upgrading again."""
    path = server_folder / "template.sqlite"
    _upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> str:
    """The name of an upgraded, empty database."""
    _on_server(postgres_url, "create database vzq_template")
    _upgrade(_named(postgres_url, "vzq_template"))
    return "vzq_template"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a fresh, upgraded database; for tests that start real processes or want the database's own time."""
    if request.param == "sqlite":
        path = tmp_path / "vzq.sqlite"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server, template = request.getfixturevalue("postgres_url"), request.getfixturevalue("postgres_template")
    name = f"vzq_{next(NUMBERS)}"
    _on_server(server, f"create database {name} template {template}")
    yield _named(server, name)
    _on_server(server, f"drop database {name} with (force)")


@pytest.fixture
def database(database_url: str, clock: ManualClock) -> Iterator[Database]:
    """A fresh, upgraded database whose time is the test's `clock`, on PostgreSQL too."""
    database = Database(database_url, clock=clock, own_clock=True)
    yield database
    database.close()


def _upgrade(url: str) -> None:
    database = Database(url)
    try:
        database.upgrade()
    finally:
        database.close()


def _named(server: str, name: str) -> str:
    return server.replace("/postgres?", f"/{name}?")


def _on_server(url: str, statement: str) -> None:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(statement)
