"""Whether an address answers, asked of real sockets."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from models.errors import Permanent
from workers.reach import answers

pytestmark = pytest.mark.quick


@asynccontextmanager
async def service(serve):
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"tcp:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def greets(_reader, writer):
    writer.write(b"220 here\r\n")
    writer.close()


async def waits_to_be_spoken_to(reader, writer):
    await reader.read()
    writer.close()


@pytest.mark.parametrize("manner", [greets, waits_to_be_spoken_to])
async def test_a_service_that_is_awake_answers(manner):
    async with service(manner) as probe:
        assert await answers("127.0.0.1", probe)


async def test_a_server_that_accepts_and_neither_sends_nor_closes_does_not_answer():
    gone = asyncio.Event()

    async def sleeps(_reader, writer):
        await gone.wait()
        writer.close()

    async with service(sleeps) as probe:
        assert not await answers("127.0.0.1", probe, patience_s=0.1)
        gone.set()


async def test_where_nobody_listens_nobody_answers():
    async with service(greets) as probe:
        pass
    assert not await answers("127.0.0.1", probe)


@pytest.mark.parametrize("probe", ["udp:53", "tcp:ssh", "tcp", ""])
async def test_a_probe_that_cannot_be_asked_is_permanent_and_says_what_to_mend(probe):
    with pytest.raises(Permanent, match="vzq pool"):
        await answers("127.0.0.1", probe)
