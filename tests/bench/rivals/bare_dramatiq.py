"""A plain dramatiq program: one no-op actor, everything as dramatiq has it out of the box. `dramatiq tests.bench.rivals.bare_dramatiq`."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

broker = RedisBroker(url=os.environ["BENCH_REDIS_URL"])
dramatiq.set_broker(broker)


@dramatiq.actor
def nothing(number: int) -> None:
    """The job."""
