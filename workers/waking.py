"""Consumers that sleep until their queue is called, instead of asking Redis for each queue sixty times a second.

dramatiq's consumer asks again and again, soon or cheaply. Ours waits for the call that producers/bell.py makes behind its messages, and asks
now and then besides, for a call may get lost (queue-facts §1). Losing one costs a quarter of a second.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from models.messages import call_channel

DEAF_S = 0.5  # until Redis, which was away, is tried again
ROOM_S = 0.02  # until a queue is asked again from which nothing more could be taken
LISTEN_S = 1.0  # how soon a listener sees that it is to end


class WakingBroker(RedisBroker):
    """A broker whose consumers can be woken."""

    def __init__(self, client: redis.Redis) -> None:
        # Retries, delays and limits live in the table, so no middleware.
        super().__init__(client=client, middleware=[])  # type: ignore[no-untyped-call]
        self._calls: dict[str, threading.Event] = {}
        self.ending = False

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> dramatiq.Consumer:
        """A consumer that waits `timeout` milliseconds, or until it is woken, whenever its queue is empty."""
        return _Woken(super().consume(queue_name, prefetch, 0), self, self._call(queue_name), timeout / 1000)

    def wake(self, queue_name: str) -> None:
        """There may be something in this queue."""
        self._call(queue_name).set()

    def end(self) -> None:
        """Nobody sleeps any more: the consumers are to be stopped."""
        self.ending = True
        for call in self._calls.values():
            call.set()

    def _call(self, queue_name: str) -> threading.Event:
        return self._calls.setdefault(queue_name, threading.Event())


class _Woken(dramatiq.Consumer):
    def __init__(self, asking: dramatiq.Consumer, broker: WakingBroker, call: threading.Event, idle_s: float) -> None:
        self._asking: Any = asking  # how much it has in hand is not in the base class
        self._broker, self._call, self._idle_s = broker, call, idle_s
        for act in ("ack", "nack", "requeue", "close"):
            setattr(self, act, getattr(asking, act))

    def __next__(self) -> Any:  # noqa: ANN401 - a message, or None after a wait
        in_hand = self._asking.outstanding_message_count
        found = next(self._asking)
        if found is None:
            # With messages in hand it may not have asked for more, and nobody calls again for what lies in the queue.
            self._call.wait(ROOM_S if in_hand else self._idle_s)
            if not self._broker.ending:
                self._call.clear()  # before Redis is asked again: a call that comes now is for a message that will be seen
        return found


class Listener(threading.Thread):
    """Hears the calls for some queues and wakes their consumers, and what comes on `others`; Redis may come and go."""

    def __init__(self, client: redis.Redis, broker: WakingBroker, queues: Iterable[str], others: Mapping[str, Callable[[bytes], None]]) -> None:
        super().__init__(name="listener", daemon=True)
        self._redis = client
        self._wakers = [partial(broker.wake, queue) for queue in queues]
        calls = {call_channel(queue): lambda _, queue=queue: broker.wake(queue) for queue in queues}
        self._acts: dict[str, Callable[[bytes], None]] = {**calls, **others}
        self._ended = threading.Event()

    def run(self) -> None:
        """Listen until `end`."""
        while not self._ended.is_set():
            try:
                with self._redis.pubsub(ignore_subscribe_messages=True) as heard:  # type: ignore[no-untyped-call]
                    heard.subscribe(*self._acts)
                    for wake in self._wakers:
                        wake()  # whoever was called for before is seen now
                    self._listen(heard)
            except (redis.RedisError, OSError):
                self._ended.wait(DEAF_S)

    def _listen(self, heard: redis.client.PubSub) -> None:
        while not self._ended.is_set():
            call = heard.get_message(timeout=LISTEN_S)
            if call is not None:
                self._acts[call["channel"].decode()](call["data"])

    def end(self) -> None:
        """Stop listening, at the latest after `LISTEN_S`; not waited for."""
        self._ended.set()
