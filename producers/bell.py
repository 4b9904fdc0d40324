"""The two bells over Redis: one wakes a worker for a job, one wakes the dispatcher. Losing either costs time, never a job."""

import threading
from collections.abc import Iterable
from typing import Any

import dramatiq
import redis
import structlog
from dramatiq.brokers.redis import RedisBroker
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from models.messages import WAKE_CHANNEL, call_channel, queue_name
from models.sentinels import sentinels_of

log = structlog.get_logger(__name__)
UNAVAILABLE = (redis.RedisError, dramatiq.errors.BrokerError, OSError)


def connect(url: str) -> redis.Redis:
    """A client that never repeats a command by itself: dramatiq's scripts are not safe to repeat (queue-facts §1.5a).

    Behind Sentinels each new connection asks them for the master; a demoted one is left at its first refusal to write.
    """
    once: dict[str, Any] = {"retry": Retry(NoBackoff(), 0), "socket_timeout": 5, "socket_connect_timeout": 2}
    found = sentinels_of(url)
    if found is None:
        return redis.Redis.from_url(url, **once)
    asked = Sentinel(found.hosts, sentinel_kwargs={"retry": Retry(NoBackoff(), 0), "socket_timeout": 1, "socket_connect_timeout": 1})  # type: ignore[no-untyped-call]
    login = {"db": found.db, "username": found.username, "password": found.password, "ssl": found.tls}
    client: redis.Redis = asked.master_for(found.master, **once, **login)  # type: ignore[no-untyped-call]
    return client


class Bell:
    """Rings workers by dramatiq message, and the dispatcher by pub/sub."""

    def __init__(self, url: str) -> None:
        self._redis = connect(url)
        # No middleware: retries, delays, results and time limits all live in the table (queue-facts §1.2, §1.5).
        self._broker = RedisBroker(client=self._redis, middleware=[])  # type: ignore[no-untyped-call]

    def ring(self, jobs: Iterable[tuple[str, int, str, str]]) -> int:
        """Put one message for each (job id, token, site, family) on its queue; how many got there. Never raises for Redis."""
        rung, queues = 0, set()
        for job_id, token, site, family in jobs:
            queue = queue_name(site, family)
            message: dramatiq.Message[None] = dramatiq.Message(queue_name=queue, actor_name=family, args=(job_id, token), kwargs={}, options={})
            try:
                self._broker.enqueue(message)
            except UNAVAILABLE as error:
                log.warning("bell_silent", job=job_id, error=str(error))  # rung again when the dispatch lease ends
                break
            rung += 1
            queues.add(queue)
        self._call(queues)
        return rung

    def _call(self, queues: Iterable[str]) -> None:
        """Wake the workers that listen on these queues; they would find out by themselves a little later."""
        try:
            for queue in queues:
                self._redis.publish(call_channel(queue), b"")
        except UNAVAILABLE as error:
            log.debug("call_lost", error=str(error))

    def wake(self) -> None:
        """Tell the dispatcher that something may be due; it would find out by itself a little later."""
        try:
            self._redis.publish(WAKE_CHANNEL, b"")
        except UNAVAILABLE as error:
            log.debug("wake_lost", error=str(error))

    def answers(self) -> bool:
        """Redis is there."""
        try:
            return bool(self._redis.ping())
        except UNAVAILABLE:
            return False

    def close(self) -> None:
        """Give the connection back."""
        self._redis.close()


class Alarm:
    """The dispatcher's ear: returns as soon as somebody calls `wake`, or after the time-out."""

    def __init__(self, url: str) -> None:
        self._redis = connect(url)
        self._listening: redis.client.PubSub | None = None
        self._deaf = threading.Event()  # never set; waits where Redis cannot

    def wait(self, timeout_s: float) -> bool:
        """True when woken, False after `timeout_s` or when Redis is away; raises only what is not Redis's fault."""
        try:
            if self._listening is None:
                self._listening = self._redis.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
                self._listening.subscribe(WAKE_CHANNEL)
            woken = self._listening.get_message(timeout=timeout_s) is not None
            while woken and self._listening.get_message(timeout=0) is not None:
                pass  # many calls, one round
        except UNAVAILABLE:
            self._listening = None
            self._deaf.wait(timeout_s)
            return False
        return woken

    def close(self) -> None:
        """Stop listening."""
        self._redis.close()
