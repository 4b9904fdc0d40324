"""A house on either database with three nodes of one site and one elsewhere."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from models.database import Database
from models.fleet import Container, ContainerState
from models.standing import Standing
from tests.engine.conftest import House
from tests.factories import GIB, make_node
from tests.migration.pair import MoveHouse, pair_in
from tests.stand_ins import ManualClock


class Fleet(House):
    """Containers stand where the test puts them."""

    def __init__(self, database: Database, clock: ManualClock, folder: Path) -> None:
        super().__init__(database, clock, folder)
        with database.write() as session:
            session.add_all([make_node("n2"), make_node("n3", memory_bytes=8 * GIB), make_node("far", site="lab")])

    def container(self, ctid: int, node: str = "n1", standing: Standing = Standing.RUNNING, **given: object) -> int:
        fields = {"site": "main", "state": ContainerState.PRESENT, "ram_bytes": GIB, "disk_bytes": 2 * GIB, "since": self.clock.now()} | given
        with self.database.write() as session:
            session.add(Container(ctid=ctid, node=node, standing=standing, template="debian-12-x86_64-minbase", **fields))
        return ctid

    def row(self, ctid: int) -> Container:
        with self.database.read() as session:
            container = session.get(Container, ctid)
        assert container is not None
        return container


@pytest.fixture
def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> Fleet:
    return Fleet(database, clock, tmp_path)


@pytest.fixture
async def pair(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[MoveHouse]:
    async with pair_in(tmp_path, sqlite_template) as opened:
        yield opened
