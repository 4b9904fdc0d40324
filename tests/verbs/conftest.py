"""A house with one simulated node."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.verbs.house import VerbHouse, house_in


@pytest.fixture
async def house(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[VerbHouse]:
    async with house_in(tmp_path, sqlite_template) as opened:
        yield opened
