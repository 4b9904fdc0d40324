"""A container's address answers while the container runs, and only then."""

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from ops.simnode.node_state import Flavour
from tests.simnode.contract import made
from tests.simnode.labs import Remote, node_in


async def answer(address: str, *, within_s: float = 2.0) -> str:
    """One line of the container's service; ConnectionRefusedError, or TimeoutError when it is accepted and silent."""
    async with asyncio.timeout(within_s):
        reader, writer = await asyncio.open_connection(address, 7000)
        try:
            return (await reader.readline()).decode()
        finally:
            writer.close()


async def ready(node: Remote, address: str) -> None:
    await node.ok(made(205)[0])
    await node.ok(f"vzctl set 205 --hostname web.example --ipadd {address} --save")


async def test_it_answers_its_short_name_and_a_growing_number_while_it_runs(tmp_path: Path, address: str):
    async with node_in(tmp_path / "lab") as node:
        await ready(node, address)
        with pytest.raises(ConnectionRefusedError):
            await answer(address)
        await node.ok("vzctl start 205")
        assert [await answer(address), await answer(address)] == ["web 1\n", "web 2\n"]
        await node.ok("vzctl stop 205")
        with pytest.raises(ConnectionRefusedError):
            await answer(address)


async def test_frozen_it_accepts_and_says_nothing_until_it_thaws(tmp_path: Path, address: str):
    async with node_in(tmp_path / "lab") as node:
        await ready(node, address)
        await node.ok("vzctl start 205")
        await node.ctl("freeze", ctid=205)
        with pytest.raises(TimeoutError):
            await answer(address, within_s=0.2)
        assert (await node.run("vzctl exec2 205 true")).code == 7
        assert await node.ok("vzctl status 205") == "CTID 205 exist mounted running\n"
        waiting = asyncio.create_task(answer(address))
        await asyncio.sleep(0.05)
        await node.ctl("thaw", ctid=205)
        assert (await waiting).startswith("web ")


async def test_who_was_accepted_while_it_was_frozen_is_reset_when_it_goes_to_a_dump(tmp_path: Path, address: str):
    async with node_in(tmp_path / "lab") as node:
        await ready(node, address)
        await node.ok("vzctl start 205")
        await node.ctl("freeze", ctid=205)
        reader, writer = await asyncio.open_connection(address, 7000)
        await node.ok("vzctl chkpnt 205 --dump --dumpfile /vz/dump/d.205")
        with pytest.raises(ConnectionResetError):  # a proper close would be an answer, and nobody gave one
            await reader.read()
        writer.close()


async def test_addresses_come_and_go_with_set_on_a_running_container(tmp_path: Path, address: str):
    async with node_in(tmp_path / "lab") as node:
        await ready(node, address)
        await node.ok("vzctl start 205")
        head, _, last = address.rpartition(".")
        other = f"{head}.{int(last) + 1}"
        await node.ok(f"vzctl set 205 --ipadd {other} --save")
        assert (await answer(other)).startswith("web ")
        await node.ok(f"vzctl set 205 --ipdel {address} --save")
        with pytest.raises(ConnectionRefusedError):
            await answer(address)
        assert (await answer(other)).startswith("web ")


async def test_an_address_in_use_on_the_node_stops_the_start(tmp_path: Path, address: str):
    async with node_in(tmp_path / "lab") as node:
        await ready(node, address)
        await node.ok("vzctl start 205")
        await node.ok(made(206)[0])
        await node.ok(f"vzctl set 206 --ipadd {address} --save")  # a stopped one is not checked
        assert (await node.run("vzctl start 206")).code == 78
        assert await node.ok("vzctl status 206") == "CTID 206 exist unmounted down\n"
        assert (await answer(address)).startswith("web ")


async def test_a_command_that_is_killed_while_it_sets_up_an_address_leaves_no_socket_behind(tmp_path: Path, address: str):
    async with node_in(tmp_path / "lab") as node:
        answers = node.node.answers
        for turns in range(8):  # wherever the kill finds it
            opening = asyncio.create_task(answers.open(205, address, after_s=0.0))
            for _ in range(turns):
                await asyncio.sleep(0)
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
            await answers.close(205, address)
            while answers.opening:
                await asyncio.sleep(0)
            with socket.create_server((address, 7000)):
                pass


async def test_addresses_beyond_the_loopback_are_never_listened_on(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await ready(node, "10.99.0.5")
        assert "Adding IP address(es): 10.99.0.5" in await node.ok("vzctl start 205")
        assert node.node.state(205).addresses == ["10.99.0.5"]
        assert node.node.answers.listening == []


async def test_the_first_answer_may_come_late(tmp_path: Path, address: str):
    async with node_in(tmp_path / "lab", flavour=replace(Flavour(), answer_delay_s=10.0)) as node:  # 0.2 s at speed 0.02
        await ready(node, address)
        await node.ok("vzctl start 205")
        with pytest.raises(ConnectionRefusedError):
            await answer(address)
        async with asyncio.timeout(5):
            while True:
                try:
                    assert await answer(address) == "web 1\n"
                    break
                except ConnectionRefusedError:
                    await asyncio.sleep(0.02)
