"""The contract of moves: two simulated nodes say what the two recorded ones said."""

import asyncio
import difflib
import re
from pathlib import Path

import pytest

from tests.simnode import transcripts
from tests.simnode.contract_moves import MOVES, Moves
from tests.simnode.labs import Answer, bash
from tests.simnode.pairs import Pair, pair_in
from tests.simnode.test_transcripts import as_lines


@pytest.mark.parametrize("moves", MOVES, ids=lambda moves: moves.name)
async def test_the_nodes_say_what_the_recorded_nodes_said(moves: Moves, tmp_path: Path):
    without = re.compile(moves.without) if moves.without else None
    async with pair_in(tmp_path / "lab", speed=moves.pace) as pair:
        for node, lines in ((pair.a, moves.a), (pair.b, moves.b)):
            for line in lines:
                await node.ok(bash(line))
        for number, block in enumerate(transcripts.read(moves.name), 1):
            for at, name, request in moves.told:
                if at == number:
                    details = dict(request)
                    await pair.of(name).ctl(str(details.pop("op")), **details)
            if number in moves.skip:
                continue
            answer = await _replayed(pair, moves, block)
            root = pair.of(block.node).root
            said = as_lines(answer.code, answer.out.splitlines(), answer.err.splitlines(), root, without)
            recorded = as_lines(block.code, block.out, block.err, root, without)
            assert said == recorded, "\n".join([f"[{block.node}] $ {block.command}", *difflib.ndiff(recorded, said)])
        for node in (pair.a, pair.b):
            assert not (node.node.folder / "simulator-errors.log").exists()


async def _replayed(pair: Pair, moves: Moves, block: transcripts.Block) -> Answer:
    node, command = pair.of(block.node), block.command
    for old, new in moves.swap.items():
        command = command.replace(old, new)
    command = transcripts.for_sandbox(command, root=node.root, pace=moves.pace)
    command = bash(command.replace("{nodeB}", f"{pair.b.root}/"))
    if block.code is None:
        return await node.run_and_vanish(command, block.killed_after_s * moves.pace, lines=len(block.out) + len(block.err))
    return await asyncio.wait_for(node.run(command), 60)


def test_every_departure_from_a_recorded_move_has_a_reason():
    silent = [moves.name for moves in MOVES if (moves.swap or moves.without) and not moves.why]
    assert silent == []
