"""Moves that fail, are killed, or lose a node: what each leaves on both nodes."""

import asyncio
from pathlib import Path

import pytest

from tests.simnode.labs import Remote, connect
from tests.simnode.pairs import Pair, counted, moved, pair_in, run_there, status
from tests.simnode.test_links import until

RUNS, DOWN, HALF, NONE = "exist mounted running", "exist unmounted down", "exist mounted down", "deleted unmounted down"
# phase → source and destination when vzmigrate is killed there
KILLED_ONLINE = {
    "locked": (RUNS, NONE),
    "config": (RUNS, NONE),
    "name": (RUNS, NONE),
    "private-dir": (RUNS, NONE),
    "first-rsync": (RUNS, DOWN),
    "suspend": (RUNS, DOWN),
    "dump": (RUNS, DOWN),
    "copy-dump": (HALF, DOWN),
    "second-rsync": (HALF, DOWN),
    "undump": (HALF, DOWN),
    "resume": (HALF, RUNS),
    "clean-up": (HALF, RUNS),
    "remove-dumps": (DOWN, RUNS),
    "destroy": (DOWN, RUNS),
}
KILLED_OFFLINE = {"first-rsync": (RUNS, DOWN), "stop": (RUNS, DOWN), "second-rsync": (DOWN, DOWN), "start": (DOWN, DOWN), "destroy": (DOWN, RUNS)}


async def both(pair: Pair) -> tuple[str, str]:
    return await status(pair.a), await status(pair.b)


def frozen(node: Remote) -> bool:
    return node.node.state(207).frozen


async def at_rest(pair: Pair) -> None:
    """Until no command is under way."""
    await until(lambda: not pair.a.node.calls.running and not pair.b.node.calls.running)


@pytest.mark.parametrize("phase", KILLED_ONLINE)
async def test_an_online_move_that_is_killed_leaves_all_as_it_is(phase: str, tmp_path: Path):
    async with pair_in(tmp_path / "lab") as pair:
        await run_there(pair.a, name="gamma")
        await pair.a.ctl("fault", command="vzmigrate", action="kill", phase=phase)
        assert (await moved(pair.a, "--online 10.99.0.12 207; exit $?")).code == 137
        await at_rest(pair)
        assert await both(pair) == KILLED_ONLINE[phase]
        assert (pair.a.root / "vz/lock/207.lck").exists()
        assert (frozen(pair.a), frozen(pair.b)) == (phase == "dump", phase == "resume")
        dumped = phase in ("copy-dump", "second-rsync", "undump", "resume", "clean-up", "remove-dumps")
        assert (pair.a.root / "vz/dump/tmp-dump.207").exists() == dumped
        assert (pair.b.root / "vz/dump/tmp-dump.207").exists() == (dumped and phase != "copy-dump")


@pytest.mark.parametrize("phase", KILLED_OFFLINE)
async def test_an_offline_move_that_is_terminated_leaves_all_as_it_is(phase: str, tmp_path: Path):
    async with pair_in(tmp_path / "lab") as pair:
        await run_there(pair.a)
        await pair.a.ctl("fault", command="vzmigrate", action="hold", phase=phase)
        move = asyncio.create_task(moved(pair.a, "10.99.0.12 207; exit $?"))
        await pair.a.ctl("held", wait_s=20)
        await pair.a.ctl("kill", phase=phase, signal="TERM")
        assert (await move).code == 143
        await at_rest(pair)
        assert await both(pair) == KILLED_OFFLINE[phase]
        assert (pair.a.root / "vz/lock/207.lck").exists()


async def test_what_vzmigrate_runs_here_lives_on_when_only_vzmigrate_is_killed(tmp_path: Path):
    async with pair_in(tmp_path / "lab") as pair:
        await run_there(pair.a)
        await pair.a.ctl("fault", command="stop", action="hold", phase="stopping")
        process = await pair.a.connection.create_process("vzmigrate 10.99.0.12 207")
        await pair.a.ctl("held", command="stop", wait_s=20)
        script = next(call for call in pair.a.node.calls.running.values() if call.tool == "vzmigrate")
        await pair.a.ok(f"kill -9 {script.pid}")
        await process.wait()
        await pair.a.ctl("release")
        await until(lambda: not pair.a.node.state(207).running)


