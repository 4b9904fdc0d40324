"""A master, a replica and a Sentinel on the loopback, made in a throw-away folder; the master may be killed."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import redis

from producers.embedded.redis_server import find_server
from tests.servers import _tied, stop

MASTER = "house"
PASSWORD = "hidden-word"


class Watched:
    """`url` is what vzq is told; `master` who it is by now."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._first, self._second, self._sentinel = (_free() for _ in range(3))
        self.url = f"redis+sentinel://:{PASSWORD}@127.0.0.1:{self._sentinel}/{MASTER}/0"

    def open(self) -> None:
        self._server(self._first)
        self._server(self._second, replicaof=f"127.0.0.1 {self._first}")
        watch = f"{MASTER} 127.0.0.1 {self._first} 1"
        lines = [f"port {self._sentinel}", "bind 127.0.0.1", f"dir {self._folder}", f"sentinel monitor {watch}"]
        words = {"auth-pass": PASSWORD, "down-after-milliseconds": "500", "failover-timeout": "5000"}
        lines += [f"sentinel {word} {MASTER} {value}" for word, value in words.items()]
        conf = self._folder / "sentinel.conf"
        conf.write_text("\n".join(lines) + "\n")
        self._start(self._sentinel, [str(find_server()), str(conf), "--sentinel"])
        with redis.Redis(port=self._second, password=PASSWORD) as replica:
            _until(lambda: replica.info("replication").get("master_link_status") == "up", "the replica follows")
        with redis.Redis(port=self._sentinel) as sentinel:
            _until(lambda: sentinel.sentinel_master(MASTER)["num-slaves"] == 1, "the Sentinel knows the replica")

    def fail_over(self) -> None:
        """The master is killed; returns when the Sentinel names the other one."""
        self._processes[self._first].kill()
        self._processes[self._first].wait()
        with redis.Redis(port=self._sentinel) as sentinel:
            _until(lambda: sentinel.sentinel_get_master_addr_by_name(MASTER)[1] == self._second, "the replica is master")

    def close(self) -> None:
        for process in self._processes.values():
            stop(process)

    def _server(self, port: int, **more: str) -> None:
        settings = {
            "port": str(port),
            "bind": "127.0.0.1",
            "save": "",
            "requirepass": PASSWORD,
            "masterauth": PASSWORD,
            "repl-diskless-sync-delay": "0",
        }
        words = [word for name, value in (settings | more).items() for word in (f"--{name}", value)]
        self._start(port, [str(find_server()), *words], password=PASSWORD)

    def _start(self, port: int, argv: list[str], password: str | None = None) -> None:
        with (self._folder / f"{port}.log").open("wb") as out:
            self._processes[port] = subprocess.Popen(argv, stdout=out, stderr=out, cwd=self._folder, preexec_fn=_tied)  # noqa: PLW1509 - no threads yet

        def up() -> bool:
            try:
                with redis.Redis(port=port, password=password) as client:
                    return bool(client.ping())
            except redis.RedisError:
                return False

        _until(up, f"port {port} answers: {(self._folder / f'{port}.log').read_text()[-500:]}")


@contextlib.contextmanager
def watched(folder: Path) -> Iterator[Watched]:
    made = Watched(folder)
    try:
        made.open()
        yield made
    finally:
        made.close()


def _free() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


def _until(true: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 30
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"not within 30 s: {what}")
        time.sleep(0.05)
