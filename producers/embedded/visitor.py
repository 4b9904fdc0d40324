"""A customer's client, the demonstration's own: asks a container's service steadily and notes when it answered. Shares nothing with vzq's probe."""

import asyncio
import threading
import time
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType
from typing import Self

EVERY_S = 0.02
PATIENCE_S = 10.0  # a customer's, for one request


@dataclass(frozen=True)
class Visits:
    """What the client saw."""

    asked: int
    answered: int
    failed: int  # refused, reset, or not answered at all
    silence_s: float  # the longest time between two answers that followed each other
    slowest_s: float  # the longest that one request waited for its answer
    usual_s: float  # the longest time between two answers before the move, for comparison


class Visitor:
    """Asks for the length of the block, in a thread of its own: a request every 20 ms, and none waits for another."""

    def __init__(self, address: str, port: int) -> None:
        self._where = (address, port)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._ask_on()), name="visitor")
        self._answers: list[tuple[float, float]] = []  # sent, answered; by the monotonic clock
        self._asked = self._failed = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def answered(self) -> int:
        """So many answers until now."""
        return len(self._answers)

    def seen(self, *, since: float) -> Visits:
        """All of it; `since`: the moment, by the monotonic clock, before which nothing could have been in the way."""
        arrivals = sorted(answered for _, answered in self._answers)
        silences = [(began, ended - began) for began, ended in pairwise(arrivals)]
        return Visits(
            asked=self._asked,
            answered=len(arrivals),
            failed=self._failed,
            silence_s=max((length for began, length in silences if began + length >= since), default=0.0),
            slowest_s=max((answered - sent for sent, answered in self._answers), default=0.0),
            usual_s=max((length for began, length in silences if began + length < since), default=0.0),
        )

    async def _ask_on(self) -> None:
        begun = time.monotonic()
        async with asyncio.TaskGroup() as requests:
            while not self._stop.is_set():
                self._asked += 1
                requests.create_task(self._request())
                due = begun + self._asked * EVERY_S
                await asyncio.sleep(max(due - time.monotonic(), 0.0))

    async def _request(self) -> None:
        sent = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE_S):
                reader, writer = await asyncio.open_connection(*self._where)
                try:
                    line = await reader.readline()
                finally:
                    writer.close()
        except OSError:  # TimeoutError is one
            line = b""
        if line:
            self._answers.append((sent, time.monotonic()))
        else:
            self._failed += 1
