"""The bells of this worker: one dramatiq actor a family, that only wakes the loop. The claim decides, not the message.

An actor returns at once, so dramatiq's threads, prefetch and time limits never hold a job; how many run at once is
what this worker registered as slots and what the dispatcher therefore sends (ops/docs/decisions).
"""

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

os.environ.setdefault("dramatiq_queue_prefetch", "64")
os.environ.setdefault("dramatiq_restart_delay", "500")  # ms; how soon a consumer comes back after Redis was away

import dramatiq
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from models.messages import WAKE_CHANNEL, queue_name
from models.sentinels import sentinels_of
from workers.waking import Listener, WakingBroker

IDLE_POLL_MS = 250  # how soon a consumer asks that was not called


def connect(url: str) -> redis.Redis:
    """As producers/bell.py: repeats nothing by itself, and behind Sentinels each new connection asks them for the master."""
    once: dict[str, Any] = {"retry": Retry(NoBackoff(), 0), "socket_timeout": 5, "socket_connect_timeout": 2}
    found = sentinels_of(url)
    if found is None:
        return redis.Redis.from_url(url, **once)
    asked = Sentinel(found.hosts, sentinel_kwargs={"retry": Retry(NoBackoff(), 0), "socket_timeout": 1, "socket_connect_timeout": 1})  # type: ignore[no-untyped-call]
    login = {"db": found.db, "username": found.username, "password": found.password, "ssl": found.tls}
    client: redis.Redis = asked.master_for(found.master, **once, **login)  # type: ignore[no-untyped-call]
    return client


class Bells:
    """Listens on the queues of one site and on `others`, channels that are no queue's, and can wake the dispatcher."""

    def __init__(
        self, url: str, *, site: str, families: Iterable[str], ring: Callable[[str, int], None], others: Mapping[str, Callable[[bytes], None]]
    ) -> None:
        self._redis = connect(url)
        self._broker = WakingBroker(self._redis)
        queues = set()
        for family in families:
            queue = queue_name(site, family)
            dramatiq.Actor(ring, broker=self._broker, actor_name=family, queue_name=queue, priority=0, options={})
            queues.add(queue)
        self._wanted = threading.Event()
        self._stopping = False
        self._waker = threading.Thread(target=self._wake, name="waker", daemon=True)
        self._listener = Listener(self._redis, self._broker, queues, others)
        self._worker = dramatiq.Worker(self._broker, queues=queues, worker_threads=2, worker_timeout=IDLE_POLL_MS)

    def start(self) -> None:
        """Begin to listen; Redis may come later."""
        self._worker.start()
        self._listener.start()
        self._waker.start()

    def stop(self) -> None:
        """Take no more bells; those that came and were not heard go back to the queue."""
        self._listener.end()
        self._broker.end()
        self._worker.stop(timeout=2000)
        self._stopping = True
        self._wanted.set()
        self._waker.join()

    def wake_dispatcher(self) -> None:
        """Something was freed: the dispatcher may have work. Losing this costs half a second.

        Many calls at once are one wake-up, from a thread of its own: nobody here waits for Redis. After `stop` it is said at once.
        """
        if self._stopping:
            self._publish()
        else:
            self._wanted.set()

    def _wake(self) -> None:
        while self._wanted.wait() and not self._stopping:
            self._wanted.clear()
            self._publish()

    def _publish(self) -> None:
        try:
            self._redis.publish(WAKE_CHANNEL, b"")
        except (redis.RedisError, OSError):
            return
