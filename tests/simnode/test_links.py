"""The SSH side: what a stock sshd does with sessions, limits, keys and commands whose caller is gone."""

import asyncio
import contextlib
from pathlib import Path

import asyncssh
import pytest

from tests.simnode.contract import made, running
from tests.simnode.labs import KEY, connect, lab_in, node_in


async def until(true, *, within_s: float = 10.0) -> None:
    """Wait for real processes, looking every few milliseconds."""
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.005)


async def test_a_command_lives_on_when_its_link_is_cut(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        mark = node.root / "tmp/mark"
        process = await node.connection.create_process(f"sleep 0.3; echo done > {mark}")
        await asyncio.sleep(0.1)
        assert await node.ctl("cut") == {"connections": 1}
        with contextlib.suppress(asyncssh.Error):
            await process.wait()
        assert process.exit_status is None
        await until(mark.exists)


async def test_a_command_inside_a_container_outlives_the_link_and_the_vzctl_that_began_it(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        for line in running(207):
            await node.ok(line)
        await node.run_and_vanish("vzctl exec2 207 'echo begun > begun; sleep 0.3; echo over > over'", 0.15)
        (command,) = (await node.ctl("ps"))["commands"]
        await node.ok(f"kill -9 {command['pid']}")
        assert (node.root / "vz/private/207/begun").exists()
        await until((node.root / "vz/private/207/over").exists)


async def test_the_eleventh_session_of_a_connection_is_refused_and_a_closed_one_makes_room(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        held = [await node.connection.create_process("cat") for _ in range(10)]
        with pytest.raises(asyncssh.ChannelOpenError, match="open failed"):
            await node.connection.create_process("true")
        held[0].stdin.write_eof()
        await held[0].wait_closed()
        await node.ok("true")


async def test_ten_at_a_time_are_never_refused(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        room = asyncio.Semaphore(10)

        async def one() -> int | None:
            async with room:
                return (await node.connection.run("true")).exit_status

        assert set(await asyncio.gather(*(one() for _ in range(200)))) == {0}


async def test_a_burst_of_strangers_is_dropped_in_part(tmp_path: Path):
    async with lab_in(tmp_path / "lab") as lab:
        server = lab.machines["n1"].server
        links = [await asyncio.open_connection(server.host, server.port) for _ in range(100)]
        greeted = 0
        for reader, _ in links:
            with contextlib.suppress(OSError):
                greeted += (await reader.read(4)) == b"SSH-"
        for _, writer in links:
            writer.close()
        assert 10 <= greeted <= 60  # 10 are sure; beyond that 30 % and more are dropped


async def test_exit_code_signal_input_and_environment_are_those_of_sshd(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        assert (await node.run("exit 7")).code == 7
        killed = await node.connection.run("kill -TERM $$")
        assert killed.exit_signal is not None
        assert killed.exit_signal[0] == "TERM"
        assert await node.ok("cat; echo end", stdin=b"given\n") == "given\nend\n"
        assert await node.ok("tty || true") == "not a tty\n"
        assert await node.ok('echo "$VZQ_NODE_ROOT $PWD"') == f"{node.root} {node.root}/root\n"
        assert await node.ok("[ $(ps -o sid= -p $$) -eq $$ ] && echo leader") == "leader\n"


async def test_a_signal_request_reaches_the_whole_group(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        process = await node.connection.create_process("sleep 60 & wait")
        await asyncio.sleep(0.1)
        process.terminate()
        await asyncio.wait_for(process.wait_closed(), 5)
        assert process.exit_signal is not None


async def test_with_a_terminal_the_command_dies_with_its_link(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        pid_file = node.root / "tmp/pid"
        async with await connect(node.lab, node.name) as connection:
            await connection.create_process(f"tty; echo $$ > {pid_file}; exec sleep 60", term_type="xterm")
            await until(lambda: pid_file.exists() and pid_file.read_text().strip())
            pid = int(pid_file.read_text())
            connection.abort()
        await until(lambda: not Path(f"/proc/{pid}").exists())


async def test_a_silent_node_keeps_its_connections_and_answers_nothing(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await node.ok("true")
        await node.ctl("silent")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(node.run("true"), 0.3)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connect(node.lab, node.name), 0.3)
        await node.ctl("reachable")
        async with await connect(node.lab, node.name) as connection:
            assert (await connection.run("true")).exit_status == 0


async def test_much_output_comes_whole_through_a_slow_reader(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        process = await node.connection.create_process("seq 1 400000", encoding=None)
        await asyncio.sleep(0.3)
        out = await process.stdout.read()
        assert len(out) == 2_688_895
        assert (await process.wait()).exit_status == 0


async def test_only_listed_keys_get_in_and_the_list_is_read_anew(tmp_path: Path):
    keys = tmp_path / "keys"
    async with lab_in(tmp_path / "lab", any_key=False, authorized_keys=keys) as lab:
        with pytest.raises(asyncssh.PermissionDenied):
            await connect(lab, "n1")
        keys.write_text(KEY.export_public_key().decode())
        async with await connect(lab, "n1") as connection:
            assert (await connection.run("true")).exit_status == 0


async def test_eight_commands_at_once_on_one_connection_all_end(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        for line in made(*range(301, 309)):
            await node.ok(line)
        answers = await asyncio.gather(*(node.run(f"vzctl start {ctid} --wait") for ctid in range(301, 309)))
        assert {answer.code for answer in answers} == {0}
        assert "running" in await node.ok("vzlist -H -o status")
