"""Faults at run time, power, strangers; and the program as anybody starts it."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncssh
import pytest

from ops.simnode.control import ask
from tests.simnode.contract import made, running
from tests.simnode.labs import KEY, Remote, bash, connect, node_in
from tests.simnode.test_answers import answer
from tests.simnode.test_links import until

ROOT = Path(__file__).parents[2]


@contextmanager
def program(state: Path, *options: str) -> Iterator[list[dict[str, str]]]:
    """`python -m ops.simnode` as a process of its own, ready; ended in order afterwards."""
    argv = [sys.executable, "-m", "ops.simnode", "--state", str(state), "--any-key", "--speed", "0.02", *options]
    nodes = int(options[options.index("--nodes") + 1]) if "--nodes" in options else 1
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield [json.loads(process.stdout.readline()) for _ in range(nodes)]
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0


async def told(node: dict[str, str], command: str) -> asyncssh.SSHCompletedProcess:
    key = asyncssh.import_public_key(node["host_key"])
    async with asyncssh.connect(
        node["host"], int(node["port"]), username="root", client_keys=[KEY], known_hosts=([key], [], []), config=None, agent_path=None
    ) as link:
        return await link.run(command)


async def test_a_command_told_to_fail_fails_once_with_that_code_and_text(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await node.ctl("fault", command="create", action="exit", code=46, err="no space, says the fault")
        assert (await node.run(made(205)[0])).code == 46
        await node.ok(made(205)[0])


async def test_a_fault_may_strike_one_container_only_and_more_than_once(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await node.ctl("fault", command="*", action="exit", code=5, ctid=206, times=2)
        codes = [(await node.run(line)).code for line in (*made(205, 206, 206, 206),)]
        assert codes == [0, 5, 5, 0]


async def test_a_hanging_command_goes_on_when_the_faults_are_cleared(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await node.ctl("fault", command="create", action="hang", phase="unpack")
        creating = asyncio.create_task(node.run(made(205)[0]))
        await until((node.root / "vz/private/205.tmp").exists)
        assert not creating.done()
        await node.ctl("clear")
        assert (await creating).code == 0


async def test_a_full_disk_is_46_and_df_says_so(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await node.ctl("disk", free_kib=1000)
        assert (await node.run(made(205)[0])).code == 46
        assert (await node.ok("df -Pk /vz")).splitlines()[1].split()[3] == "1000"
        await node.ctl("disk")
        await node.ok(made(205)[0])


async def test_space_is_taken_by_create_and_returned_by_destroy(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        free = [node.node.disk.free_kib]
        await node.ok(made(205)[0])
        free.append(node.node.disk.free_kib)
        await node.ok("vzctl destroy 205")
        assert free[0] - free[1] == 2110
        assert node.node.disk.free_kib == free[0]


async def test_a_crash_ends_all_and_boot_brings_back_only_what_starts_on_boot(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        for line in running(205, 206):
            await node.ok(line)
        await node.ok("vzctl set 205 --onboot yes --save; vzctl set 206 --onboot no --save")
        boot_id = await node.ok("cat $VZQ_NODE_ROOT/proc/sys/kernel/random/boot_id")
        pid_file = node.root / "tmp/pid"
        await node.ok(f"setsid sh -c 'echo $$ > {pid_file}; exec sleep 60' >/dev/null 2>&1 </dev/null & while [ ! -s {pid_file} ]; do :; done")
        await node.ctl("down")
        await until(lambda: not Path(f"/proc/{pid_file.read_text().strip()}").exists())
        with pytest.raises(OSError):
            await connect(node.lab, node.name)
        await node.ctl("up")
        async with await connect(node.lab, node.name) as connection:
            back = Remote(node.lab, node.name, connection)
            assert await back.ok("vzlist -a -H -o ctid,status") == "       205 running\n       206 stopped\n"
            assert await back.ok("cat $VZQ_NODE_ROOT/proc/sys/kernel/random/boot_id") != boot_id


async def test_a_reboot_comes_back_by_itself(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await node.ctl("reboot")
        await until(lambda: node.node.up)
        async with asyncio.timeout(5):
            while True:
                try:
                    async with await connect(node.lab, node.name):
                        break
                except OSError:
                    await asyncio.sleep(0.01)


async def test_an_unreachable_node_goes_on_working(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        mark = node.root / "tmp/mark"
        await node.connection.create_process(f"sleep 0.2; touch {mark}")
        await asyncio.sleep(0.05)
        await node.ctl("unreachable")
        with pytest.raises(OSError):
            await connect(node.lab, node.name)
        await until(mark.exists)
        await node.ctl("reachable")
        async with await connect(node.lab, node.name):
            pass


async def test_a_strangers_container_is_there_without_any_command_of_ours(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await node.ctl("stranger", ctid=300, name="theirs", running=True)
        assert await node.ok("vzlist -H -o ctid,status,name") == "       300 running   theirs\n"
        assert not (node.node.folder / "journal.jsonl").exists()
        with pytest.raises(ValueError, match="already"):
            await node.ctl("stranger", ctid=300)


async def test_a_strangers_lock_names_its_holder_and_ends_in_time(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await node.ok(made(205)[0])
        pid = (await node.ctl("lock", ctid=205, seconds=0.3))["pid"]
        refused = await node.run("vzctl start 205")
        assert (refused.code, refused.err.splitlines()[0]) == (9, f"Locked by: pid {pid}, cmdline vzctl stop 205")
        await until(lambda: not (node.root / "vz/lock/205.lck").exists())
        await node.ok("vzctl start 205")


async def test_a_container_that_halts_itself_is_down_and_mounted(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        for line in running(205):
            await node.ok(line)
        await node.ok("vzctl exec2 205 'sleep 60 >/dev/null 2>&1 & echo $! > pid'")
        pid = int((node.root / "vz/private/205/pid").read_text())
        await node.ctl("halt", ctid=205)
        assert await node.ok("vzctl status 205") == "CTID 205 exist mounted down\n"
        await until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2])


async def test_no_file_of_the_lab_ever_holds_a_password(tmp_path: Path):
    secret = "Corr3ct-Horse"
    async with node_in(tmp_path / "lab") as node:
        for line in running(205):
            await node.ok(line)
        await node.ok("vzctl exec2 205 chpasswd", stdin=f"root:{secret}\n".encode())
        assert await node.ctl("password", ctid=205, password=secret) == {"is": True}
        await node.ok("vzctl exec2 205 -", stdin=f"chpasswd <<EOF\nroot:{secret}2\nEOF\n".encode())
        assert await node.ctl("password", ctid=205, password=f"{secret}2") == {"is": True}
        await node.ok(f"vzctl set 205 --userpasswd root:{secret}3 --save")
        await node.ok(f"vzctl set 205 --userpasswd=root:{secret}4 --save")
        assert await node.ctl("password", ctid=205, password=f"{secret}4") == {"is": True}
        found = [path for path in (tmp_path / "lab").rglob("*") if path.is_file() and not path.is_symlink() and secret.encode() in path.read_bytes()]
        assert found == []
        assert "root:***" in (node.node.folder / "journal.jsonl").read_text()


async def test_the_program_starts_many_nodes_tells_where_they_are_and_takes_orders(tmp_path: Path):
    state = tmp_path / "lab"
    with program(state, "--nodes", "2", "--name-prefix", "hn") as nodes:
        assert [node["name"] for node in nodes] == ["hn1", "hn2"]
        assert json.loads((state / "nodes.json").read_text()) == nodes
        assert (await told(nodes[1], made(205)[0])).exit_status == 0
        assert [c["ctid"] for c in ask(state, "hn2", "list")] == [205]
        assert ask(state, "hn1", "list") == []
        with pytest.raises(ValueError, match="there are hn1, hn2"):
            ask(state, "hn3", "list")
        argv = [sys.executable, "-m", "ops.simnode", "ctl", "--state", str(state), "hn2", "fault", "command=start", "action=exit", "code=5"]
        assert json.loads(subprocess.run(argv, cwd=ROOT, capture_output=True, check=True).stdout)[0]["code"] == 5
        assert (await told(nodes[1], "vzctl start 205")).exit_status == 5
        second = subprocess.run([sys.executable, "-m", "ops.simnode", "--state", str(state)], cwd=ROOT, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert "another simulator" in second.stderr
    with pytest.raises(ConnectionError, match="no simulator runs"):
        ask(state, "hn1", "list")


async def test_a_lab_switched_off_and_on_is_as_it_was(tmp_path: Path, address: str):
    state = tmp_path / "lab"
    with program(state) as (node,):
        for line in (*running(206), *made(205), f"vzctl set 205 --hostname web --ipadd {address} --save", "vzctl start 205", "vzctl mount 207"):
            await told(node, line)
        boot_id = (await told(node, "cat $VZQ_NODE_ROOT/proc/sys/kernel/random/boot_id")).stdout
        listing = (await told(node, "vzlist -a -j")).stdout
        assert await answer(address) == "web 1\n"
    with pytest.raises(ConnectionRefusedError):
        await answer(address)
    with program(state) as (again,):
        assert again == node
        assert (await told(again, "vzlist -a -j")).stdout == listing
        assert await answer(address) == "web 2\n"
        assert (await told(again, "cat $VZQ_NODE_ROOT/proc/sys/kernel/random/boot_id")).stdout == boot_id
        assert (await told(again, "vzctl exec2 205 hostname")).stdout == "web\n"
        assert (await told(again, "vzctl stop 205 && vzctl stop 206")).exit_status == 0


async def test_a_simulator_that_was_killed_leaves_the_debris_of_its_commands(tmp_path: Path):
    state = tmp_path / "lab"
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps([{"node": "n1", "op": "fault", "command": "create", "action": "hang", "phase": "unpack"}]))
    argv = [sys.executable, "-m", "ops.simnode", "--state", str(state), "--any-key", "--faults", str(faults)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        node = json.loads(process.stdout.readline())
        creating = asyncio.create_task(told(node, bash(made(205)[0])))
        root = Path(node["root"])
        await until((root / "vz/private/205.tmp").exists)
        pid = int((root / "vz/lock/205.lck").read_text())
        process.kill()
    lost = (await asyncio.gather(creating, return_exceptions=True))[0]
    assert isinstance(lost, Exception) or lost.exit_status is None
    await until(lambda: not Path(f"/proc/{pid}").exists())
    with program(state) as (again,):
        assert (await told(again, "vzctl status 205")).stdout == "CTID 205 exist unmounted down\n"
        assert (await told(again, "vzctl destroy 205")).exit_status == 0


def test_help_is_there_for_anybody():
    for words in (["--help"], ["ctl", "--help"]):
        done = subprocess.run([sys.executable, "-m", "ops.simnode", *words], cwd=ROOT, capture_output=True, text=True, check=True)
        assert "--state DIR" in done.stdout
