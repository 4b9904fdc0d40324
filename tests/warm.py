"""Programs of the house that are up at once: forked from a process that has read all modules, a tenth of a start from the disk.

They are processes of their own, as real and as mortal as others. How programs come up by themselves is seen in tests/embedded
and tests/cli.
"""

import atexit
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO

REQUEST_MAX = 1 << 17  # bytes of words and environment; a datagram
ROOT = Path(__file__).parents[1]
_turn = threading.Lock()


class Warm:
    """What `subprocess.Popen` would give for it."""

    def __init__(self, told: socket.socket) -> None:
        self.returncode: int | None = None
        self._told = told
        self.pid = int(told.recv(64))

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._told.settimeout(timeout)
            try:
                self.returncode = int(self._told.recv(64))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired([str(self.pid)], timeout or 0) from None
            self._told.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(module: str, *words: str, env: Mapping[str, str], out: IO[bytes], err: IO[bytes] | None = None) -> Warm:
    """As `python -m MODULE WORDS` in the checkout, with nothing on stdin."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    request = json.dumps([module, words, dict(env)]).encode()
    assert len(request) < REQUEST_MAX
    with theirs, _turn:
        socket.send_fds(_forge(), [request], [out.fileno(), (err or out).fileno(), theirs.fileno()])
    return Warm(ours)


def run(module: str, *words: str, env: Mapping[str, str], timeout: float = 200) -> "subprocess.CompletedProcess[str]":
    """To its end, with what it wrote."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = start(module, *words, env=env, out=out, err=err)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess([module, *words], code, out.read().decode(), err.read().decode())


@functools.cache
def _forge() -> socket.socket:
    """The connection to this process's forge, which is started for the first that asks."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    argv = [sys.executable, "-m", "tests.forge", str(theirs.fileno())]
    with theirs:
        forge = subprocess.Popen(argv, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True)

    @atexit.register
    def close() -> None:
        ours.close()
        forge.wait(10)

    return ours
