"""Stand-ins for what tests must hold in their own hands."""

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # a Monday, for the sake of maintenance windows


class ManualClock:
    """A clock that only goes when it is told to; keeps the promise of models.clock.Clock."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def pass_(self, time: timedelta | float) -> None:
        """Let time go by, given as a timedelta or in seconds."""
        time = time if isinstance(time, timedelta) else timedelta(seconds=time)
        self._now += time
        self._monotonic += time.total_seconds()

    def set_back(self, time: timedelta) -> None:
        """Somebody sets the wall clock back; the monotonic one does not mind."""
        self._now -= time
