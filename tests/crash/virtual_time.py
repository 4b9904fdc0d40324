"""An event loop whose time is the test's clock: while everybody waits, the clock goes on to the next moment at once."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any

from tests.stand_ins import ManualClock


class NobodyMoves(Exception):
    """Everything waits for something that cannot happen any more."""


class _Selector(selectors.DefaultSelector):
    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise NobodyMoves
        if timeout > 0:
            self._clock.pass_(max(timeout, 1e-6))  # less would be rounded to nothing, for ever
            return []
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Sleeps take no time; no threads and no sockets here."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(_Selector(clock))
        self._test_clock = clock

    def time(self) -> float:
        return self._test_clock.monotonic()


def run(clock: ManualClock, main: Coroutine[Any, Any, Any]) -> Any:
    """As asyncio.run, in the clock's time; what is still going on at the end is dropped without a word."""
    loop = VirtualLoop(clock)
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main)
    finally:
        for task in asyncio.all_tasks(loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        asyncio.set_event_loop(None)
        loop.close()