async def test_a_kill_of_the_group_takes_what_vzmigrate_runs_here_along(tmp_path: Path):
    async with pair_in(tmp_path / "lab") as pair:
        await run_there(pair.a)
        await pair.a.ctl("fault", command="rsync", action="hold", phase="send")
        process = await pair.a.connection.create_process("vzmigrate 10.99.0.12 207")
        await pair.a.ctl("held", command="rsync", wait_s=20)
        await pair.a.ctl("kill", command="rsync", group=True)
        await process.wait()
        await at_rest(pair)
        private = pair.b.root / "vz/private/207"
        assert private.exists()
        assert not list(private.iterdir())


# who has the fault, the fault, the exit code, what is said
FAILS_ONLINE: list[tuple[str, dict[str, object], int, str]] = [
    ("a", {"command": "chkpnt", "phase": "suspend", "code": 16}, 8, "Failed to suspend container"),
    ("a", {"command": "chkpnt", "phase": "dump", "code": 16}, 8, "Failed to dump container"),
    ("a", {"command": "rsync", "phase": "send", "code": 23}, 6, "Failed to sync container private areas"),
    ("a", {"command": "rsync", "phase": "send", "code": 23, "after": 1}, 6, "Failed to copy dump"),
    ("b", {"command": "rsync", "phase": "receive", "code": 12, "after": 2}, 6, "Failed to sync container private areas"),
    ("b", {"command": "set", "code": 3}, 15, "Failed to set private and root"),
    ("b", {"command": "restore", "phase": "undump", "code": 17}, 7, "Failed to undump container"),
    ("b", {"command": "restore", "phase": "resume", "code": 17}, 7, "Failed to resume container"),
]


@pytest.mark.parametrize("case", FAILS_ONLINE, ids=lambda case: f"{case[1]['command']} {case[3]}")
async def test_an_online_move_that_fails_goes_on_where_it_was(case: tuple[str, dict[str, object], int, str], tmp_path: Path, address: str):
    where, fault, code, said = case
    async with pair_in(tmp_path / "lab") as pair:
        await run_there(pair.a, address=address, name="gamma")
        await counted(address)
        await {"a": pair.a, "b": pair.b}[where].ctl("fault", action="exit", **fault)
        answer = await moved(pair.a, "--online 10.99.0.12 207")
        assert (answer.code, said in answer.err) == (code, True)
        assert await both(pair) == (RUNS, NONE)
        assert await counted(address) == 2
        assert not frozen(pair.a)
        assert not (pair.a.root / "vz/lock/207.lck").exists()
        assert not (pair.b.root / "etc/vz/conf/207.conf").exists()
        assert not (pair.b.root / "etc/vz/names/gamma").is_symlink()
        assert not (pair.b.root / "vz/private/207").exists()


async def test_a_destroy_that_fails_is_not_noticed(tmp_path: Path):
    async with pair_in(tmp_path / "lab") as pair:
        await run_there(pair.a)
        await pair.a.ok("vzctl set 207 --onboot yes --save")
        await pair.a.ctl("fault", command="destroy", action="exit", code=52)
        assert (await moved(pair.a, "--online 10.99.0.12 207")).code == 0
        assert await both(pair) == (DOWN, RUNS)
        await pair.a.ctl("down")
        await pair.a.ctl("up")
        assert (pair.a.node.state(207).running, pair.b.node.state(207).running) == (True, True)  # the twin


async def test_the_source_stays_frozen_while_the_destination_hangs(tmp_path: Path):
    async with pair_in(tmp_path / "lab") as pair:
        await run_there(pair.a)
        await pair.b.ctl("fault", command="restore", action="hang", phase="undump")
        await pair.a.ctl("fault", command="vzmigrate", action="hold", phase="undump")
        process = await pair.a.connection.create_process("vzmigrate --online 10.99.0.12 207")
        await pair.a.ctl("held", wait_s=20)
        await pair.a.ctl("release")
        await until(lambda: any(call.command == "restore" for call in pair.b.node.calls.running.values()))
        assert await both(pair) == (HALF, HALF)
        await pair.b.ctl("clear")
        assert (await process.wait()).exit_status == 0
        assert await both(pair) == (NONE, RUNS)


