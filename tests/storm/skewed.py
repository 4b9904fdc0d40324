"""A worker on a host whose clock is minutes wrong: `python -m tests.storm.skewed`. On PostgreSQL no lease may mind."""

import os
from datetime import datetime, timedelta

from models.clock import SystemClock
from workers import main as worker

WRONG_BY = timedelta(seconds=float(os.environ.get("STORM_CLOCK_WRONG_S", "420")))


class WrongClock(SystemClock):
    """Goes as fast as the right one, which is how clocks of real hosts are wrong."""

    def now(self) -> datetime:
        return super().now() + WRONG_BY


if __name__ == "__main__":
    worker.SystemClock = WrongClock  # type: ignore[misc]
    worker.main()
