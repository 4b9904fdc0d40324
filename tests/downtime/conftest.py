"""A house with one simulated node whose jobs are watched by real probes."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from sqlmodel import col, select

from models.outages import UNKNOWN, Outage
from tests.verbs.house import VerbHouse, house_in


class Stalls:
    """How long the loop that house, node and test share was held up at most: for so long the container could not answer either."""

    LOOK_S = 0.01

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(self.LOOK_S)
            self.longest_s = max(self.longest_s, loop.time() - before)


@pytest.fixture
async def stalls() -> AsyncIterator[Stalls]:
    measured = Stalls()
    watching = asyncio.create_task(measured.watch())
    yield measured
    watching.cancel()


@pytest.fixture
async def watched(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[VerbHouse]:
    """Its node is half as fast as a recorded one: a restart can be seen from outside."""
    async with house_in(tmp_path, sqlite_template, speed=0.5, probes=tmp_path / "probes") as opened:
        yield opened


def outages(house: VerbHouse, job_id: str) -> list[Outage]:
    with house.database.read() as session:
        return list(session.exec(select(Outage).where(Outage.job_id == job_id).order_by(col(Outage.began_at))).all())


def longest(house: VerbHouse, job_id: str) -> Outage:
    """The job's longest interval, one of unknown length first: house and node share a loop here, and where that stalls the container does too."""
    return max((row for row in outages(house, job_id) if row.cause != UNKNOWN), key=lambda row: float("inf") if row.gap_s is None else row.gap_s)


def silences(house: VerbHouse, ctid: int) -> list[tuple[datetime, datetime]]:
    """When visitors were not answered, by the node's own notes."""
    lines = [json.loads(line) for line in (house.node.folder / "answers.jsonl").read_text().splitlines()]
    mine = [line for line in lines if line["ctid"] == ctid]
    at = [(datetime.fromtimestamp(line["at"], UTC), line["answers"]) for line in mine]
    return [(down, up) for (down, silent), (up, answers) in pairwise(at) if not silent and answers]


async def probes_in(folder: Path, *, none: bool = False) -> list[int]:
    """Process ids of the probes of this folder, once there are some, or none."""
    async with asyncio.timeout(30):
        while True:
            asked = [path.parent for path in Path("/proc").glob("[0-9]*/cmdline") if b"workers.probe" in _read(path)]
            found = [int(process.name) for process in asked if any(told.is_relative_to(folder) for told in _files(process))]
            if none is not bool(found):
                return found
            await asyncio.sleep(0.02)


def _files(process: Path) -> Iterator[Path]:
    """What it has open: all that tells a probe from the one that bore it."""
    with suppress(OSError):
        for link in (process / "fd").iterdir():
            with suppress(OSError):
                yield link.readlink()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
