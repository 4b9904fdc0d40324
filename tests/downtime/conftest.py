"""A house with one simulated node whose jobs are watched by real probes."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from sqlmodel import col, select

from models.outages import Outage
from tests.verbs.house import VerbHouse, house_in


@pytest.fixture
async def watched(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[VerbHouse]:
    """Its node is half as fast as a recorded one: a restart can be seen from outside."""
    async with house_in(tmp_path, sqlite_template, speed=0.5, probes=tmp_path / "probes") as opened:
        yield opened


def outages(house: VerbHouse, job_id: str) -> list[Outage]:
    with house.database.read() as session:
        return list(session.exec(select(Outage).where(Outage.job_id == job_id).order_by(col(Outage.began_at))).all())


def silences(house: VerbHouse, ctid: int) -> list[tuple[datetime, datetime]]:
    """When visitors were not answered, by the node's own notes."""
    lines = [json.loads(line) for line in (house.node.folder / "answers.jsonl").read_text().splitlines()]
    mine = [line for line in lines if line["ctid"] == ctid]
    at = [(datetime.fromtimestamp(line["at"], UTC), line["answers"]) for line in mine]
    return [(down, up) for (down, silent), (up, answers) in pairwise(at) if not silent and answers]
