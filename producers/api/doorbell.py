"""Wakes the dispatcher from a thread of its own: a Redis that is slow or away keeps no request waiting."""

import threading

from producers.bell import Bell


class Doorbell:
    """Many rings become one call."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._rung = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="doorbell", daemon=True)
        self._thread.start()

    def ring(self) -> None:
        """Something may be due."""
        self._rung.set()

    def close(self) -> None:
        """Ring no more."""
        self._closing = True
        self._rung.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while True:
            self._rung.wait()
            self._rung.clear()
            if self._closing:
                return
            self._bell.wake()
