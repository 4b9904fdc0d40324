"""`vzq up` as an operator meets it: real Redis, service, worker and simulated node."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded.programs import alive, environment, until

VZQ = [sys.executable, "-m", "producers.cli"]
ANY_PORT = {"VZQ_API": "127.0.0.1:0", "VZQ_SERVICE_METRICS": "127.0.0.1:0", "VZQ_WORKER_METRICS": "127.0.0.1:0"}
ORDER = ["order", "create", "--plan", "small", "--template", "busybox-mini-x86_64", "--wait"]


class Up:
    """`vzq up` in the background, and what it has said so far."""

    def __init__(self, state: Path, *args: str, **env: str) -> None:
        self.state = state
        self._out = state.parent / f"{state.name}.out"
        with self._out.open("wb") as out:
            argv = [*VZQ, "up", "--state", str(state), *args]
            self.process = subprocess.Popen(argv, stdout=out, stderr=out, env=environment(**(ANY_PORT | env)), start_new_session=True)

    @property
    def said(self) -> str:
        return self._out.read_text()

    def until(self, text: str) -> None:
        until(lambda: text in self.said or self.process.poll() is not None, within_s=60)
        assert text in self.said

    def children(self) -> dict[str, int]:
        told = json.loads((self.state / "up.json").read_text())
        return {name: child["pid"] for name, child in told["children"].items()}

    def ends(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)

    def vzq(self, *args: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([*VZQ, *args], env=environment(VZQ_STATE=str(self.state)), capture_output=True, text=True, timeout=90, check=False)


@pytest.fixture
def ups(server_folder: Path) -> Iterator[list[Up]]:
    started: list[Up] = []
    yield started
    for up in started:
        if up.process.poll() is None:
            up.process.kill()
            up.process.wait()


def test_a_house_comes_up_survives_deaths_stops_in_order_and_goes_on_where_it_was(server_folder: Path, ups: list[Up]) -> None:
    up = Up(server_folder / "life", "--lab", "1")
    ups.append(up)
    up.until("ready in")
    assert set(up.children()) == {"redis", "lab", "service", "worker"}
    first = up.vzq(*ORDER, "--hostname", "a.example.net")
    assert first.returncode == 0, first

    second = subprocess.run(
        [*VZQ, "up", "--state", str(up.state)], env=environment(**ANY_PORT), capture_output=True, text=True, timeout=30, check=False
    )
    assert second.returncode == 3
    assert f"pid {up.process.pid})" in second.stderr

    before = up.children()
    for name in ("worker", "service", "redis", "lab"):
        os.kill(before[name], signal.SIGKILL)
    up.until("lab died (signal 9, SIGKILL); restarted in 0.5 s")
    until(lambda: set(up.children()) == set(before) and not set(up.children().values()) & set(before.values()))
    after_deaths = up.vzq(*ORDER, "--hostname", "b.example.net")
    assert after_deaths.returncode == 0, after_deaths

    last = up.children()
    assert up.ends() == 0
    assert up.said.endswith("stopped\n")
    assert not any(alive(pid) for pid in last.values())
    assert "SIGKILL" not in up.said.rpartition("stopping")[2]

    again = Up(up.state, "--lab", "1")
    ups.append(again)
    again.until("ready in")
    listed = json.loads(again.vzq("container", "list", "--json").stdout)
    assert {row["hostname"] for row in listed} == {"a.example.net", "b.example.net"}
    assert again.ends(signal.SIGTERM) == 0


def test_nothing_outlives_a_killed_supervisor_and_the_next_one_takes_over(server_folder: Path, ups: list[Up]) -> None:
    up = Up(server_folder / "orphaned", "--workers", "2")
    ups.append(up)
    up.until("ready in")
    children = up.children()
    assert set(children) == {"redis", "service", "worker", "worker-2"}
    up.process.kill()
    up.process.wait()
    next_one = Up(up.state)
    ups.append(next_one)
    next_one.until("ready in")
    assert not any(alive(pid) for pid in children.values())
    assert next_one.ends() == 0


def test_a_second_ctrl_c_kills_everything_at_once(server_folder: Path, ups: list[Up]) -> None:
    up = Up(server_folder / "hasty")
    ups.append(up)
    up.until("ready in")
    children = up.children()
    os.kill(children["worker"], signal.SIGSTOP)  # it will not hear SIGTERM
    up.process.send_signal(signal.SIGINT)
    up.until("Ctrl-C again kills")
    assert up.ends() == 130
    assert not any(alive(pid) for pid in children.values())


def test_ctrl_c_before_it_is_ready_stops_it(server_folder: Path, ups: list[Up]) -> None:
    up = Up(server_folder / "early")
    ups.append(up)
    until((up.state / "up.json").exists)
    children = up.children()
    assert up.ends() == 130
    assert not any(alive(pid) for pid in children.values())


def test_a_port_in_use_is_named_with_its_setting(server_folder: Path, ups: list[Up]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        up = Up(server_folder / "port", VZQ_SERVICE_METRICS=f"127.0.0.1:{port}")
        ups.append(up)
        assert up.process.wait(30) == 5
    assert re.search(rf"port {port} of 127.0.0.1: Address already in use; set VZQ_SERVICE_METRICS", up.said)
    assert not (up.state / "up.json").exists()


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("VZQ_WORKER_METRICS", "nonsense", "VZQ_WORKER_METRICS is 'nonsense'; write host:port"),
        ("VZQ_REDIS_URL", "redis://:sesame@127.0.0.1:1/0", "the server at redis://:***@127.0.0.1:1/0 answers (it must run"),
        ("VZQ_DATABASE", "sqlite:////nonexistent/vzq.sqlite", "database sqlite:////nonexistent/vzq.sqlite cannot be used"),
    ],
)
def test_a_setting_that_cannot_work_ends_it_with_a_sentence(setting: str, value: str, sentence: str, tmp_path: Path, ups: list[Up]) -> None:
    up = Up(tmp_path / "s", **{setting: value})
    ups.append(up)
    assert up.process.wait(30) == 5
    assert sentence in up.said
    assert "Traceback" not in up.said
    assert "sesame" not in up.said


def test_a_redis_that_is_given_is_used_and_none_started(server_folder: Path, empty_redis: str, ups: list[Up]) -> None:
    up = Up(server_folder / "given", VZQ_REDIS_URL=empty_redis)
    ups.append(up)
    up.until("ready in")
    assert set(up.children()) == {"service", "worker"}
    assert not (up.state / "redis.sock").exists()
    assert up.ends() == 0
