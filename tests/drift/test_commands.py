"""`vzq finding` and `vzq container adopt`, as a person calls them."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlmodel import select

from models.access import Audit
from models.database import Database
from models.findings import Finding
from models.fleet import Container, ContainerState
from models.jobs import Job
from producers.metrics import FromDatabase
from tests.cli.conftest import Vzq, database, fleet, founded, state, vzq

__all__ = ["database", "fleet", "founded", "state", "vzq"]
NOW = datetime.now(UTC)


def found(fleet: Database, **given: Any) -> int:
    fields: dict[str, Any] = {"kind": "unknown-container", "node": "n1", "subject": "5000", "why": "it is there", "first_seen": NOW, "last_seen": NOW}
    fields |= {"repair": {"kind": "adopt-container", "node": "n1", "ctid": 5000}}
    with fleet.write() as session:
        finding = Finding(**(fields | given))
        session.add(finding)
        session.flush()
        assert finding.id is not None
        return finding.id


def test_a_fleet_without_findings_says_so(vzq: Vzq, fleet: Database) -> None:
    assert "as the books say" in vzq("finding", "list").stdout


def test_what_is_gone_is_only_listed_when_asked_for(vzq: Vzq, fleet: Database) -> None:
    found(fleet)
    found(fleet, subject="5001", gone_at=NOW)
    assert [one["subject"] for one in json.loads(vzq("finding", "list", "--json").stdout)] == ["5000"]
    assert [one["subject"] for one in json.loads(vzq("finding", "list", "--json", "--all").stdout)] == ["5000", "5001"]
    assert json.loads(vzq("finding", "list", "--json", "--node", "n2").stdout) == []
    table = vzq("finding", "list").stdout
    assert "adopt-container" in table
    assert "5001" not in table


def test_a_finding_is_shown_with_its_repair(vzq: Vzq, fleet: Database) -> None:
    number = str(found(fleet))
    shown = vzq("finding", "show", number).stdout
    assert "it is there" in shown
    assert "adopt-container node=n1 ctid=5000" in shown


def test_a_dry_run_writes_nothing_and_a_repair_is_ordered_once(vzq: Vzq, fleet: Database) -> None:
    number = str(found(fleet))
    told = json.loads(vzq("finding", "repair", number, "--dry-run", "--json").stdout)
    assert (told["order"]["ctid"], told["job"], told["dry_run"]) == (5000, None, True)
    assert told["does"].startswith("Take a container that exists")
    assert "5000 on n1" in told["why"]
    with fleet.read() as session:
        assert session.exec(select(Job)).all() == []
        assert session.exec(select(Audit)).all() == []
        assert session.exec(select(Finding.job_id)).all() == [None]
    first = vzq("finding", "repair", number, "--by", "ann", "--because", "it is ours").stdout.strip()
    again = json.loads(vzq("finding", "repair", number, "--json").stdout)
    assert (again["job"], again["replay"]) == (first, True)
    with fleet.read() as session:
        [job] = session.exec(select(Job)).all()
        assert (job.id, job.producer, job.because, job.node, job.ctid) == (first, "ann", "it is ours", "n1", 5000)
        assert {audit.action for audit in session.exec(select(Audit)).all()} == {"order adopt-container", "finding repair"}
        assert session.exec(select(Finding.job_id)).all() == [first]
    assert "already" in vzq("finding", "repair", number, "--dry-run").stdout


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ({"repair": {}}, (3, "no repair")),
        ({"gone_at": NOW}, (3, "gone")),
        ({"repair": {"kind": "start-container", "ctid": 7777}}, (2, "there is no container 7777")),
    ],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_repair_that_cannot_be_had_is_refused_with_the_reason(
    vzq: Vzq, fleet: Database, given: dict[str, Any], answer: tuple[int, str], dry: tuple[str, ...]
) -> None:
    result = vzq("finding", "repair", str(found(fleet, **given)), *dry)
    assert (result.exit_code, answer[1] in result.stderr) == (answer[0], True), result.stderr


def test_an_unknown_finding_is_bad_input(vzq: Vzq, fleet: Database) -> None:
    assert vzq("finding", "show", "99").exit_code == 2
    assert vzq("finding", "repair", "99").exit_code == 2


def test_a_container_is_adopted_by_order(vzq: Vzq, fleet: Database) -> None:
    assert vzq("container", "adopt", "n1", "5000", "--customer", "kunde-7").exit_code == 0
    with fleet.read() as session:
        [job] = session.exec(select(Job)).all()
    assert (job.kind, job.node, job.ctid, job.order["customer"]) == ("adopt-container", "n1", 5000, "kunde-7")
    assert vzq("container", "adopt", "n9", "5000").exit_code == 2
    assert vzq("container", "adopt", "n1", "50").exit_code == 2


def test_what_is_in_the_books_of_another_node_is_not_adopted(vzq: Vzq, fleet: Database) -> None:
    with fleet.write() as session:
        session.add(Container(ctid=5000, node="n2", site="main", state=ContainerState.PRESENT, since=NOW))
        session.add(Container(ctid=5001, node="n1", site="main", state=ContainerState.RESERVED, job_id="J", since=NOW))
    assert vzq("container", "adopt", "n1", "5000").exit_code == 3
    assert vzq("container", "adopt", "n1", "5001").exit_code == 3


def test_open_findings_are_counted_by_kind(fleet: Database) -> None:
    found(fleet)
    found(fleet, subject="5001")
    found(fleet, subject="5002", gone_at=NOW)
    [family] = [family for family in FromDatabase(fleet).collect() if family.name == "vzq_findings"]
    assert [(sample.labels, sample.value) for sample in family.samples] == [({"site": "main", "kind": "unknown-container"}, 2)]
