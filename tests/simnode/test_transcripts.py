"""The contract of the simulated node: it says what the recorded nodes said."""

import asyncio
import difflib
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from ops.simnode.control import carry_out
from tests.simnode import transcripts
from tests.simnode.contract import NOT_REPLAYED, REPLAYS, Replay
from tests.simnode.contract_moves import MOVES
from tests.simnode.labs import Answer, Remote, bash, node_in


@pytest.mark.parametrize("replay", REPLAYS, ids=lambda replay: replay.name)
async def test_the_node_says_what_the_recorded_node_said(replay: Replay, tmp_path: Path):
    without = re.compile(replay.without) if replay.without else None
    async with node_in(tmp_path / "lab", speed=replay.pace, name_prefix="node") as node:
        for line in replay.before:
            await node.ok(bash(line))
        for request in replay.told:
            await carry_out(node.lab, {"node": node.name, **request})
        for number, block in enumerate(transcripts.read(replay.name), 1):
            if number in replay.disk_kib:
                await node.ctl("disk", free_kib=replay.disk_kib[number])
            if number in replay.skip:
                continue
            answer = await _replayed(node, replay, block)
            said = as_lines(answer.code, answer.out.splitlines(), answer.err.splitlines(), node.root, without)
            recorded = as_lines(block.code, block.out, block.err, node.root, without)
            assert said == recorded, "\n".join([f"$ {block.command}", *difflib.ndiff(recorded, said)])
        assert not (node.node.folder / "simulator-errors.log").exists()


def as_lines(code: int | None, out: Sequence[str], err: Sequence[str], root: Path, without: re.Pattern[str] | None) -> list[str]:
    return [
        f"exit: {code}",
        *(f"out| {line}" for line in transcripts.alike(out, root=root, without=without)),
        *(f"err| {line}" for line in transcripts.alike(err, root=root, without=without)),
    ]


async def _replayed(node: Remote, replay: Replay, block: transcripts.Block) -> Answer:
    command = block.command
    for old, new in replay.swap.items():
        command = command.replace(old, new)
    command = bash(transcripts.for_sandbox(command, root=node.root, pace=replay.pace))
    if block.code is None:
        return await node.run_and_vanish(command, block.killed_after_s * replay.pace, lines=len(block.out) + len(block.err))
    return await asyncio.wait_for(node.run(command, stdin=replay.stdin), 60)


def test_every_recording_is_replayed_or_its_omission_has_a_reason():
    told = {replay.name for replay in [*REPLAYS, *MOVES]} | NOT_REPLAYED.keys()
    there = {path.stem for path in transcripts.FOLDER.glob("*.txt")}
    assert there == told


def test_every_departure_from_a_recording_has_a_reason():
    silent = [replay.name for replay in REPLAYS if (replay.swap or replay.without) and not replay.why]
    assert silent == []
