"""A place for all stories of one database."""

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.stories.place import Place

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    url = ""
    if request.param == "postgresql":
        server, name = request.getfixturevalue("postgres_url"), f"story_{next(NUMBERS)}"
        with psycopg.connect(server.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"create database {name}")
        url = server.replace("/postgres?", f"/{name}?")
    yield from _place(url)


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
