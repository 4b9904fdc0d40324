"""`vzq job resolve`: what it offers, what a rehearsal tells, what a decision does."""

import pytest

from models.database import Database
from models.fleet import Node, NodeState
from models.jobs import Job
from models.lifecycle import State
from tests.cli.conftest import Vzq, rows

ORDER = ("order", "create", "--plan", "small", "--template", "busybox-mini-x86_64", "--hostname", "a.example.net", "--json")


@pytest.fixture
def stuck(vzq: Vzq, fleet: Database) -> str:
    job: str = rows(vzq(*ORDER))["job"]
    with fleet.write() as session:
        row = session.get_one(Job, job)
        row.state, row.error = State.STUCK, "create ended with 99"
        session.add(row)
    return job


def test_without_a_choice_each_is_told_even_when_nobody_can_look(vzq: Vzq, stuck: str) -> None:
    result = vzq("job", "resolve", stuck[-8:], "--timeout", "0")
    assert result.exit_code == 5  # nobody works here
    for part in ("go-on", "put-back", "accept", "give-up", "nobody could look", "create ended with 99", "--dry-run"):
        assert part in result.stdout


def test_a_rehearsal_decides_nothing(vzq: Vzq, fleet: Database, stuck: str) -> None:
    told = rows(vzq("job", "resolve", stuck[-8:], "accept", "--dry-run", "--json"))
    assert (told["choice"], told["to"]) == ("accept", "done")
    assert "→ queued" in vzq("job", "resolve", stuck, "go-on", "--dry-run").stdout
    with fleet.read() as session:
        assert session.get_one(Job, stuck).state == State.STUCK


def test_a_decision_is_made(vzq: Vzq, fleet: Database, stuck: str) -> None:
    assert "queued" in vzq("job", "resolve", stuck, "go-on", "--because", "mended").stdout
    assert vzq("job", "resolve", stuck, "go-on").exit_code == 3
    assert vzq("job", "resolve", stuck).exit_code == 3


def test_a_lost_node_is_said_by_job_or_by_name(vzq: Vzq, fleet: Database, stuck: str) -> None:
    with fleet.read() as session:
        node = session.get_one(Job, stuck).node
    assert f"node {node} counts as lost" in vzq("job", "resolve", stuck, "--node-lost", "--because", "burnt down").stdout
    other = {"n1": "n2", "n2": "n1"}[node or ""]
    assert vzq("node", "lost", other).exit_code == 0
    with fleet.read() as session:
        assert {session.get_one(Node, name).state for name in ("n1", "n2")} == {NodeState.LOST}
    assert "not seen since" in vzq("node", "activate", other).stderr
    assert vzq("job", "resolve", stuck, "accept", "--node-lost").exit_code == 2
