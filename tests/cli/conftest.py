"""`vzq` called as a person would call it, on a state folder of its own. Redis is not there: orders are accepted all the same."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner, Result

from models.database import Database
from models.vault import make_key_file
from producers.cli import app
from tests.factories import GIB, make_node, make_plan, make_pool

SAMPLES = Path(__file__).parents[2] / "ops" / "samples"
ORDERS = Path(__file__).parents[1] / "data" / "orders"
Vzq = Callable[..., Result]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the house of this test is to be; nobody has founded it yet."""
    folder = tmp_path / "state"
    monkeypatch.setenv("VZQ_STATE", str(folder))
    for name in ("VZQ_DATABASE", "VZQ_REDIS_URL", "VZQ_SITE", "VZQ_SECRET_KEY_FILE", "VZQ_SSH_KEY", "VZQ_BY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    return folder


@pytest.fixture
def founded(state: Path, sqlite_template: Path) -> Path:
    """The same, with an empty house."""
    state.mkdir(mode=0o700)
    shutil.copy(sqlite_template, state / "vzq.sqlite")
    make_key_file(state / "secret.key")
    return state


@pytest.fixture
def vzq(founded: Path) -> Iterator[Vzq]:
    """`vzq("job", "list")`; exit code, standard output and standard error come back apart."""

    def call(*args: str, given: str | bytes | None = None) -> Result:
        return CliRunner().invoke(app, list(args), input=given, prog_name="vzq")

    yield call
    structlog.reset_defaults()  # it was told to print to this test's standard error, which is closed now


@pytest.fixture
def database(vzq: Vzq, state: Path):
    """The database of a founded, empty house."""
    assert vzq("upgrade").exit_code == 0
    opened = Database(f"sqlite:///{state / 'vzq.sqlite'}")
    yield opened
    opened.close()


@pytest.fixture
def fleet(database: Database) -> Database:
    """A house with two nodes, three plans and a pool: all of the sample's orders fit."""
    with database.write() as session:
        session.add_all(
            [make_node("n1"), make_node("n2"), make_plan("small"), make_plan("medium", ram_bytes=GIB // 2), make_plan("large", ram_bytes=GIB)]
        )
        session.add(make_pool())
    return database


def rows(result: Result) -> Any:
    """The JSON that a command printed."""
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)