@pytest.mark.parametrize(("phase", "after"), [("first-rsync", DOWN), ("second-rsync", DOWN), ("start", DOWN)])
async def test_a_source_that_loses_power_leaves_its_half_behind(phase: str, after: str, tmp_path: Path):
    async with pair_in(tmp_path / "lab") as pair:
        await run_there(pair.a)
        await pair.a.ctl("fault", command="vzmigrate", action="hold", phase=phase)
        await pair.a.connection.create_process("vzmigrate 10.99.0.12 207")
        await pair.a.ctl("held", wait_s=20)
        await pair.a.ctl("down")
        await pair.a.ctl("up")
        assert pair.a.node.whole(207)
        assert not pair.a.node.state(207).mounted
        assert await status(pair.b) == after
        assert (pair.a.root / "vz/lock/207.lck").exists()


@pytest.mark.parametrize(("phase", "code"), [("first-rsync", 6), ("dump", 6), ("second-rsync", 6), ("undump", 7), ("resume", 7)])
async def test_a_destination_that_loses_power_gives_the_container_back(phase: str, code: int, tmp_path: Path, address: str):
    async with pair_in(tmp_path / "lab") as pair:
        await run_there(pair.a, address=address)
        await pair.a.ctl("fault", command="vzmigrate", action="hold", phase=phase)
        move = asyncio.create_task(moved(pair.a, "--online 10.99.0.12 207"))
        await pair.a.ctl("held", wait_s=20)
        await pair.b.ctl("down")
        await pair.a.ctl("release")
        assert (await move).code == code
        assert await status(pair.a) == RUNS
        assert await counted(address) is not None
        await pair.b.ctl("up")
        assert (pair.b.root / "etc/vz/conf/207.conf").exists()  # nobody could take it back
        assert (await moved(pair.a, "--online 10.99.0.12 207")).code == 9


async def test_a_full_disk_over_there_and_keep_dst(tmp_path: Path):
    async with pair_in(tmp_path / "lab") as pair:
        await run_there(pair.a)
        await pair.b.ctl("disk", free_kib=1000)
        assert (await moved(pair.a, "10.99.0.12 207")).code == 6
        assert not (pair.b.root / "vz/private/207").exists()
        assert (await moved(pair.a, "--keep-dst 10.99.0.12 207")).code == 6
        assert (pair.b.root / "vz/private/207").exists()
        assert await both(pair) == (RUNS, NONE)


@pytest.mark.parametrize("mux", ["", "--ssh-mux"])
async def test_a_cut_link_ends_the_copy_in_the_middle_and_the_next_one_cleans_up(mux: str, tmp_path: Path):
    async with pair_in(tmp_path / "lab") as pair:
        await run_there(pair.a)
        await pair.a.ctl("fault", command="rsync", action="hold", phase="sent")
        move = asyncio.create_task(moved(pair.a, f"{mux} 10.99.0.12 207"))
        await pair.a.ctl("held", wait_s=20)
        while not (await pair.b.ctl("ps"))["commands"]:  # the other end may just be coming up
            await asyncio.sleep(0.01)
        await pair.b.ctl("cut")
        while (await pair.b.ctl("ps"))["commands"]:  # it still writes what had come over
            await asyncio.sleep(0.01)
        await pair.a.ctl("release")
        assert (await move).code == 6
        assert not (pair.b.root / "vz/private/207").exists()
        assert not (pair.b.root / "etc/vz/conf/207.conf").exists()


async def test_suspended_containers_go_on_at_boot_and_at_start_and_a_broken_dump_is_a_cold_start(tmp_path: Path, address: str):
    async with pair_in(tmp_path / "lab") as pair:
        await run_there(pair.a, address=address)
        await pair.a.ok("vzctl set 207 --onboot yes --save")
        assert await counted(address) == 1
        await pair.a.ok("vzctl suspend 207")
        await pair.a.ok("vzctl start 207")
        assert await counted(address) == 2
        await pair.a.ok("vzctl suspend 207")
        await pair.a.ctl("down")
        await pair.a.ctl("up")
        assert await counted(address) == 3
        async with await connect(pair.lab, "node1") as again:
            await again.run("vzctl suspend 207", check=True)
            (pair.a.root / "vz/dump/Dump.207").write_text("no image")
            started = await again.run("vzctl start 207", check=True)
        assert "restor" not in f"{started.stdout}{started.stderr}".lower()
        assert await counted(address) == 1
