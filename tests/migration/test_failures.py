"""Whatever is killed in whatever phase of a move: exactly one copy runs in the end, on the node that the row names, and no other could start."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from models.lifecycle import State
from producers.jobs import cancel, find
from tests.migration.pair import N1, N2, MoveHouse, pair_in

ONLINE = (
    "connect", "config", "private-dir", "first-rsync", "suspend", "dump", "copy-dump", "second-rsync", "undump", "resume", "clean-up", "kill",
    "remove-dumps", "keep",
)  # fmt: skip
OFFLINE = ("stop", "second-rsync", "start", "clean-up", "keep")  # until the first is over both go the same way
PHASES = {"online": ONLINE, "offline": OFFLINE}
EARLY = {"connect", "config", "private-dir", "first-rsync"}  # the container has noticed nothing

pytestmark = pytest.mark.timeout(300)  # a container for each phase; the mishap strikes them all at once
Mishap = Callable[[MoveHouse], Awaitable[None]]


async def vzmigrate_is_killed(pair: MoveHouse) -> None:
    await pair.at(N1, "kill", command="vzmigrate")


async def the_worker_dies(pair: MoveHouse) -> None:
    pair.restart_worker()
    await pair.at(N1, "release", command="vzmigrate")


async def the_source_crashes(pair: MoveHouse) -> None:
    await pair.at(N1, "down")
    await pair.at(N1, "up")


async def the_target_crashes(pair: MoveHouse) -> None:
    await pair.at(N2, "down")
    await pair.at(N1, "release", command="vzmigrate")
    await pair.at(N2, "up")


MISHAPS = [vzmigrate_is_killed, the_worker_dies, the_source_crashes, the_target_crashes]


async def moving(pair: MoveHouse, mode: str, phase: str) -> tuple[int, str]:
    """A container whose vzmigrate stands still at the phase."""
    ctid = await pair.create()
    await pair.hold(phase, ctid)
    job = pair.place("migrate-container", ctid, to=N2, mode=mode, over_budget=True)  # so no pace holds it
    await pair.held(phase, ctid)
    return ctid, job


async def each_moving(pair: MoveHouse, mode: str, phases: Sequence[str]) -> dict[str, tuple[int, str]]:
    """One container in each phase, all at once."""
    return {phase: await moving(pair, mode, phase) for phase in phases}


async def is_once_and_well(pair: MoveHouse, ctid: int) -> None:
    row = pair.row(ctid)
    assert row is not None
    assert await pair.runs_once(ctid) == [row.node]
    await pair.lives_on(row.node, ctid)


async def openvz(pair: MoveHouse) -> None:
    """Both nodes have an OpenVZ kernel: a dump leaves the container frozen instead of ending it."""
    for name in (N1, N2):
        await pair.at(name, "flavour", openvz=True, checkpointing=True, vswap=True, kernel="2.6.32-042stab145.3", ipv6=True)
        assert (await pair.order("observe-node", node=name)).state == State.DONE


@pytest.mark.parametrize("mode", PHASES)
@pytest.mark.parametrize("mishap", MISHAPS, ids=lambda mishap: mishap.__name__)
async def test_one_copy_runs_whatever_happens_in_each_phase(pair: MoveHouse, mishap: Mishap, mode: str) -> None:
    moves = await each_moving(pair, mode, PHASES[mode])
    await mishap(pair)
    for phase, (ctid, job) in moves.items():
        given_up = mishap is the_target_crashes and phase == "start"  # it was stopped for nothing once; a second time is for a person to order
        await pair.story_of(job, State.FAILED if given_up else State.DONE)
        await is_once_and_well(pair, ctid)
    pair.no_trust()
    pair.nothing_kept()


@pytest.mark.parametrize(("mode", "phase"), [("online", "dump"), ("online", "copy-dump"), ("offline", "second-rsync")])
async def test_a_reboot_of_the_target_before_this_try_is_no_riddle_when_this_one_is_killed(pair: MoveHouse, mode: str, phase: str) -> None:
    ctid, job = await moving(pair, mode, "first-rsync")
    await pair.at(N2, "down")
    await pair.at(N1, "release", command="vzmigrate")
    async with asyncio.timeout(60):
        while not pair.job(job).error:  # the first try has failed, and does not go on when its target is back
            await asyncio.sleep(0.05)
    await pair.hold(phase, ctid)
    await pair.at(N2, "up")
    await pair.held(phase, ctid)
    await pair.at(N1, "kill", command="vzmigrate")
    await pair.story_of(job, State.DONE)
    await is_once_and_well(pair, ctid)
    pair.no_trust()


@pytest.mark.parametrize("mishap", [vzmigrate_is_killed, the_source_crashes], ids=lambda mishap: mishap.__name__)
async def test_a_frozen_container_of_an_openvz_kernel_goes_on(pair: MoveHouse, mishap: Mishap) -> None:
    await openvz(pair)
    moves = await each_moving(pair, "online", ONLINE[4:])
    await mishap(pair)
    for ctid, job in moves.values():
        await pair.story_of(job, State.DONE)
        await is_once_and_well(pair, ctid)


async def test_what_comes_up_on_the_target_after_vzmigrate_has_taken_its_files_away_ends_and_the_source_goes_on(pair: MoveHouse) -> None:
    # As when its ssh dies under the restore: its undo removes area and conf, and then the restore is through.
    ctid, job = await moving(pair, "online", "clean-up")
    root = pair.lab.machines[N2].node.sandbox.root
    shutil.rmtree(root / f"vz/private/{ctid}")
    (root / f"etc/vz/conf/{ctid}.conf").unlink()
    await pair.at(N1, "kill", command="vzmigrate")
    assert (await pair.story_of(job, State.DONE)).result["tries"] == 2
    await is_once_and_well(pair, ctid)
    pair.no_trust()


async def test_what_goes_on_running_on_the_source_after_its_conf_was_put_away_ends(pair: MoveHouse) -> None:
    await openvz(pair)
    ctid, job = await moving(pair, "online", "clean-up")  # as when `chkpnt --kill` fails: vzmigrate ignores that, and puts the conf away
    confs = pair.lab.machines[N1].node.sandbox.root / "etc/vz/conf"
    (confs / f"{ctid}.conf").rename(confs / f"{ctid}.conf.migrated")
    assert pair.frozen(N1, ctid)
    await pair.at(N1, "kill", command="vzmigrate")
    await pair.story_of(job, State.DONE)
    await is_once_and_well(pair, ctid)
    row = pair.row(ctid)
    assert row is not None
    assert row.node == N2


@pytest.mark.parametrize("mode", PHASES)
async def test_a_cancel_in_any_phase_ends_on_one_node(pair: MoveHouse, mode: str) -> None:
    moves = await each_moving(pair, mode, PHASES[mode])
    with pair.database.write() as session:
        for _, job in moves.values():
            cancel(pair.database, session, find(session, job), by="test", because="")
    await pair.renew()
    for phase in PHASES[mode]:
        if phase not in EARLY:  # too late to be ended; and then the target has it
            await pair.at(N1, "release", command="vzmigrate", phase=phase)
    for phase, (ctid, job) in moves.items():
        await pair.story_of(job, State.CANCELLED if phase in EARLY else State.DONE)
        await is_once_and_well(pair, ctid)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_with_the_rows_in_postgresql_it_is_the_same(tmp_path: Path, sqlite_template: Path, database_url: str) -> None:
    async with pair_in(tmp_path, sqlite_template, url=database_url) as pair:
        for phase, mishap in (("first-rsync", the_worker_dies), ("undump", vzmigrate_is_killed)):
            ctid, job = await moving(pair, "online", phase)
            await mishap(pair)
            await pair.story_of(job, State.DONE)
            await is_once_and_well(pair, ctid)


async def test_while_one_node_cannot_be_asked_nothing_is_done_on_the_other(pair: MoveHouse) -> None:
    ctid, job = await moving(pair, "online", "copy-dump")
    await pair.at(N2, "unreachable")
    await pair.at(N1, "release", command="vzmigrate")
    while not (broken := pair.job(job)).error:
        await asyncio.sleep(0.05)
    assert not broken.ended
    await pair.at(N2, "reachable")
    await pair.story_of(job, State.DONE)
    await is_once_and_well(pair, ctid)


async def test_after_both_crashed_with_nobody_to_tell_which_copy_is_newer_a_person_is_asked(pair: MoveHouse) -> None:
    ctid, job = await moving(pair, "offline", "start")
    for name in (N1, N2):
        await pair.at(name, "down")
    for name in (N1, N2):
        await pair.at(name, "up")
    stuck = await pair.story_of(job, State.STUCK)
    assert "nobody can tell whether the copy on n2 has run" in stuck.error
    assert await pair.runs_once(ctid) == []  # neither starts by itself


@pytest.mark.parametrize(
    ("fault", "mode", "end", "node"),
    [
        ("n1 chkpnt dump 1", "online", State.DONE, N2),
        ("n1 chkpnt dump 0", "online", State.FAILED, N1),
        ("n1 chkpnt dump 0", "online-else-offline", State.DONE, N2),
        ("n2 restore undump 0", "online", State.FAILED, N1),
        ("n2 restore undump 0", "online-else-offline", State.DONE, N2),
        ("n2 start env 0", "offline", State.FAILED, N1),
        ("n1 rsync send 1", "online", State.DONE, N2),
    ],
    ids=["once", "always", "always-else-offline", "no-restore", "no-restore-else-offline", "no-start", "copy"],
)
async def test_a_step_that_fails(pair: MoveHouse, fault: str, mode: str, end: State, node: str) -> None:
    ctid = await pair.create()
    where, command, phase, times = fault.split()
    await pair.at(where, "fault", command=command, phase=phase, action="exit", code=16, times=int(times))
    await pair.story_of(pair.place("migrate-container", ctid, to=N2, mode=mode), end)
    for name in (N1, N2):
        await pair.at(name, "clear")
    row = pair.row(ctid)
    assert row is not None
    assert row.node == node
    await is_once_and_well(pair, ctid)


@pytest.mark.parametrize("end", [State.DONE, State.CANCELLED])
async def test_a_conf_that_came_in_part_is_cleared_away(pair: MoveHouse, end: State) -> None:
    ctid, job = await moving(pair, "online", "name")  # the conf has just been sent
    (pair.lab.machines[N2].node.sandbox.conf(ctid)).write_bytes(b"")  # all that `cat >` of a killed vzmigrate may leave
    if end is State.CANCELLED:
        with pair.database.write() as session:
            cancel(pair.database, session, find(session, job), by="test", because="")
    await vzmigrate_is_killed(pair)
    await pair.story_of(job, end)
    await is_once_and_well(pair, ctid)
    pair.no_trust()


async def test_a_container_that_somebody_makes_there_meanwhile_is_left_alone(pair: MoveHouse) -> None:
    ctid, job = await moving(pair, "offline", "connect")
    await pair.at(N2, "stranger", ctid=ctid, name="theirs", running=True)
    await pair.at(N1, "release", command="vzmigrate", phase="connect")
    await pair.story_of(job, State.FAILED)
    assert (await pair.sight_at(N2, ctid)).running
    assert (await pair.sight_at(N2, ctid)).marker is None
    assert (await pair.sight_at(N1, ctid)).running
    pair.no_trust()
