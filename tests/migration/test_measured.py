"""How long a move kept its customer waiting, as a real probe saw it, against what the nodes themselves noted."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from models.lifecycle import State
from models.outages import UNKNOWN, Outage
from tests.downtime.conftest import outages
from tests.migration.pair import N1, N2, MoveHouse, pair_in

STALL_S = 0.15  # nodes, house and test share one loop, on a machine that others use too


@pytest.fixture
async def watched(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[MoveHouse]:
    """Two nodes half as fast as the recorded ones: a freeze can be seen from outside."""
    async with pair_in(tmp_path, sqlite_template, speed=0.5, probes=tmp_path / "probes") as opened:
        yield opened


def silence_s(house: MoveHouse, ctid: int) -> float:
    """From its freeze on the old node to its first word on the new one, by their own notes; in between it is up there for a moment, frozen."""
    lines = [line for name in (N1, N2) for line in (house.lab.machines[name].node.folder / "answers.jsonl").read_text().splitlines()]
    mine = [line for line in map(json.loads, lines) if line["ctid"] == ctid]
    return max(line["at"] for line in mine if line["answers"]) - min(line["at"] for line in mine if not line["answers"])


def longest(house: MoveHouse, job_id: str) -> Outage:
    """Of those that are the move's own; a busy machine may have made it silent before."""
    return max((row for row in outages(house, job_id) if row.cause != UNKNOWN), key=lambda row: row.gap_s or 0.0)


@pytest.mark.parametrize("mode", ["online", "offline"])
async def test_the_gap_of_a_move_is_the_silence_that_the_nodes_noted(watched: MoveHouse, mode: str) -> None:
    ctid = await watched.create()
    job = await watched.story_of(watched.place("migrate-container", ctid, to=N2, mode=mode), State.DONE)
    row = longest(watched, job.id)
    assert (row.cause, row.node, row.not_measured) == ("migrate-container", N1, "")
    assert row.gap_s is not None
    assert row.resolution_s is not None
    assert row.gap_s - row.resolution_s - STALL_S <= silence_s(watched, ctid) <= row.gap_s + STALL_S
    if mode == "online":
        assert row.suspended_s == job.result["suspended_s"] > 0
        assert row.parts["freeze_s"] + row.parts["network_s"] == pytest.approx(max(row.gap_s, row.suspended_s), abs=0.002)
    else:
        assert row.suspended_s is None
