"""The probe as it runs: a process of its own against real servers."""

import fcntl
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from tests.embedded.programs import environment, until
from workers.probe.intervals import Measured, measure
from workers.probe.places import Places
from workers.probe.record import Told, read

SERVER = """
import socket, sys, time
taker = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
while True:
    link, _ = taker.accept()
    if sys.argv[2] == "speaks":
        link.sendall(b"220 here\\r\\n")
    elif link.recv(10):
        link.sendall(b"what?")
    link.close()
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@dataclass
class Service:
    """A TCP service in a process, so that it can be frozen, killed and started again."""

    port: int
    manner: str = "speaks"
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> float:
        self.process = subprocess.Popen([sys.executable, "-c", SERVER, str(self.port), self.manner])
        until(self._open)
        return time.monotonic()

    def kill(self) -> float:
        assert self.process
        self.process.kill()
        self.process.wait()
        return time.monotonic()

    def freeze(self) -> float:
        assert self.process
        self.process.send_signal(signal.SIGSTOP)
        return time.monotonic()

    def thaw(self) -> float:
        assert self.process
        self.process.send_signal(signal.SIGCONT)
        return time.monotonic()

    def _open(self) -> bool:
        with socket.socket() as link:
            return link.connect_ex(("127.0.0.1", self.port)) == 0


@dataclass
class Probing:
    """A probe, and what it has seen so far."""

    places: Places

    def told(self) -> Told:
        number = time.monotonic_ns()
        if self.places.say(f"tell {number}"):
            until(lambda: read(self.places.record).told == number)
        return read(self.places.record)

    def seen(self) -> Measured:
        told = self.told()
        return measure(told.answers, now=time.monotonic(), before=min(told.critical, default=None))

    def unanswered(self) -> list[float]:
        return sorted(one.sent for one in self.told().answers if one.after is None)

    def over(self) -> bool:
        """Nobody holds the record any more; asked without a word to the probe, which would keep it alive."""
        with self.places.record.open("a") as record:
            try:
                fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    def heard(self, least: int = 3) -> None:
        until(lambda: sum(one.after is not None for one in read(self.places.record).answers) >= least)

    def answers_again(self) -> None:
        until(lambda: self.seen().answers_now)


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service(free_port())
    made.start()
    yield made
    if made.process is not None:
        made.process.kill()
        made.process.wait()


@pytest.fixture
def probe(tmp_path: Path) -> Iterator[Callable[..., Probing]]:
    begun: list[Probing] = []

    def begin(how: str, *, name: str = "J", life_s: float = 60.0, address: str = "127.0.0.1") -> Probing:
        words = ["--folder", str(tmp_path), "--name", name, "--address", address, "--how", how, "--life", str(life_s)]
        subprocess.run([sys.executable, "-m", "workers.probe", *words], check=True, timeout=30, cwd="/", env=environment())
        begun.append(Probing(Places(tmp_path, name)))
        until(lambda: read(begun[-1].places.record).begun_at)
        return begun[-1]

    yield begin
    for one in begun:
        one.places.say("end")


def test_a_service_that_is_killed_and_comes_back_is_measured(service: Service, probe: Callable[..., Probing]) -> None:
    probing = probe(f"tcp:{service.port}")
    probing.heard(10)
    probing.places.say("critical")
    before = time.monotonic()
    down = service.kill()
    until(lambda: probing.seen().intervals)
    up = service.start()
    probing.answers_again()
    (one,) = probing.seen().intervals
    assert one.gap_s is not None
    assert one.gap_s >= one.proved_s
    assert one.proved_s <= up - before
    assert one.gap_s >= up - down - one.resolution_s
    assert one.resolution_s < 1.0


def test_a_frozen_service_accepts_connections_and_counts_as_down(service: Service, probe: Callable[..., Probing]) -> None:
    probing = probe(f"tcp:{service.port}")
    probing.heard()
    probing.places.say("critical")
    service.freeze()
    until(lambda: probing.seen().intervals)
    with socket.create_connection(("127.0.0.1", service.port), 5):
        pass  # its kernel is awake
    assert not probing.seen().answers_now
    service.thaw()
    probing.answers_again()
    (one,) = probing.seen().intervals
    assert one.gap_s is not None


def test_a_frozen_services_queue_is_not_filled(service: Service, probe: Callable[..., Probing]) -> None:
    probing = probe(f"tcp:{service.port}")
    probing.heard()
    probing.places.say("critical")
    frozen = service.freeze()
    until(lambda: len([one for one in probing.told().answers if one.sent > frozen and one.after is None]) > 20)
    sent = sorted(one.sent for one in probing.told().answers if one.sent > frozen)
    assert min(later - earlier for earlier, later in pairwise(sent[17:])) > 0.15
    service.thaw()


def test_a_service_that_waits_for_its_visitor_to_speak_answers_too(probe: Callable[..., Probing]) -> None:
    silent = Service(free_port(), "listens")
    silent.start()
    try:
        probing = probe(f"tcp:{silent.port}")
        probing.heard()
        assert probing.seen().answers_now
    finally:
        silent.kill()


def test_a_server_that_accepts_and_never_says_anything_counts_as_down(probe: Callable[..., Probing]) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as mute:
        probing = probe(f"tcp:{mute.getsockname()[1]}")
        until(lambda: len(probing.told().answers) > 5)
        assert probing.seen().first is None


def test_an_echo_is_heard_where_icmp_is_allowed(probe: Callable[..., Probing]) -> None:
    probing = probe("icmp")
    until(lambda: len(read(probing.places.record).answers) > 3 or read(probing.places.record).trouble)
    if read(probing.places.record).trouble:
        pytest.skip("this machine gives this user no ICMP sockets")
    assert probing.seen().answers_now
    assert probing.seen().intervals == []


def test_what_cannot_be_asked_says_why(probe: Callable[..., Probing]) -> None:
    probing = probe("carrier-pigeon")
    until(lambda: read(probing.places.record).trouble)
    assert "vzq pool" in read(probing.places.record).trouble


def test_a_calm_probe_hurries_by_itself_when_an_answer_is_late(service: Service, probe: Callable[..., Probing]) -> None:
    probing = probe(f"tcp:{service.port}")
    probing.heard(10)
    service.kill()
    until(lambda: len(probing.unanswered()) > 5)
    assert min(later - earlier for earlier, later in pairwise(probing.unanswered())) < 0.5


def test_a_probe_that_nobody_collects_ends_by_itself(service: Service, probe: Callable[..., Probing]) -> None:
    probing = probe(f"tcp:{service.port}", life_s=0.5)
    until(probing.over)
    assert read(probing.places.record).answers


def test_there_is_one_probe_a_job_however_many_are_started(service: Service, probe: Callable[..., Probing], tmp_path: Path) -> None:
    probing = probe(f"tcp:{service.port}")
    probe(f"tcp:{service.port}")
    probing.heard()
    assert (tmp_path / "J.log").read_text().count("= ") == 1


def test_another_probe_goes_on_with_the_record_of_one_that_was_killed(service: Service, probe: Callable[..., Probing], tmp_path: Path) -> None:
    first = probe(f"tcp:{service.port}")
    first.heard()
    pid = next(int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if f"--folder\0{tmp_path}\0".encode() in path.read_bytes())
    os.kill(pid, signal.SIGKILL)
    until(lambda: not first.places.say("calm"))
    service.kill()
    second = probe(f"tcp:{service.port}")
    until(lambda: second.seen().intervals)
    service.start()
    second.answers_again()
    (one,) = second.seen().intervals
    assert one.gap_s is not None
    assert one.began < second.told().begun


def test_record_and_control_line_are_nobody_elses_business(service: Service, probe: Callable[..., Probing], tmp_path: Path) -> None:
    probe(f"tcp:{service.port}")
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("J.log", "J.words")} == {0o600}
