"""Ctrl-C and its kin as a question one may ask, instead of an exception out of nowhere."""

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

Handler = Callable[[int, FrameType | None], Any] | int | None  # what `signal.signal` gives back
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # SIGHUP: the terminal was closed


class Stopping:
    """Counts the requests to stop while it is entered: one means in good order, two mean now."""

    def __init__(self) -> None:
        self.asked = 0
        self._before: dict[signal.Signals, Handler] = {}

    def at_once(self) -> bool:
        """Somebody lost patience."""
        return self.asked > 1

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._hear) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self.asked += 1
