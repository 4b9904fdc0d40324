"""A machine for vzq-run without SSH: a folder as the node's root, and one shell as its /bin/sh."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

VZQ_RUN = Path(__file__).parents[2] / "workers" / "node" / "vzq-run"
BOOT = "11111111-2222-3333-4444-555555555555"
T = TypeVar("T")


@dataclass
class Answer:
    code: int
    head: str  # the header line without "vzq1 "
    body: bytes
    err: str
    pid: int = 0


@dataclass
class Box:
    root: Path
    shell: list[str]  # what runs the script
    path: str  # its PATH; `sh` in it is the same shell
    program: Path = VZQ_RUN
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.root / "var/lib/vzq"

    def folder(self, step: str, *, job: str = "J1", key: str = "101", direction: str = "do", attempt: int = 1) -> Path:
        return self.home / "runs" / job / f"{key}.{step}.{direction}.{attempt}"

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": self.path, "VZQ_NODE_ROOT": str(self.root), "LANG": "C.UTF-8"}

    def reboot(self, boot: str) -> None:
        """Give the node another boot id. Its processes are the test's to end."""
        file = self.root / "proc/sys/kernel/random/boot_id"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(boot + "\n")

    def start(self, *words: object, program: Path | None = None) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [*self.shell, str(program or self.program), *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            start_new_session=True,  # as sshd does
        )
        self.started.append(process)
        return process

    def ask(self, *words: object, stdin: bytes = b"", program: Path | None = None) -> Answer:
        return self.end(self.start(*words, program=program), stdin=stdin)

    def end(self, process: "subprocess.Popen[bytes]", stdin: bytes = b"") -> Answer:
        out, err = process.communicate(stdin, timeout=40)
        head, _, body = out.partition(b"\n")
        return Answer(process.returncode, head.decode().removeprefix("vzq1 "), body, err.decode(), process.pid)

    def begin(
        self, step: str, *argv: str, key: str = "101", token: int = 5, job: str = "J1", attempt: int = 1, wait: int = 20, stdin: bytes = b""
    ) -> Answer:
        return self.ask("begin", key, token, job, step, "do", attempt, wait, len(stdin), "--", *argv, stdin=stdin)

    def attach(self, step: str, *, key: str = "101", token: int = 5, job: str = "J1", attempt: int = 1, wait: int = 20) -> Answer:
        return self.ask("attach", key, token, job, step, "do", attempt, wait)

    def cancel(self, step: str, *, token: int = 5, grace: int = 5) -> Answer:
        return self.ask("cancel", 101, token, "J1", step, "do", 1, grace)

    def keeper(self, step: str) -> int:
        """Process id of a run's keeper, which is its session, too; waits until the keeper has written it."""
        return int(until(lambda: (self.folder(step) / "state").read_text().split()[1:2])[0])

    def clean_up(self) -> None:
        for process in self.started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        for pid in processes_of(self.root):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def processes_of(root: Path) -> Iterator[int]:
    """Everything alive that was started under this root."""
    mark = f"VZQ_NODE_ROOT={root}\0".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes():
                    yield int(entry.name)


def until(look: Callable[[], T], *, seconds: float = 10.0) -> T:
    """What `look` says as soon as it says something; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)
    return seen
