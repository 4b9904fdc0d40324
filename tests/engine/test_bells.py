"""A job's bell is heard at once by a worker that otherwise hardly asks Redis."""

import queue
from collections.abc import Callable, Iterator

import pytest
import redis

from producers.bell import Bell
from workers import actors
from workers.actors import Bells

SOON_S = 5.0
SELDOM_MS = 30_000  # nothing is found by asking before a test has failed
Heard = queue.Queue[tuple[str, int]]


@pytest.fixture
def listening(empty_redis: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Heard]]:
    """A worker of site main that asks each so many milliseconds, and what it heard."""
    opened = []

    def listen(idle_ms: int) -> Heard:
        heard: Heard = queue.Queue()
        monkeypatch.setattr(actors, "IDLE_POLL_MS", idle_ms)
        bells = Bells(empty_redis, site="main", families=("create", "exec"), ring=lambda job, token: heard.put((job, token)), others={})
        bells.start()
        opened.append(bells)
        return heard

    yield listen
    for bells in opened:
        bells.stop()


@pytest.fixture
def bell(empty_redis: str) -> Iterator[Bell]:
    opened = Bell(empty_redis)
    yield opened
    opened.close()


def subscribers(client: redis.Redis) -> int:
    return int(client.execute_command("PUBSUB", "NUMSUB", "vzq:call:main.exec")[1])


@pytest.fixture
def client(empty_redis: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(empty_redis) as opened:
        yield opened


def test_a_worker_that_sleeps_is_called(listening: Callable[[int], Heard], bell: Bell) -> None:
    heard = listening(SELDOM_MS)
    for token in range(3):  # asleep again before each
        assert bell.ring([("job", token, "main", "exec")]) == 1
        assert heard.get(timeout=SOON_S) == ("job", token)


def test_a_batch_for_two_queues_wakes_both(listening: Callable[[int], Heard], bell: Bell) -> None:
    heard = listening(SELDOM_MS)
    assert bell.ring([("a", 1, "main", "exec"), ("b", 2, "main", "create"), ("c", 3, "main", "exec")]) == 3
    assert sorted(heard.get(timeout=SOON_S) for _ in range(3)) == [("a", 1), ("b", 2), ("c", 3)]


def test_a_call_that_got_lost_costs_only_time(listening: Callable[[int], Heard], bell: Bell, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = listening(50)
    monkeypatch.setattr(bell, "_call", len)
    bell.ring([("job", 1, "main", "exec")])
    assert heard.get(timeout=SOON_S) == ("job", 1)


def test_who_lost_the_line_to_redis_listens_again(listening: Callable[[int], Heard], bell: Bell, client: redis.Redis) -> None:
    heard = listening(SELDOM_MS)
    while not subscribers(client):
        pass
    client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    bell.ring([("job", 1, "main", "exec")])  # whether it is called for before or after it listens again
    assert heard.get(timeout=SOON_S) == ("job", 1)


def test_of_many_messages_with_one_call_none_lies_until_somebody_asks(listening: Callable[[int], Heard], bell: Bell, client: redis.Redis) -> None:
    heard = listening(SELDOM_MS)
    while not subscribers(client):
        pass
    bell.ring([(f"job-{number}", 1, "main", "exec") for number in range(300)])
    assert {heard.get(timeout=SOON_S)[0] for _ in range(300)} == {f"job-{number}" for number in range(300)}
