"""What is offered behind a TAB is what is there, and asking makes and breaks nothing."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from models.database import Database
from models.fleet import Container, ContainerState
from tests.factories import make_job, make_node
from tests.stand_ins import NOON


def offered(state: Path, words: str, at: int) -> Sequence[str]:
    """As bash asks."""
    asked = {"VZQ_STATE": str(state), "_VZQ_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(at)}
    argv = [sys.executable, "-c", "from producers.cli import app; app(prog_name='vzq')"]
    done = subprocess.run(argv, env=os.environ | asked, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "at", "names"),
    [
        ("vzq node show n", 3, ["n1", "n2"]),
        ("vzq node evacuate n2", 3, ["n2"]),
        ("vzq migrate 10", 2, ["1001"]),
        ("vzq migrate 1001 ", 3, ["n1", "n2"]),
        ("vzq console ", 2, ["1001"]),
    ],
)
def test_names_that_are_there_are_offered(database: Database, state: Path, words: str, at: int, names: list[str]) -> None:
    with database.write() as session:
        session.add_all([make_node("n1"), make_node("n2")])
        session.add(Container(ctid=1001, node="n1", site="main", state=ContainerState.PRESENT, since=NOON, job_id=f"{1001:026}"))
    assert offered(state, words, at) == names


def test_jobs_are_offered_by_the_ending_that_people_use(database: Database, state: Path) -> None:
    with database.write() as session:
        job = make_job("check-queue")
        session.add(job)
        ending = job.id[-8:]
    assert offered(state, f"vzq job show {ending[:3]}", 3) == [ending]


def test_where_no_house_is_nothing_is_offered_and_nothing_is_made(tmp_path: Path) -> None:
    assert offered(tmp_path / "nothing", "vzq node show n", 3) == []
    assert not (tmp_path / "nothing").exists()
