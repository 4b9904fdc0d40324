"""A place for all stories of one database."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stories.place import Place, postgres_database


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    yield from _place(postgres_database(request.getfixturevalue("postgres_url")) if request.param == "postgresql" else "")


@pytest.fixture(scope="module")
def one_place() -> Iterator[Place]:
    """On SQLite only, for what has nothing to do with the database."""
    yield from _place("")


def _place(url: str) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="vzqs-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        place = Place(Path(folder), url)
        try:
            place.open()
            yield place
        finally:
            place.close()
