"""Where a worker's probes are born: one process that has loaded what a probe needs and forks one for each job that is watched.

Python started anew for each would cost a tenth of a second of processor time, which a roll-out over hundreds of containers feels.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

BORN = b"born\n"


class Nursery:
    """Started when the first probe is wanted, and anew when it is gone; it ends with its worker, the probes do not."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, words: Sequence[str]) -> None:
        """A probe with these words is alive, child of nobody. Waits some milliseconds; raises OSError."""
        with self._turn:
            for _ in range(2):  # it may have died since the last time
                if self._asked(words):
                    return
                self._end()
        raise OSError("the process that bears probes does not answer")

    def close(self) -> None:
        """It ends; its probes go on."""
        with self._turn:
            self._end()

    def _asked(self, words: Sequence[str]) -> bool:
        self._process = self._process or _begun()
        asked, told = self._process.stdin, self._process.stdout
        assert asked is not None  # noqa: S101 - pipes
        assert told is not None  # noqa: S101
        try:
            asked.write(json.dumps(list(words)).encode() + b"\n")
            asked.flush()
            return told.readline() == BORN
        except BrokenPipeError:
            return False

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(BrokenPipeError):
            process.communicate()


def _begun() -> "subprocess.Popen[bytes]":
    pipe = subprocess.PIPE
    words = [sys.executable, "-m", "workers.probe", "--nursery"]
    return subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, start_new_session=True, cwd="/", env=_environment())


def _environment() -> dict[str, str]:
    """Nothing of ours but where its code is: a probe reads no settings and knows no secrets."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VZQ_")}
    return kept | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
