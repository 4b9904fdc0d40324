"""A container goes from node to node as ordered: online, offline, stopped, suspended; and nothing is left behind."""

import json
import os

import pytest

from models.lifecycle import State
from tests.migration.pair import N1, N2, MoveHouse


async def test_a_running_container_moves_online_and_its_processes_go_with_it(pair: MoveHouse) -> None:
    ctid = await pair.create()
    job = await pair.story_of(pair.place("migrate-container", ctid, to=N2), State.DONE)
    await pair.lives_on(N2, ctid)
    pair.no_trust()
    pair.nothing_kept()
    assert job.result["suspended_s"] > 0
    assert (job.result["source"], job.result["target"], job.result["tries"]) == (N1, N2, 1)


async def test_offline_it_is_stopped_here_and_started_there(pair: MoveHouse) -> None:
    ctid = await pair.create()
    job = await pair.story_of(pair.place("migrate-container", ctid, to=N2, mode="offline"), State.DONE)
    await pair.lives_on(N2, ctid)
    pair.no_trust()
    assert job.result["suspended_s"] is None


@pytest.mark.parametrize("verb", ["stop-container", "suspend-container", "terminate-container"])
async def test_one_that_does_not_run_moves_and_stays_as_it_is(pair: MoveHouse, verb: str) -> None:
    ctid = await pair.create()
    await pair.order(verb, ctid)
    await pair.story_of(pair.place("migrate-container", ctid, to=N2, mode="online-else-offline"), State.DONE)
    await pair.lives_on(N2, ctid)
    pair.no_trust()


async def test_one_that_is_suspended_to_a_dump_moves_with_it_and_stays_suspended(pair: MoveHouse) -> None:
    ctid = await pair.create()
    assert (await pair.shell_at(N1, "vzctl", "suspend", str(ctid)))[0] == 0
    await pair.story_of(pair.place("migrate-container", ctid, to=N2, mode="offline"), State.DONE)
    sight = await pair.sight_at(N2, ctid)
    assert (sight.whole, sight.running, sight.suspended) == (True, False, True)
    await pair.nothing_on(N1, ctid)
    assert (await pair.shell_at(N2, "vzctl", "resume", str(ctid)))[0] == 0
    await pair.lives_on(N2, ctid)


async def test_there_and_back_again(pair: MoveHouse) -> None:
    ctid = await pair.create()
    for target in (N2, N1):
        await pair.story_of(pair.place("migrate-container", ctid, to=target), State.DONE)
        await pair.lives_on(target, ctid)
    await pair.survives_reboots(ctid)


async def test_the_copy_that_is_kept_cannot_start(pair: MoveHouse) -> None:
    ctid = await pair.create()
    await pair.story_of(pair.place("migrate-container", ctid, to=N2, keep_source=True), State.DONE)
    kept = await pair.sight_at(N1, ctid)
    assert (kept.migrated, kept.private, kept.exists) == (True, "full", False)
    assert (await pair.shell_at(N1, "vzctl", "start", str(ctid)))[0] == 14
    await pair.survives_reboots(ctid)
    pair.no_trust()


async def test_what_waited_behind_a_move_happens_on_the_new_node(pair: MoveHouse) -> None:
    ctid = await pair.create()
    moving, stop = pair.place("migrate-container", ctid, to=N2), pair.place("stop-container", ctid)
    await pair.story_of(moving, State.DONE)
    await pair.story_of(stop, State.DONE)
    await pair.lives_on(N2, ctid)


async def test_trust_that_nobody_took_away_goes_with_a_look_at_the_node(pair: MoveHouse) -> None:
    lost = "01JD0000000000000000000009"
    words = ["vzq-mv", "authorize", "999", lost, "127.0.0.1", "simfs", "ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIHb0N7d0bJ9q"]
    assert (await pair.shell_at(N2, *words))[0] == 0
    folder = pair.lab.machines[N2].node.sandbox.root / f"var/lib/vzq/move/{lost}"
    os.utime(folder, (1, 1))
    job = await pair.order("observe-node", node=N2)
    assert job.state == State.DONE, job.error
    assert job.result["trust_swept"] == [lost]
    pair.no_trust()


@pytest.mark.parametrize("mux", [True, False])
async def test_one_ssh_connection_is_kept_where_the_last_look_showed_that_the_tool_can(pair: MoveHouse, mux: bool) -> None:
    await pair.at(N1, "flavour", ssh_mux=mux)
    assert (await pair.order("observe-node", node=N1)).state == State.DONE
    ctid = await pair.create()
    await pair.story_of(pair.place("migrate-container", ctid, to=N2), State.DONE)
    journal = (pair.lab.machines[N1].node.folder / "journal.jsonl").read_text().splitlines()
    moves = [call["argv"] for call in map(json.loads, journal) if "moved" in call["effects"]]
    assert [("--ssh-mux" in argv) for argv in moves] == [mux]
