"""The preflight against two simulated nodes: by itself (`vzq migrate --check`), and as what a move begins with."""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from sqlmodel import select

from models.fleet import Node
from models.jobs import Job
from models.lifecycle import State
from tests.migration.pair import N1, N2, MoveHouse


async def vzq(pair: MoveHouse, *words: str) -> tuple[int, str, str]:
    """The command line, as a person calls it; exit code and both streams."""
    folder = Path(pair.database.engine.url.database or "").parent
    environment = {
        "PATH": "/usr/bin:/bin", "HOME": str(folder), "VZQ_STATE": str(folder), "VZQ_DATABASE": f"sqlite:///{folder}/vzq.sqlite",
        "VZQ_SECRET_KEY_FILE": str(folder / "key"), "PYTHONPATH": str(Path(__file__).parents[2]),
    }  # fmt: skip
    argv: Sequence[str] = [sys.executable, "-c", "from producers.cli.menu import app; app()", *words]
    process = await asyncio.create_subprocess_exec(*argv, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_a_check_says_yes_and_changes_nothing(pair: MoveHouse) -> None:
    ctid = await pair.create()
    code, out, err = await vzq(pair, "migrate", str(ctid), N2, "--online", "--check")
    assert (code, out) == (0, f"container {ctid} can be moved online from n1 to n2\n"), err
    await pair.lives_on(N1, ctid)
    pair.no_trust()
    pair.nothing_kept()


async def test_a_check_names_all_that_is_in_the_way_and_leaves_with_3(pair: MoveHouse) -> None:
    ctid = await pair.create(name="web")
    await pair.at(N2, "flavour", vz_running=False, clock_offset_s=60)
    await pair.at(N2, "stranger", ctid=ctid, name="theirs", running=False)
    await pair.at(N2, "stranger", ctid=999, name="web", address=pair.addresses(ctid)[0], running=False)
    await pair.at(N2, "disk", free_kib=1000)
    code, out, err = await vzq(pair, "migrate", str(ctid), N2, "--check", "--json")
    assert code == 3, (out, err)
    told = {refusal["code"]: refusal["why"] for refusal in json.loads(out)["refusals"]}
    assert {"service", "clock", "id", "name", "address", "disk"} <= told.keys(), told
    assert "container 999 on n2 has" in told["address"]
    code, out, err = await vzq(pair, "migrate", str(ctid), N2, "--check")
    assert code == 3
    assert "  service: the vz service does not run on n2; start it" in err
    job = await pair.order("migrate-container", ctid, to=N2)
    assert job.state == State.FAILED
    assert "service: the vz service does not run on n2" in job.error
    assert not job.begun
    await pair.at(N2, "flavour", vz_running=True, clock_offset_s=0)
    assert (await pair.sight_at(N1, ctid)).running
    pair.no_trust()


async def test_a_check_that_meets_a_target_that_is_away_opens_that_nodes_breaker_and_no_others(pair: MoveHouse) -> None:
    ctid = await pair.create()
    await pair.at(N2, "unreachable")
    pair.place("check-migration", ctid, to=N2, mode="online")

    def broken() -> list[str]:
        with pair.database.read() as session:
            return [node.name for node in session.exec(select(Node)).all() if node.broken_until is not None]

    async with asyncio.timeout(60):
        while not broken():
            await asyncio.sleep(0.05)
    assert broken() == [N2]


async def test_what_a_script_left_empty_moves_nobody_and_a_refused_check_is_json_too(pair: MoveHouse) -> None:
    ctid = await pair.create()
    for words, told in (
        (["migrate", str(ctid), ""], "NODE: is empty"),
        (["migrate", str(ctid), N2, "--window", " "], "--window: is empty"),
        (["migrate", str(ctid), N2, "--over-budget"], "--over-budget: goes only with a reason"),
        (["migrate", str(ctid), N2, "--budget", "-1"], "--budget: "),
        (["downtime", "--job", "abcd", "--node", N2], "--job: tells all of one job"),
        (["downtime", "--node", "nope"], "--node: there is no node 'nope'"),
        (["downtime", "--cause", "bogus"], "--cause: there is no cause"),
    ):
        code, out, err = await vzq(pair, *words)
        assert (code, out, told in err) == (2, "", True), (words, err)
    with pair.database.read() as session:
        assert session.exec(select(Job).where(Job.kind == "migrate-container")).all() == []
    code, out, _ = await vzq(pair, "migrate", str(ctid), N1, "--online", "--check", "--json")
    assert (code, [refusal["why"] for refusal in json.loads(out)["refusals"]]) == (3, [f"container {ctid} is on n1 already"])


async def test_a_target_without_checkpoints_takes_it_offline_where_that_is_allowed(pair: MoveHouse) -> None:
    ctid = await pair.create()
    await pair.at(N2, "flavour", checkpointing=False)
    refused = await pair.order("migrate-container", ctid, to=N2)
    assert (refused.state, "checkpoint: n2 cannot checkpoint" in refused.error) == (State.FAILED, True), refused.error
    await pair.story_of(pair.place("migrate-container", ctid, to=N2, mode="online-else-offline"), State.DONE)
    await pair.lives_on(N2, ctid)


async def test_open_sessions_are_waited_for_and_not_killed(pair: MoveHouse, tmp_path: Path) -> None:
    ctid = await pair.create()
    over = tmp_path / "over"
    session = asyncio.create_task(pair.shell_at(N1, "vzctl", "exec2", str(ctid), f"while [ ! -e {over} ]; do sleep 0.2; done; echo done"))
    while "session=" not in (await pair.shell_at(N1, "vzq-mv", "facts", str(ctid), "-", "0", "-"))[1]:
        await asyncio.sleep(0.05)
    job = pair.place("migrate-container", ctid, to=N2)
    async with asyncio.timeout(60):
        while "exec or enter sessions are open" not in pair.job(job).error:
            await asyncio.sleep(0.05)
    assert not session.done()
    assert not pair.job(job).begun
    over.touch()
    assert await session == (0, "done\n")
    await pair.story_of(job, State.DONE)
    await pair.lives_on(N2, ctid)
