"""A house with one simulated node that can be looked at."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlmodel import Session, col, select

from models.findings import Finding
from models.fleet import Node
from models.lifecycle import State
from producers.findings import Repair, rehearse, repair
from tests.verbs.house import VerbHouse


class DriftHouse(VerbHouse):
    """As an operator who looks at findings sees it."""

    async def look(self) -> dict[tuple[str, str], Finding]:
        """Observe the node; the findings that are open, by kind and subject."""
        job = await self.order("observe-node", node="n1")
        assert job.state == State.DONE, job.error
        return self.open_findings()

    def open_findings(self) -> dict[tuple[str, str], Finding]:
        with self.database.read() as session:
            return {
                (one.kind, one.subject): one
                for one in session.exec(select(Finding).where(col(Finding.gone_at).is_(None)).order_by(col(Finding.id))).all()
            }

    def finding(self, number: int | None) -> Finding:
        with self.database.read() as session:
            found = session.get(Finding, number)
            assert found is not None
            return found

    async def mend(self, finding: Finding) -> None:
        """Order the finding's repair, and see that it is done and nothing of it is seen any more."""
        with self.database.write() as session:
            job = self.repair(session, finding).job
            assert job is not None
            job_id = job.id
        ended = await self.ended(job_id)
        assert ended.state == State.DONE, self.story(job_id)
        assert (finding.kind, finding.subject) not in await self.look()
        assert self.finding(finding.id).job_id == job_id

    def repair(self, session: Session, finding: Finding) -> Repair:
        assert finding.id is not None
        return repair(self.database, self.intake, session, finding.id, by="test")

    def rehearse(self, finding: Finding) -> Repair:
        assert finding.id is not None
        return rehearse(self.database, self.intake, finding.id, by="test")

    def node_row(self) -> Node:
        with self.database.read() as session:
            return session.get_one(Node, "n1")

    def conf(self, ctid: int) -> Path:
        return self.root / f"etc/vz/conf/{ctid}.conf"

    async def set(self, ctid: int, *words: str) -> None:
        """What an administrator does behind our back."""
        code, out = await self.shell("vzctl", "set", str(ctid), *words, "--save")
        assert code == 0, out


@pytest.fixture
async def house(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[DriftHouse]:
    house = DriftHouse(tmp_path, sqlite_template, speed=0.001)
    try:
        await house.open()
        yield house
    finally:
        await house.close()
