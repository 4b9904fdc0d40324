"""Child programs: started tied to us, watched, restarted after a pause when they die, stopped one after the other.

All of it happens in the caller's thread, and that must be the main one: a child's tie (tied.py) is to the thread that
started it. Each child has its own session, so that a Ctrl-C in the terminal reaches us alone and the order of stopping is ours.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from producers.embedded import logs, tied

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_S = 30.0  # after so long a life the next death counts as the first again


@dataclass(frozen=True)
class Program:
    """What is to run, and what it is called in sentences and log files."""

    name: str
    argv: Sequence[str]  # argv[0] is a path: nothing is searched for
    environment: Mapping[str, str] = field(default_factory=dict)  # on top of ours
    patience_s: float = 10.0  # from SIGTERM to SIGKILL


@dataclass
class _Child:
    program: Program
    process: subprocess.Popen[bytes]
    started_at: float
    deaths: int = 0  # in a row
    restart_at: float | None = None  # set while it is dead


class Supervisor:
    """Keeps programs running; `look` must be called often, some ten times a second."""

    def __init__(self, folder: Path, *, say: Callable[[str], None], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._say = say
        self._monotonic = monotonic
        self._children: dict[str, _Child] = {}
        self._capped_at = monotonic()

    def start(self, program: Program) -> None:
        """Start it for the first time; its output goes to a new NAME.log, the old one is kept as NAME.log.1."""
        logs.put_aside(self._log(program.name))
        self._children[program.name] = _Child(program, self._spawn(program), self._monotonic())

    def look(self) -> bool:
        """Notice who died and start again who is due; True when a process was started."""
        started = False
        now = self._monotonic()
        for child in self._children.values():
            if child.restart_at is None and child.process.poll() is not None:
                self._mourn(child, now)
            if child.restart_at is not None and now >= child.restart_at:
                child.process, child.started_at, child.restart_at = self._spawn(child.program), now, None
                started = True
        if now - self._capped_at > logs.LOOK_EVERY_S:
            self._capped_at = now
            for name in self._children:
                logs.cap(self._log(name))
        return started

    def deaths(self, name: str) -> int:
        """How often it died in a row, without a steady life in between; 0 for what was never started."""
        return self._children[name].deaths if name in self._children else 0

    def last_words(self, name: str) -> str:
        """The last line it wrote."""
        return logs.last_line(self._log(name))

    def pids(self) -> dict[str, int]:
        """The process of each program that is alive."""
        return {name: child.process.pid for name, child in self._children.items() if child.restart_at is None}

    def stop(self, names: Iterable[str], *, hurry: Callable[[], bool] = lambda: False) -> None:
        """SIGTERM to all of these at once and wait for their end; SIGKILL when their patience, or ours by `hurry`, is over."""
        going = [child for name in names if (child := self._children.pop(name, None)) is not None]
        for child in going:
            _signal(child.process, signal.SIGTERM)
        begun, killed = self._monotonic(), set[str]()
        while going := [child for child in going if child.process.poll() is None]:
            for child in going:
                name, patience_s = child.program.name, child.program.patience_s
                late = self._monotonic() - begun > patience_s
                if name not in killed and (late or hurry()):
                    killed.add(name)
                    _kill(child.process)
                    if late:
                        self._say(f"{name} did not stop within {patience_s:g} s and is killed")
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL to everything that is left, groups and all."""
        for child in self._children.values():
            _kill(child.process)
            child.process.wait()
        self._children.clear()

    def _mourn(self, child: _Child, now: float) -> None:
        name = child.program.name
        child.deaths = 1 if now - child.started_at > STEADY_S else child.deaths + 1
        pause = min(FIRST_PAUSE_S * 2 ** (child.deaths - 1), LONGEST_PAUSE_S)
        child.restart_at = now + pause
        words = self.last_words(name) if child.process.returncode > 0 else ""
        self._say(f"{name} died ({cause_of_death(child.process.returncode)}); restarted in {pause:g} s; see {self._log(name)}{words and ': '}{words}")

    def _spawn(self, program: Program) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-I", "-S", tied.__file__, str(os.getpid()), *program.argv]
        with logs.open_for(self._log(program.name)) as log:
            return subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env={**os.environ, **program.environment}
            )

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"


def cause_of_death(code: int) -> str:
    """An exit status in words: `exit code 3`, `signal 9, SIGKILL`."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {-code}, {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has no name
        return f"signal {-code}"


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(number)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its session is its own, so the group is it and what it started
