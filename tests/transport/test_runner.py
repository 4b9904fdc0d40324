"""The runner over a real SSH link: install, begin, lose the link, attach, fence, cancel."""

import asyncio
import os
import random
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from models.clock import SystemClock
from models.errors import NodeFault, Stale, Unreachable, Unsure
from tests.transport.conftest import Server
from tests.transport.test_links import seen
from workers.commands import Command
from workers.node import runner as runner_module
from workers.node.install import install, programs
from workers.node.runner import Direction, Killed, Outcome, Runner, Sealed, StepKey, TimedOut, Vanished
from workers.transport.links import Links, NodeLink

SOON = timedelta(seconds=20)
MAKE = StepKey("101", 5, "J1", "make", Direction.DO, 1)


@pytest.fixture
async def link(server: Server, links: Links) -> NodeLink:
    link = links.to(server.address)
    await install(link)
    return link


@pytest.fixture
def runner(link: NodeLink) -> Runner:
    return Runner(link, clock=SystemClock())


def sh(script: str, *, stdin: bytes = b"", timeout: timedelta = SOON) -> Command:
    return Command("test", ["sh", "-c", script], stdin=stdin, timeout=timeout)


async def test_a_command_is_begun_once_and_answered_twice(server: Server, runner: Runner) -> None:
    witness = server.root / "witness"
    command = sh(f"echo ran >>{witness}; printf 'ü\\n'; printf 'e\\377' >&2; exit 7")
    first = await runner.begin(MAKE, command)
    assert (first.code, first.out, first.err) == (7, "ü\n", "e\ufffd")
    assert await runner.begin(MAKE, command) == first
    assert await runner.attach(MAKE, timeout=SOON) == first
    assert witness.read_text() == "ran\n"


async def test_input_goes_to_the_command_and_not_to_the_command_line(server: Server, runner: Runner) -> None:
    answer = await runner.begin(MAKE, sh("cat", stdin=b"root:s3cret word\n"))
    assert answer.out == "root:s3cret word\n"
    assert not [line for line in server.lines if "s3cret" in line]


async def test_a_cut_link_is_unsure_and_attach_brings_the_result(server: Server, runner: Runner) -> None:
    began = asyncio.create_task(runner.begin(MAKE, sh("sleep 0.5; echo made; exit 3")))
    await seen((server.root / "var/lib/vzq/runs/J1/101.make.do.1/out").exists)
    await server.cut()
    with pytest.raises(Unsure) as caught:
        await began
    assert not isinstance(caught.value, Vanished)
    answer = await runner.attach(MAKE, timeout=SOON)
    assert answer is not None
    assert (answer.code, answer.out) == (3, "made\n")


async def test_a_link_lost_between_two_slices_is_unsure_and_not_retryable(
    server: Server, runner: Runner, link: NodeLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "SLICE_S", 1)
    began = asyncio.create_task(runner.begin(MAKE, sh("sleep 3")))
    await seen((server.root / "var/lib/vzq/runs/J1/101.make.do.1/out").exists)
    await server.stop_listening()
    link._retire(link._wires[0])  # as if the connection died just when nothing was on its way
    with pytest.raises(Unsure, match="was begun on n1 and runs on, but we lost sight of it"):
        await began
    with pytest.raises(Unreachable):
        await runner.attach(MAKE, timeout=SOON)
    await server.listen()


async def test_attach_to_what_never_began_is_none_and_final(runner: Runner) -> None:
    assert await runner.attach(MAKE, timeout=SOON) is None
    assert await runner.peek(MAKE) is Outcome.VOID
    with pytest.raises(Sealed, match="take a new try"):
        await runner.begin(MAKE, sh("true"))


async def test_a_long_command_is_waited_for_in_slices(server: Server, runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "SLICE_S", 1)
    assert (await runner.begin(MAKE, sh("sleep 1.5; exit 4"))).code == 4
    assert sum(" attach " in line for line in server.lines) >= 1


async def test_after_its_time_out_a_command_is_ended_on_the_node(server: Server, runner: Runner) -> None:
    with pytest.raises(TimedOut, match=r"make \(do, try 1\) of job J1 on n1 took too long and was ended there"):
        await runner.begin(MAKE, sh("sleep 61 & sleep 60", timeout=timedelta(seconds=1)))
    with pytest.raises(Killed):
        await runner.attach(MAKE, timeout=SOON)
    assert await runner.peek(MAKE) is Outcome.KILLED


async def test_a_run_that_was_killed_from_outside_has_vanished(server: Server, runner: Runner) -> None:
    began = asyncio.create_task(runner.begin(MAKE, sh("sleep 60")))
    folder = server.root / "var/lib/vzq/runs/J1/101.make.do.1"
    await seen((folder / "out").exists)
    os.killpg(int((folder / "state").read_text().split()[1]), 9)
    with pytest.raises(Vanished, match="its process is gone") as caught:
        await began
    assert caught.value.boot == "same"


async def test_an_older_token_is_stale(runner: Runner) -> None:
    await runner.fence("101", 6, "J1")
    with pytest.raises(Stale, match="n1 knows token 6"):
        await runner.begin(MAKE, sh("true"))
    with pytest.raises(Stale):
        await runner.attach(MAKE, timeout=SOON)
    with pytest.raises(Stale):
        await runner.cancel(MAKE)
    with pytest.raises(Stale):
        await runner.fence("101", 5, "J1")


