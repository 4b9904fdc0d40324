"""Real processes of a simulated node: started without blocking the simulator, waited for, found again and ended."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

Stream = int | IO[bytes] | None


class Process:
    """A started process; `ended` is its return code (negative: the signal) once it is over."""

    def __init__(self, popen: "subprocess.Popen[bytes]") -> None:
        self.popen = popen
        self.pid = popen.pid
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = loop.create_future()
        self._pidfd = os.pidfd_open(popen.pid)
        loop.add_reader(self._pidfd, self._reap)

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        code = self.popen.wait()  # it is dead already: returns at once
        if not self._ended.done():
            self._ended.set_result(code)

    async def ended(self) -> int:
        """The return code; cancelling this wait does nothing to the process."""
        return await asyncio.shield(self._ended)

    @property
    def running(self) -> bool:
        return not self._ended.done()

    def send(self, number: int) -> None:
        """Signal the whole process group, as a terminal or sshd does."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)


def start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    stdin: Stream,
    stdout: Stream,
    stderr: Stream,
    executable: str | None = None,
    own_terminal: Callable[[], None] | None = None,
    sigpipe: bool = True,
) -> Process:
    """Start `argv` as leader of its own session and process group; without `sigpipe` it ignores that signal, as this process does."""
    return Process(
        subprocess.Popen(
            argv,
            executable=executable,
            env=dict(env),
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            restore_signals=sigpipe,
            preexec_fn=own_terminal,  # noqa: PLW1509  only for sessions with a terminal; it calls one ioctl
        )
    )


def living() -> Iterable[int]:
    """Process ids now in /proc."""
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def alive(pid: int) -> bool:
    """Whether /proc has it: the test vzctl makes before it calls a lock stale."""
    return pid > 0 and Path(f"/proc/{pid}").exists()


def command_line(pid: int) -> str:
    """The words of a living process joined by blanks, empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _stat(pid: int) -> tuple[int, int] | None:
    """(parent, session) of a process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), int(fields[3])


def started_with(variable: str) -> set[int]:
    """Processes of ours whose first environment held exactly `variable` (NAME=value)."""
    wanted = variable.encode()
    found = set()
    for pid in living():
        try:
            if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.add(pid)
        except OSError:
            continue
    return found


def family(leaders: set[int], *, entry: str, folder: Path) -> set[int]:
    """Processes of a container: in the sessions of `leaders`, started with `entry` in the environment, or working
    in `folder` with the container's HOME; and all that descend from one of these."""
    table = {pid: stat for pid in living() if (stat := _stat(pid))}
    members = {pid for pid, (_, session) in table.items() if session in leaders}
    members |= started_with(entry)
    for pid in started_with("HOME=/"):  # an administrator's shell may stand in the folder too
        try:
            here = Path(f"/proc/{pid}/cwd").readlink()
        except OSError:
            continue
        if here.is_relative_to(folder):
            members.add(pid)
    while grown := {pid for pid, (parent, _) in table.items() if parent in members} - members:
        members |= grown
    return members - {os.getpid()}


def end(pids: Iterable[int], number: int = signal.SIGKILL) -> None:
    """Signal each process that still exists."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue
