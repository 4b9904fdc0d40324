"""The terminal that `vzctl enter` makes inside; the caller's own one is raw meanwhile and passes on what is typed and shown (src/lib/enter.c)."""

import fcntl
import os
import pty
import select
import termios
import threading
import tty
from collections.abc import Sequence
from contextlib import suppress

CHUNK = 4096


class Terminal:
    """Open from its making to `close`; a thread of its own passes on, because a terminal whose reader is slow makes a writer wait."""

    def __init__(self, files: Sequence[int]) -> None:
        self._keys, self._screen = os.dup(files[0]), os.dup(files[1])  # the caller's go with its call
        self._before = termios.tcgetattr(self._keys)
        self._master, self.slave = pty.openpty()
        self._told, self._tell = os.pipe()
        self._thread = threading.Thread(target=self._pass_on, daemon=True)

    def begin(self) -> None:
        """Once a process inside has the other end: pass on."""
        tty.setraw(self._keys, termios.TCSANOW)
        self._thread.start()

    def close(self) -> None:
        """The shell has ended: show what it has printed, then hang up for whatever else runs there. Blocks for no longer than that."""
        os.write(self._tell, b"x")
        if self._thread.ident:
            self._thread.join()
        with suppress(termios.error):  # it was hung up
            termios.tcsetattr(self._keys, termios.TCSANOW, self._before)
        for fd in (self._keys, self._screen, self._master, self.slave, self._told, self._tell):
            os.close(fd)

    def _pass_on(self) -> None:
        poll, size = select.poll(), b""
        for fd in (self._keys, self._master, self._told):
            poll.register(fd, select.POLLIN)
        with suppress(OSError):  # either end was hung up
            while True:
                size = self._fit(size)
                ready = {fd for fd, _ in poll.poll(1000)}  # a window that grew is seen within a second
                if self._keys in ready and not self._copy(self._keys, self._master):
                    return
                if self._master in ready and not self._copy(self._master, self._screen):
                    return
                if ready == {self._told}:
                    return

    @staticmethod
    def _copy(source: int, target: int) -> bool:
        data = left = os.read(source, CHUNK)
        while left:
            left = left[os.write(target, left) :]
        return bool(data)

    def _fit(self, before: bytes) -> bytes:
        size = fcntl.ioctl(self._keys, termios.TIOCGWINSZ, bytes(8))
        if size != before:
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)
        return size


def own() -> None:
    """In a new session, before its program: standard input is its terminal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