async def test_fence_lists_what_a_dead_worker_began(server: Server, runner: Runner) -> None:
    await runner.begin(MAKE, sh("exit 2"))
    long = StepKey("101", 5, "J1", "start", Direction.DO, 1)
    began = asyncio.create_task(runner.begin(long, sh("sleep 30")))
    await seen((server.root / "var/lib/vzq/runs/J1/101.start.do.1/out").exists)
    runs = (await runner.fence("101", 8, "J1")).runs
    assert {(run.step, run.outcome, run.code, run.token) for run in runs} == {
        ("make", Outcome.DONE, 2, 5),
        ("start", Outcome.RUNNING, None, 5),
    }
    newer = StepKey("101", 8, "J1", "start", Direction.DO, 1)
    with pytest.raises(Killed):
        await runner.cancel(newer, grace=timedelta(seconds=2))
    with pytest.raises(Unsure):  # the old worker's wait ends, too
        await began
    assert (await runner.ledger("101")).highest == await runner.highest() == 8


async def test_twenty_steps_at_once_on_one_node(server: Server, runner: Runner) -> None:
    keys = [StepKey(str(200 + n), 5, f"J{n}", "make", Direction.DO, 1) for n in range(20)]
    answers = await asyncio.gather(*(runner.begin(key, sh(f"exit {n}")) for n, key in enumerate(keys)))
    assert [answer.code for answer in answers] == list(range(20))
    assert server.most_at_once == 8


async def test_a_given_up_begin_goes_on_at_the_node(server: Server, runner: Runner) -> None:
    witness = server.root / "witness"
    began = asyncio.create_task(runner.begin(MAKE, sh(f"sleep 0.3; touch {witness}; exit 9")))
    await seen((server.root / "var/lib/vzq/runs/J1/101.make.do.1/out").exists)
    began.cancel()
    await asyncio.gather(began, return_exceptions=True)
    answer = await runner.attach(MAKE, timeout=SOON)
    assert answer is not None
    assert answer.code == 9
    assert witness.exists()


async def test_version_and_sweep(runner: Runner) -> None:
    assert await runner.version() == 1
    assert await runner.sweep(days=7) == 0


async def test_a_node_without_the_runner_is_not_enrolled(server: Server, links: Links) -> None:
    with pytest.raises(NodeFault, match="enrol the node again") as caught:
        await Runner(links.to(server.address), clock=SystemClock()).begin(MAKE, sh("true"))
    assert caught.value.finding == "not enrolled"


async def test_install_replaces_only_what_differs(server: Server, link: NodeLink) -> None:
    bin_dir = server.root / "var/lib/vzq/bin"
    assert await install(link) == []
    (bin_dir / "vzq-run").write_text("#!/bin/sh\necho old\n")
    assert await install(link) == ["vzq-run"]
    assert {file.name: file.read_bytes() for file in bin_dir.iterdir()} == programs()
    assert all(os.access(file, os.X_OK) for file in bin_dir.iterdir())
    assert stat.S_IMODE((server.root / "var/lib/vzq").stat().st_mode) == 0o700


async def test_two_installs_at_once_are_harmless(server: Server, links: Links) -> None:
    link = links.to(server.address)
    await asyncio.gather(*(install(link) for _ in range(4)))
    assert {file.name: file.read_bytes() for file in (server.root / "var/lib/vzq/bin").iterdir()} == programs()


async def test_half_an_upload_replaces_nothing(server: Server, link: NodeLink) -> None:
    class HalfALink:
        """Loses the second half of what it is to send, as a link that dies does."""

        node = "n1"

        async def run(self, argv: list[str], *, stdin: bytes = b"", timeout: timedelta) -> object:
            return await link.run(argv, stdin=stdin[: len(stdin) // 2], timeout=timeout)

    before = (server.root / "var/lib/vzq/bin/vzq-run").read_bytes()
    with pytest.raises(NodeFault, match="the upload was cut"):
        await install(HalfALink(), {"vzq-run": b"#!/bin/sh\nexit 1\n"})
    assert (server.root / "var/lib/vzq/bin/vzq-run").read_bytes() == before
    assert sorted(programs()) == sorted(file.name for file in (server.root / "var/lib/vzq/bin").iterdir())


async def test_what_runs_while_the_runner_is_replaced_goes_on(server: Server, link: NodeLink, runner: Runner) -> None:
    began = asyncio.create_task(runner.begin(MAKE, sh("sleep 0.5; exit 6")))
    await seen((server.root / "var/lib/vzq/runs/J1/101.make.do.1/out").exists)
    (server.root / "var/lib/vzq/bin/vzq-run").unlink()
    assert await install(link) == ["vzq-run"]
    assert (await began).code == 6


def test_both_programs_are_shipped() -> None:
    assert "vzq-run" in programs()
    assert all(text.startswith(b"#!/bin/sh\n") for text in programs().values())


def test_input_with_nul_is_refused_here(tmp_path: Path) -> None:
    links = random.Random(1)  # stands for anything: nothing is asked of the link
    with pytest.raises(ValueError, match="NUL"):
        asyncio.run(Runner(links, clock=SystemClock()).begin(MAKE, sh("cat", stdin=b"a\0b")))
