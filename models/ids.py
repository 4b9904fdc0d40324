"""Names of jobs: ULIDs, which sort by time and are never used twice, not even after the database was restored; how high rows are numbered."""

import random
import threading
from datetime import datetime

from ulid import ULID

from models.clock import Clock

HIGHEST_NUMBER = 2**62  # of an event, finding, signature or delivery that is asked for; either database can hold it


class JobIds:
    """Gives out ids that only grow within this process, so that two orders of one file keep their order."""

    def __init__(self, clock: Clock, rng: random.Random | None = None) -> None:
        self._clock = clock
        self._rng = rng or random.SystemRandom()
        self._last = 0
        self._lock = threading.Lock()

    def next(self) -> str:
        """A new id of 26 characters."""
        with self._lock:
            milliseconds = int(self._clock.now().timestamp() * 1000)
            fresh = (milliseconds << 80) | self._rng.getrandbits(80)
            self._last = fresh if fresh >> 80 > self._last >> 80 else self._last + 1
            return str(ULID.from_bytes(self._last.to_bytes(16, "big")))


def first_id_at(moment: datetime) -> str:
    """The lowest id that a job accepted at this moment can have."""
    return str(ULID.from_bytes((int(moment.timestamp() * 1000) << 80).to_bytes(16, "big")))
