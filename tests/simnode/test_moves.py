"""A container goes from node to node: what runs where, what answers, what stays."""

import asyncio
import json
from pathlib import Path

from tests.simnode.pairs import counted, moved, pair_in, run_there, status
from tests.simnode.test_links import until


async def test_an_online_move_takes_the_running_container_with_its_address_and_its_memory(tmp_path: Path, address: str):
    async with pair_in(tmp_path / "lab") as pair:
        await run_there(pair.a, address=address)
        assert [await counted(address), await counted(address)] == [1, 2]
        assert (await moved(pair.a, "--online 10.99.0.12 207")).code == 0
        assert (await status(pair.a), await status(pair.b)) == ("deleted unmounted down", "exist mounted running")
        assert await counted(address) == 3
        assert await pair.b.ok("vzctl exec2 207 hostname") == "ct207\n"
        assert not list((pair.a.root / "vz/dump").iterdir()) + list((pair.b.root / "vz/dump").iterdir())


async def test_an_offline_move_starts_the_container_anew_over_there(tmp_path: Path, address: str):
    async with pair_in(tmp_path / "lab") as pair:
        await run_there(pair.a, address=address)
        await counted(address)
        await pair.a.ok("vzctl exec2 207 'echo kept > kept; mkdir deep; ln -s ../kept deep/link; chmod 750 deep'")
        assert (await moved(pair.a, "10.99.0.12 207")).code == 0
        assert await counted(address) == 1
        private = pair.b.root / "vz/private/207"
        assert (private / "deep/link").read_text() == "kept\n"
        assert (private / "deep").stat().st_mode & 0o777 == 0o750
        assert pair.b.node.disk.sizes == {207: 2110}
        assert pair.a.node.disk.free_kib == pair.a.node.disk.size_kib - 2_400_000


async def test_from_suspend_to_resume_nobody_answers_and_never_two(tmp_path: Path, address: str):
    async with pair_in(tmp_path / "lab") as pair:
        await run_there(pair.a, address=address)
        for phase in ("dump", "copy-dump", "second-rsync", "undump", "resume"):
            await pair.a.ctl("fault", command="vzmigrate", action="hold", phase=phase)
        move = asyncio.create_task(moved(pair.a, "--online 10.99.0.12 207"))
        for phase in ("dump", "copy-dump", "second-rsync", "undump", "resume"):
            await pair.a.ctl("held", phase=phase, wait_s=20)
            assert await counted(address, within_s=0.1) is None
            listening = [node.node.answers.listening for node in (pair.a, pair.b)]
            assert len([one for one in listening if one]) <= 1
            await pair.a.ctl("release")
        assert (await move).code == 0
        assert await counted(address) is not None


async def test_the_source_kept_by_r_no_cannot_start_until_its_file_is_moved_back(tmp_path: Path, address: str):
    async with pair_in(tmp_path / "lab") as pair:
        await run_there(pair.a, address=address)
        await pair.a.ok("vzctl set 207 --onboot yes --save")
        assert (await moved(pair.a, "--online -r no 10.99.0.12 207")).code == 0
        await pair.a.ctl("down")
        await pair.a.ctl("up")
        assert not pair.a.node.state(207).running
        assert (pair.a.root / "etc/vz/conf/207.conf.migrated").exists()
        assert (pair.a.root / "vz/private/207/sbin/init").exists()


async def test_a_killed_move_undoes_nothing_and_its_lock_stays_for_vzmigrate(tmp_path: Path):
    async with pair_in(tmp_path / "lab") as pair:
        await run_there(pair.a)
        await pair.a.ctl("fault", command="vzmigrate", action="kill", phase="second-rsync")
        assert (await moved(pair.a, "--online 10.99.0.12 207; exit $?")).code == 137
        await until(lambda: not pair.a.node.calls.running)
        assert (await status(pair.a), await status(pair.b)) == ("exist mounted down", "exist unmounted down")
        assert (pair.a.root / "vz/dump/tmp-dump.207").exists()
        assert (await moved(pair.a, "--online 10.99.0.12 207")).code == 20
        await pair.a.ok("vzctl restore 207 --dumpfile /vz/dump/tmp-dump.207")
        assert await status(pair.a) == "exist mounted running"
        assert (await moved(pair.a, "--online 10.99.0.12 207")).code == 9
        await pair.b.ok("vzctl destroy 207")
        assert (await moved(pair.a, "--online 10.99.0.12 207")).code == 0


