"""The state folder: made for its owner only, and held by one `vzq up` at a time."""

import fcntl
import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

OURS = {"up.lock", "vzq.sqlite"}  # one of these, or nothing but what may come before them, tells a state folder from somebody's home
BEFORE = {"secret.key", "ssh"}  # made by `vzq key`
LINGER_S = 20.0  # how long children of a killed supervisor may take to end


class UnusableError(Exception):
    """The folder cannot be made, written or trusted."""


class HeldError(Exception):
    """Another `vzq up` runs on it."""


class StateFolder:
    """One state folder, ours from `take` to the end of this process."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"
        self.lab = self.path / "lab"
        self._lock = -1

    def take(self) -> None:
        """Make it and lock it; raises UnusableError or HeldError. Ends what a killed `vzq up` may have left running."""
        try:
            self._make()
            self._lock = os.open(self.path / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise UnusableError(f"{self.path} cannot be used as state folder: {error.strerror}; choose another with --state or VZQ_STATE") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._lock, 20, 0).decode().strip()
            os.close(self._lock)
            raise HeldError(f"`vzq up` runs already on {self.path} (pid {holder}); stop that one, or choose another folder with --state") from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)
        self._end_leftovers()

    def tell(self, pids: dict[str, int], **more: Any) -> None:  # noqa: ANN401 - JSON
        """Write up.json: who runs here and where; the start times tell our children from later bearers of their numbers."""
        children = {name: {"pid": pid, "started": _start_time(pid)} for name, pid in pids.items()}
        _write(self.path / "up.json", json.dumps({"pid": os.getpid(), "children": children, **more}, indent=1).encode() + b"\n", 0o600)

    def leave(self) -> None:
        """Nothing runs any more; the folder may be taken by another."""
        (self.path / "up.json").unlink(missing_ok=True)
        os.close(self._lock)

    def _make(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = {entry.name for entry in self.path.iterdir()}
        if not there & OURS and not there <= BEFORE:
            raise UnusableError(f"{self.path} holds other things and is no state folder of vzq; choose another with --state or VZQ_STATE")
        if self.path.stat().st_uid != os.geteuid():
            raise UnusableError(f"{self.path} belongs to somebody else (uid {self.path.stat().st_uid}); choose another with --state or VZQ_STATE")
        self.path.chmod(0o700)
        self.logs.mkdir(mode=0o700, exist_ok=True)

    def _end_leftovers(self) -> None:
        """The kernel told them to end when their supervisor was killed; see that they did before their files are used again."""
        try:
            children = json.loads((self.path / "up.json").read_text())["children"].values()
            left = [(int(child["pid"]), str(child["started"])) for child in children]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return
        for number, grace in ((0, LINGER_S), (signal.SIGKILL, 1.0)):
            deadline = time.monotonic() + grace
            for pid, started in left:
                if number and _start_time(pid) == started:
                    with suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, number)
            while any(_start_time(pid) == started for pid, started in left) and time.monotonic() < deadline:
                time.sleep(0.05)


def _start_time(pid: int) -> str:
    """When the process was started, in ticks since boot; empty when there is none (or only its zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _write(path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
    draft.replace(path)
