"""What goes to and fro between two ends of a console over a real Redis comes in order, unread and unaltered, or the line is cut."""

import asyncio
import os
from collections.abc import Awaitable, Callable

import pytest
import redis

from models.line import Cut, Line, Sealer, Word

KEY = os.urandom(32)
Told = list[tuple[Word, bytes]]


def both(url: str, act: Callable[[Line, Line, redis.Redis], Awaitable[None]]) -> None:
    """Do something with both ends and with somebody who can write to Redis."""

    async def sit() -> None:
        with redis.Redis.from_url(url) as first, redis.Redis.from_url(url) as second, redis.Redis.from_url(url) as third:
            async with Line(first, "seat", KEY, "page") as page, Line(second, "seat", KEY, "worker") as worker:
                assert await page.answered(within_s=5)
                await act(page, worker, third)

    asyncio.run(sit())


def test_both_ends_hear_what_the_other_says_in_order(empty_redis: str) -> None:
    async def act(page: Line, worker: Line, _: redis.Redis) -> None:
        await asyncio.gather(*(page.say(Word.KEYS, b"%d" % number) for number in range(50)))
        assert [(await worker.heard())[1] for _ in range(50)] == [b"%d" % number for number in range(50)]
        await worker.say(Word.SHOWN, b"\x00\xff")
        assert await page.heard() == (Word.SHOWN, b"\x00\xff")

    both(empty_redis, act)


@pytest.mark.parametrize("made_up", [b"", b"k" + b"reboot\n", b"x" * 200, "again"])
def test_who_can_write_to_redis_types_nothing(empty_redis: str, made_up: bytes | str) -> None:
    async def act(page: Line, worker: Line, other: redis.Redis) -> None:
        with other.pubsub(ignore_subscribe_messages=True) as spy:
            spy.subscribe("vzq:console:seat:page")
            await page.say(Word.KEYS, b"secret")
            while (seen := spy.get_message(timeout=1)) is None:
                pass
        assert b"secret" not in seen["data"]
        assert await worker.heard() == (Word.KEYS, b"secret")
        other.publish("vzq:console:seat:page", seen["data"] if made_up == "again" else made_up)
        with pytest.raises(Cut, match="lost or is not ours"):
            await worker.heard()

    both(empty_redis, act)


def test_what_one_end_said_does_not_come_back_to_it_as_the_others(empty_redis: str) -> None:
    ours, theirs = Sealer(KEY, "page"), Sealer(KEY, "page")
    with pytest.raises(Cut):
        theirs.open(ours.seal(Word.KEYS, b"x"))


def test_the_line_is_cut_where_a_frame_was_lost(empty_redis: str) -> None:
    ours, theirs = Sealer(KEY, "page"), Sealer(KEY, "worker")
    ours.seal(Word.KEYS, b"lost")
    with pytest.raises(Cut):
        theirs.open(ours.seal(Word.KEYS, b"next"))


def test_an_end_that_is_silent_is_taken_for_dead(empty_redis: str) -> None:
    async def sit() -> None:
        with redis.Redis.from_url(empty_redis) as client:
            async with Line(client, "seat", KEY, "page") as page:
                assert not await page.answered(within_s=0.05)
                with pytest.raises(Cut, match="said nothing"):
                    await page.heard(within_s=0.05)

    asyncio.run(sit())


def test_the_line_is_cut_when_redis_closes_the_connection(empty_redis: str) -> None:
    async def act(page: Line, worker: Line, other: redis.Redis) -> None:
        other.client_kill_filter(_type="pubsub")
        with pytest.raises(Cut, match="has ended"):
            await page.heard()

    both(empty_redis, act)


def test_where_redis_is_away_the_line_is_cut_at_once() -> None:
    async def sit() -> None:
        with redis.Redis.from_url("unix:///nowhere/redis.sock") as client, pytest.raises(Cut, match="does not answer"):
            async with Line(client, "seat", KEY, "page"):
                pass

    asyncio.run(sit())
