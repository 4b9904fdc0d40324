"""Nodes of other kinds: OpenVZ kernels, older images, other processors, small or wrongly set machines."""

import asyncio
import time
from pathlib import Path

import pytest

from ops.simnode.node_state import Load
from tests.simnode.labs import bash, node_in
from tests.simnode.pairs import Pair, counted, moved, pair_in, run_there, status
from tests.simnode.test_links import until

KERNEL = {"openvz": True, "kernel": "2.6.32-042stab120.1", "vswap": True}


async def become(pair: Pair, **there: object) -> None:
    """Two OpenVZ kernels, the destination's with a difference."""
    await pair.a.ctl("flavour", **KERNEL)
    await pair.b.ctl("flavour", **KERNEL, **there)


async def test_two_openvz_kernels_say_the_words_of_their_vzctl(tmp_path: Path, address: str):
    async with pair_in(tmp_path / "lab") as pair:
        await become(pair)
        await run_there(pair.a, address=address)
        assert await counted(address) == 1
        answer = await moved(pair.a, "--online -v 10.99.0.12 207")
        assert answer.code == 0
        lines = answer.out.splitlines()
        assert "   Checking for CPT version compatibility" in lines
        assert [line for line in lines if line.startswith("\t")] == ["\tsuspend...", "\tdump...", "\tundump...", "\tresume...", "\tkill..."]
        assert await counted(address) == 2


async def test_an_openvz_kernel_dumps_without_killing_and_goes_on_after_resume(tmp_path: Path, address: str):
    async with node_in(tmp_path / "lab") as node:
        await node.ctl("flavour", **KERNEL)
        await run_there(node, address=address)
        await node.ok("vzctl chkpnt 207 --suspend")
        await node.ok("vzctl chkpnt 207 --dump --dumpfile /vz/dump/d")
        assert await status(node) == "exist mounted running"
        assert (await node.run("vzctl exec2 207 true")).code == 7
        assert await counted(address, within_s=0.1) is None
        await node.ok("vzctl chkpnt 207 --resume")
        assert await counted(address) == 1


async def test_two_sub_actions_at_once_and_what_does_not_run_are_refused(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        await run_there(node)
        assert (await node.run("vzctl chkpnt 207 --suspend --dump")).code == 20
        assert (await node.run("vzctl restore 207 --undump")).code == 32
        await node.ok("vzctl stop 207")
        assert (await node.run("vzctl chkpnt 207 --suspend")).code == 31
        assert (await node.run("vzctl restore 207")).code == 17


async def test_an_open_exec_keeps_an_openvz_kernel_from_suspending_and_dies_with_criu(tmp_path: Path):
    async with pair_in(tmp_path / "lab") as pair:
        await become(pair)
        await run_there(pair.a)
        inner = await pair.a.connection.create_process("vzctl exec2 207 'sleep 600'")
        await until(lambda: any(pair.a.node.inside.get(207, ())))
        assert (await pair.a.run("vzctl suspend 207")).code == 16
        answer = await moved(pair.a, "--online 10.99.0.12 207")
        assert (answer.code, answer.err) == (8, "Error: Failed to suspend container\n")
        assert await status(pair.a) == "exist mounted running"
        assert not pair.a.node.state(207).frozen
        for node in (pair.a, pair.b):
            await node.ctl("flavour", openvz=False)
        assert (await moved(pair.a, "--online 10.99.0.12 207")).code == 0
        assert (await asyncio.wait_for(inner.wait(), 10)).exit_status == 3


@pytest.mark.parametrize(
    ("there", "options", "code"),
    [
        ({"vz_running": False}, "", 14),
        ({"checkpointing": False}, "--online", 14),
        ({"checkpointing": False}, "", 0),
        ({"cpt_version": 5}, "--online", 17),
        ({"cpt_version": 7}, "--online", 0),
        ({"cpu_caps": 0x3F}, "--online", 18),
        ({"cpu_caps": 0x3F}, "--online --nodeps=cpu", 0),
        ({"cpu_caps": 0x3F}, "--online -f", 0),
        ({"ipv6": False}, "--online", 14),
        ({"ipv6": False}, "--online --nodeps=ipv6", 0),
    ],
)
async def test_what_does_not_suit_is_found_before_anything_is_changed(there: dict[str, object], options: str, code: int, tmp_path: Path):
    async with pair_in(tmp_path / "lab") as pair:
        await become(pair, **there)
        await run_there(pair.a)
        assert (await moved(pair.a, f"--check-only {options} 10.99.0.12 207")).code == code
        assert not (pair.b.root / "etc/vz/conf/207.conf").exists()
        assert await status(pair.a) == "exist mounted running"


async def test_a_node_shows_what_kind_of_machine_it_is(tmp_path: Path):
    async with node_in(tmp_path / "lab") as node:
        assert (await node.run(bash("command -v criu && ! test -e $VZQ_NODE_ROOT/proc/vz"))).code == 0
        await node.ctl("flavour", **KERNEL, ploop=True, memory_free_mib=100, cpu_flags="fpu avx2", clock_offset_s=3600)
        proc = "$VZQ_NODE_ROOT/proc"
        assert await node.ok(f"cat {proc}/sys/kernel/osrelease") == "2.6.32-042stab120.1\n"
        assert "MemAvailable:     102400 kB" in await node.ok(f"cat {proc}/meminfo")
        assert "avx2" in await node.ok(f"cat {proc}/cpuinfo")
        await node.ok(f"ls {proc}/cpt {proc}/rst {proc}/vz/version {proc}/vz/vswap {proc}/vz/ploop_minor")
        assert (await node.run("command -v criu")).code != 0
        assert abs(int(await node.ok("date +%s")) - time.time() - 3600) < 60
        await node.ctl("disk", free_kib=1000, free_inodes=77)
        assert (await node.ok("df -Pk /vz")).split()[-3] == "1000"
        assert (await node.ok("df -Pi /vz")).split()[-3] == "77"
        await node.ctl("flavour", openvz=False, vswap=False, clock_offset_s=0)
        assert (await node.run(bash("command -v criu && ! test -e $VZQ_NODE_ROOT/proc/vz"))).code == 0


async def test_size_load_and_latency_make_the_time_of_a_move(tmp_path: Path):
    async with pair_in(tmp_path / "lab", speed=1.0) as pair:
        await run_there(pair.a)
        figures = {"network-kib": 10_000, "dump-copy-kib": 1000, "dump-kib": 1e9, "undump-kib": 1e9, "ssh-connect": 0, "rsync": 0, "dump": 0}
        await pair.a.ctl("latency", **figures)
        await pair.a.ctl("load", ctid=207, rss_kib=600, dirty_kib_s=10_000)
        pair.a.node.disk.sizes[207] = 10_000
        answer = await moved(pair.a, "--online -t 10.99.0.12 207")
        rows = {label.strip(): float(text) for label, _, text in (line.partition(":") for line in answer.out.splitlines()) if text}
        assert rows["Copy dump file"] > 0.5
        assert rows["Second rsync"] > 0.5  # of what was written since the first
        parts = [rows[label] for label in ("Suspend + Dump", "Copy dump file", "Second rsync", "Undump + Resume")]
        assert abs(rows["Total suspended time"] - sum(parts)) < 0.05
        assert pair.b.node.load(207) == Load(600, 10_000)
