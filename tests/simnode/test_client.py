"""The thin clients: arguments and files go through untouched."""

import asyncio
import os
import socket
import time
from pathlib import Path

import pytest

from tests.simnode.contract import running
from tests.simnode.labs import bash, node_in


async def test_arguments_of_any_bytes_reach_the_command(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        for line in running(205):
            await node.ok(line)
        script = "x" * 200_000
        assert await node.ok("vzctl exec2 205 - | wc -c", stdin=f"printf {script}".encode()) == "200000\n"
        odd = await node.connection.run("""vzctl exec3 205 printf '%s|' '' 'a  b' "$(printf '\\377\\376')" """, encoding=None)
        assert odd.stdout == b"|a  b|\xff\xfe|"


async def test_an_exec_ends_with_its_command_whoever_else_still_holds_the_pipe(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        for line in running(205):
            await node.ok(line)
        assert await node.ok("vzctl exec2 205 'sleep 600 & echo begun; echo odd >&2' 2>&1 | sort") == "begun\nodd\n"


async def test_a_write_inside_fails_and_kills_nobody_where_vzctl_can_write_no_more(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        for line in running(205):
            await node.ok(line)
        inside = "yes; echo yes ended with $? >&2"
        assert await node.ok(f"vzctl exec2 205 '{inside}' 2>&1 >/dev/full | tail -n 1") == "yes ended with 1\n"


async def test_closed_standard_files_do_no_harm(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        for line in running(205):
            await node.ok(line)
        assert (await node.run(bash("vzctl exec2 205 'exit 3' <&- >&- 2>&-"))).code == 3
        assert (await node.run(bash("vzctl status 205 <&-"))).out == "CTID 205 exist mounted running\n"


async def test_a_reader_that_is_gone_does_not_stop_a_create(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await node.ok(bash("vzctl create 205 --ostemplate busybox-mini-x86_64 | true; sleep 0.2"))
        assert await node.ok("vzctl status 205") == "CTID 205 exist unmounted down\n"


async def test_a_switched_off_node_says_so(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        vzctl = node.node.bin_dir / "vzctl"
    done = await asyncio.create_subprocess_exec(vzctl, "status", "1", stderr=asyncio.subprocess.PIPE)
    _, err = await done.communicate()
    assert done.returncode == 255
    assert b"switched off" in err


async def test_the_simulator_costs_little_beside_its_client(tmp_path: Path):
    async with node_in(tmp_path / "lab", speed=0) as node:
        began, before = time.process_time(), 50
        for _ in range(before):
            process = await asyncio.create_subprocess_exec(node.node.bin_dir / "vzctl", "status", "1", stdout=-3, stderr=-3)
            assert await process.wait() == 0
        assert (time.process_time() - began) / before < 0.02  # this process's own work: starting the client and answering it
        assert os.getpid() not in node.node.calls.running


async def test_a_node_that_is_switched_off_silences_nobody_who_begins_to_listen_at_that_moment(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await node.ok("vzctl status 1")
        called = asyncio.Event()
        off = asyncio.create_task(node.node.calls.close())
        await asyncio.sleep(0)  # it is in the middle of it
        with socket.create_server(("127.0.0.1", 0)) as listener:
            asyncio.get_running_loop().add_reader(listener, called.set)
            await off
            with socket.create_connection(listener.getsockname()):
                await asyncio.wait_for(called.wait(), 5)
            asyncio.get_running_loop().remove_reader(listener)


async def test_without_perl_a_lab_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ops.simnode.tools.shutil.which", lambda _name: None)
    with pytest.raises(ValueError, match="install perl"):
        async with node_in(tmp_path / "lab"):
            pass