async def test_a_half_copy_with_onboot_starts_at_the_destinations_next_boot(tmp_path: Path):
    async with pair_in(tmp_path / "lab") as pair:
        await run_there(pair.a)
        await pair.a.ok("vzctl set 207 --onboot yes --save")
        await pair.a.ctl("fault", command="vzmigrate", action="kill", phase="second-rsync")
        assert (await moved(pair.a, "--online 10.99.0.12 207; exit $?")).code == 137
        await pair.b.ctl("down")
        await pair.b.ctl("up")
        assert pair.b.node.state(207).running


async def test_of_twins_one_answers_and_the_other_takes_over_when_it_goes(tmp_path: Path, address: str):
    async with pair_in(tmp_path / "lab") as pair:
        for node in (pair.a, pair.b):
            await run_there(node, address=address)
        assert (pair.a.node.answers.listening, pair.b.node.answers.listening) == ([address], [])
        await pair.a.ok("vzctl stop 207 --fast")
        await until(lambda: pair.b.node.answers.listening == [address])
        assert await counted(address) == 1


async def test_the_notes_of_both_nodes_say_from_when_to_when_nobody_answered(tmp_path: Path, address: str):
    async with pair_in(tmp_path / "lab") as pair:
        await run_there(pair.a, address=address)
        assert (await moved(pair.a, "--online 10.99.0.12 207")).code == 0
        notes = [json.loads(line) for node in (pair.a, pair.b) for line in (node.node.folder / "answers.jsonl").read_text().splitlines()]
        in_order = [note["answers"] for note in sorted(notes, key=lambda note: note["at"])]
        assert (in_order[0], in_order[-1], set(in_order[1:-1])) == (True, True, {False})


async def test_the_journal_tells_once_that_a_container_moved(tmp_path: Path):
    async with pair_in(tmp_path / "lab") as pair:
        await run_there(pair.a)
        assert (await moved(pair.a, "--online 10.99.0.12 207")).code == 0
        done = [json.loads(line) for node in (pair.a, pair.b) for line in (node.node.folder / "journal.jsonl").read_text().splitlines()]
        effects = [effect for entry in done for effect in entry["effects"]]
        assert effects == ["created", "set", "started", "dumped", "killed", "destroyed", "moved", "set", "restored", "resumed"]


async def test_an_older_vzmigrate_neither_names_nor_takes_the_shared_connection(tmp_path: Path, address: str):
    async with pair_in(tmp_path / "lab") as pair:
        await run_there(pair.a, address=address)
        assert "--ssh-mux" in await pair.a.ok("vzmigrate")
        await pair.a.ctl("flavour", ssh_mux=False)
        assert "--ssh-mux" not in await pair.a.ok("vzmigrate")
        refused = await moved(pair.a, "--online --ssh-mux 10.99.0.12 207")
        assert (refused.code, await status(pair.a)) == (1, "exist mounted running")
        assert (await moved(pair.a, "--online 10.99.0.12 207")).code == 0


async def test_how_much_of_a_long_copy_has_gone_can_be_seen_in_proc(tmp_path: Path, address: str):
    async with pair_in(tmp_path / "lab", speed=1) as pair:
        await run_there(pair.a, address=address)
        await pair.a.ctl("latency", **{"network-kib": 2000})  # so the copy of its 2110 KiB takes a second
        move = asyncio.create_task(moved(pair.a, "10.99.0.12 207"))
        seen = set()
        while not move.done():
            seen |= {int(path.read_text().split()[3]) for path in (pair.a.root / "proc").glob("[0-9]*/io")}
            await asyncio.sleep(0.05)
        assert (await move).code == 0
        assert len(seen) > 3
        assert max(seen) <= 2110 * 1024
        assert not list((pair.a.root / "proc").glob("[0-9]*/io"))
