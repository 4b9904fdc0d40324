"""What killed commands leave behind, and who may hold a container's lock."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.simnode.contract import DEBIAN, made, running
from tests.simnode.labs import Remote, bash, node_in
from tests.simnode.test_links import until


def left(node: Remote, ctid: int) -> set[str]:
    """What there is of a container, by kind."""
    private = node.root / f"vz/private/{ctid}"
    seen = {
        "conf": (node.root / f"etc/vz/conf/{ctid}.conf").exists(),
        "lock": (node.root / f"vz/lock/{ctid}.lck").exists(),
        "empty private": private.exists() and not any(private.iterdir()),
        "full private": private.exists() and any(private.iterdir()),
        "tmp": private.with_name(f"{ctid}.tmp").exists(),
        "name": (node.root / "etc/vz/names/web").is_symlink(),
    }
    return {kind for kind, there in seen.items() if there}


KILLED_AT = {
    "begin": set(),
    "locked": {"lock"},
    "config": {"lock", "conf"},
    "private": {"lock", "conf", "name", "empty private"},
    "unpack": {"lock", "conf", "name", "empty private", "tmp"},
    "renamed": {"lock", "conf", "name", "full private"},
    "saving": {"lock", "conf", "name", "full private"},
}


@pytest.mark.parametrize("phase", KILLED_AT)
async def test_a_create_killed_at_any_point_leaves_what_it_had_made(phase: str, tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await node.ctl("fault", command="create", action="kill", phase=phase)
        killed = await node.run(bash(f"{made(301)[0]} --name web; exit $?"))
        assert killed.code == 137
        await until(lambda: left(node, 301) == KILLED_AT[phase])
        entry = json.loads((node.node.folder / "journal.jsonl").read_text().splitlines()[-1])
        assert (entry["exit"], entry["command"]) == (None, "create")


@pytest.mark.parametrize("phase", KILLED_AT)
async def test_what_a_killed_create_left_can_be_cleared_and_made_anew(phase: str, tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await node.ctl("fault", command="create", action="kill", phase=phase)
        await node.run(bash(f"{made(301)[0]} --name web; exit $?"))
        if (node.root / "etc/vz/conf/301.conf").exists():
            await node.ok("vzctl destroy 301")
            assert left(node, 301) <= {"tmp", "name"}
        await node.ok(f"{made(301)[0]} --layout simfs")
        assert left(node, 301) - {"name"} == {"conf", "full private"}


@pytest.mark.parametrize("number", ["TERM", "INT"])
async def test_a_create_that_is_asked_to_stop_takes_everything_back(number: str, tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await node.ctl("fault", command="create", action="hang", phase="unpack")
        process = await node.connection.create_process(DEBIAN.format(301))
        await until(lambda: "tmp" in left(node, 301))
        (command,) = (await node.ctl("ps"))["commands"]
        await node.ok(f"kill -{number} {command['pid']}")
        assert (await process.wait()).exit_status == 3
        assert left(node, 301) == set()


async def test_a_killed_stop_leaves_the_container_down_and_mounted(tmp_path: Path):
    async with node_in(tmp_path / "lab", speed=0.3) as node:
        for line in running(205):
            await node.ok(line)
        lock = node.root / "vz/lock/205.lck"
        answer = await node.run(bash(f"vzctl stop 205 & p=$!; while [ ! -e {lock} ]; do sleep 0.01; done; sleep 0.05; kill -KILL $p; wait $p"))
        assert answer.code == 137
        await until(lambda: not node.node.state(205).running)
        assert await node.ok("vzctl status 205") == "CTID 205 exist mounted down\n"
        assert await node.ok("vzctl start 205") == (
            "Removing stale lock file /vz/lock/205.lck\nStarting container...\nContainer is unmounted\nContainer is mounted\n"
            "Container start in progress...\n"
        )


async def test_a_killed_set_leaves_the_old_file(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await node.ok(made(205)[0])
        before = (node.root / "etc/vz/conf/205.conf").read_text()
        await node.ctl("fault", command="set", action="kill", phase="saving")
        await node.run(bash("vzctl set 205 --onboot yes --save; exit $?"))
        assert (node.root / "etc/vz/conf/205.conf").read_text() == before


async def test_of_two_that_want_one_container_the_second_is_told_who_holds_it(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        for line in running(205):
            await node.ok(line)
        await node.ctl("fault", command="stop", action="hang", phase="stopping")
        first = await node.connection.create_process("vzctl stop 205")
        lock = node.root / "vz/lock/205.lck"
        await until(lock.exists)
        holder = lock.read_text()
        second = await node.run("vzctl start 205")
        assert (second.code, second.err) == (9, f"Locked by: pid {holder.split()[0]}, cmdline vzctl stop 205\nContainer already locked\n")
        assert holder == f"{holder.split()[0]}\n\n"
        await node.ctl("clear")
        assert (await first.wait()).exit_status == 0
        assert not lock.exists()


async def test_of_many_at_once_exactly_one_creates(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        answers = await asyncio.gather(*(node.run(made(205)[0]) for _ in range(8)))
        assert sorted(answer.code for answer in answers).count(0) == 1
        assert {answer.code for answer in answers} <= {0, 9, 82}
        entries = [json.loads(line) for line in (node.node.folder / "journal.jsonl").read_text().splitlines()]
        assert [entry["effects"] for entry in entries if entry["effects"]] == [["created"]]


async def test_skiplock_and_exec_pass_a_lock(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        for line in running(205):
            await node.ok(line)
        await node.ctl("lock", ctid=205, seconds=30)
        assert (await node.run("vzctl set 205 --onboot yes --save")).code == 9
        await node.ok("vzctl exec2 205 true")
        await node.ok("vzctl --skiplock set 205 --onboot yes --save")


async def test_a_lock_without_a_living_holder_is_cleared_by_the_next_command(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await node.ok(made(205)[0])
        child = await asyncio.create_subprocess_exec("true")
        await child.wait()
        (node.root / "vz/lock/205.lck").write_text(f"{child.pid}\n\n")
        assert (await node.ok("vzctl mount 205")).startswith("Removing stale lock file /vz/lock/205.lck\n")
        assert list((node.root / "vz/lock").iterdir()) == []
