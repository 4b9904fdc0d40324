"""So many requests each token may make: a bucket that fills steadily and holds a burst. In memory, each process for itself."""

import threading

from models.clock import Clock


class Limits:
    """Token buckets by name."""

    def __init__(self, clock: Clock, *, rate: float, burst: float) -> None:
        self._clock = clock
        self._rate, self._burst = rate, burst
        self._buckets: dict[str, tuple[float, float]] = {}  # name → what is in it, when that was so
        self._lock = threading.Lock()

    def take(self, name: str) -> float:
        """0 when it may go on, else the seconds after which it may."""
        if self._rate <= 0:
            return 0.0
        with self._lock:
            now = self._clock.monotonic()
            level, at = self._buckets.get(name, (self._burst, now))
            level = min(self._burst, level + (now - at) * self._rate)
            if level < 1:
                self._buckets[name] = (level, now)
                return (1 - level) / self._rate
            self._buckets[name] = (level - 1, now)
            return 0.0

    def charge(self, name: str, cost: float) -> None:
        """What a request turned out to cost beyond its one; may leave a debt."""
        with self._lock:
            level, at = self._buckets.get(name, (self._burst, self._clock.monotonic()))
            self._buckets[name] = (level - cost, at)
