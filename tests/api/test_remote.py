"""`vzq --url`: the same commands over the API of a house elsewhere."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from models.fleet import Node
from models.jobs import Job
from models.lifecycle import State
from models.rollouts import Selector
from producers.cli import app
from producers.cli.doors import Who
from producers.cli.exec_doors import Here, There
from producers.cli.remote import api
from producers.execs import Command
from tests.api.conftest import TEMPLATE, Api
from tests.api.test_execs import inhabit
from tests.api.test_orders import end

ORDER = ("order", "create", "--plan", "small", "--template", TEMPLATE, "--hostname", "web1.example.net")
Vzq = Callable[..., Result]


@pytest.fixture
def vzq(lite: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Vzq:
    """The command line, as somebody uses it far from the house."""
    monkeypatch.setenv("VZQ_STATE", str(tmp_path / "nothing"))
    monkeypatch.setenv("VZQ_URL", lite.url)
    monkeypatch.setenv("VZQ_TOKEN", lite.secrets["admin"])
    monkeypatch.setenv("COLUMNS", "120")

    def call(*args: str, given: str | None = None) -> Result:
        return CliRunner().invoke(app, list(args), input=given, prog_name="vzq")

    return call


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_an_order_goes_its_way(vzq: Vzq, lite: Api, tmp_path: Path) -> None:
    made = told(vzq(*ORDER, "--key", "k", "--customer", "acme", "--because", "invoice 1", "--json"))
    again = told(vzq(*ORDER, "--key", "k", "--customer", "acme", "--json"))
    assert (again["job"], made["replay"], again["replay"]) == (made["job"], False, True)
    short = made["job"][-8:]
    shown = told(vzq("job", "show", short, "--json"))
    assert (shown["id"], shown["because"], shown["order"]["customer"]) == (made["job"], "invoice 1", "acme")
    assert "container 1001" in vzq("job", "show", short).stdout
    assert "no dispatcher is alive" in vzq("job", "why", short).stdout
    assert short in vzq("job", "list", "--state", "open").stdout
    assert vzq("job", "watch", short, "--timeout", "0").exit_code == 5
    end(lite, made["job"])
    watched = vzq("job", "watch", short)
    assert (watched.exit_code, "finished" in watched.stdout) == (0, True)
    assert [one["ctid"] for one in told(vzq("container", "list", "--customer", "acme", "--json"))] == [1001]
    assert "web1.example.net" in vzq("container", "show", "1001").stdout
    assert {one["name"] for one in told(vzq("node", "list", "--json"))} == {"n1", "n2"}
    assert "n1" in vzq("node", "list").stdout
    assert not (tmp_path / "nothing").exists()


def test_verbs_and_actions(vzq: Vzq, lite: Api) -> None:
    made = told(vzq(*ORDER, "--generate-password", "--json"))["job"]
    assert vzq("job", "password", made).exit_code == 3
    end(lite, made)
    assert len(told(vzq("job", "password", made, "--json"))["password"]) == 20
    stop = vzq("container", "stop", "1001").stdout.strip()
    assert "cancelled" in vzq("job", "cancel", stop, "--because", "no").stdout
    assert told(vzq("job", "retry", stop, "--json"))["job"] != stop
    assert vzq("container", "set-password", "1001", "--password-stdin", given="hunter2hunter2\n").exit_code in {0, 3}


def test_a_file_is_placed_line_by_line(vzq: Vzq, tmp_path: Path) -> None:
    line = {"kind": "create-container", "plan": "small", "template": TEMPLATE}
    lines = [line | {"key": f"k{n}", "hostname": f"h{n}.example.net"} for n in range(5)] + [
        line | {"key": "x", "plan": "huge", "hostname": "x.example.net"}
    ]
    file = tmp_path / "orders.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in lines))
    assert vzq("order", "submit", str(file)).exit_code == 2
    first = vzq("order", "submit", str(file), "--partial")
    assert (first.exit_code, "5 accepted, 0 replayed, 1 bad" in first.stdout, "line 6" in first.stderr) == (2, True, True)
    assert "0 accepted, 5 replayed" in vzq("order", "submit", str(file), "--partial").stdout


def test_exit_codes_are_those_of_the_house_itself(vzq: Vzq, monkeypatch: pytest.MonkeyPatch, lite: Api) -> None:
    assert vzq(*ORDER[:-2], "--hostname", "a_b").exit_code == 2
    assert vzq(*ORDER, "--node", "n7").exit_code == 2
    refused = vzq(*ORDER, "--require", "disk=tape")
    assert (refused.exit_code, "is not labelled disk=tape" in refused.stderr) == (3, True)
    assert vzq("job", "show", "01JD8QF3Z5X0RQ2M8B7C4E6N9T").exit_code == 2
    here = vzq("plan", "list")
    assert (here.exit_code, "leave out --url" in here.stderr) == (5, True)
    monkeypatch.setenv("VZQ_TOKEN", lite.secrets["read"])
    assert vzq(*ORDER).exit_code == 3
    monkeypatch.setenv("VZQ_TOKEN", "vzq_no")
    assert vzq("job", "list").exit_code == 3
    monkeypatch.setenv("VZQ_URL", "http://127.0.0.1:9")
    assert vzq("job", "list").exit_code == 5
    assert vzq("--url", lite.url, "--token", lite.secrets["read"], "job", "list").exit_code == 0


def test_a_house_elsewhere_is_paused_and_resumed(vzq: Vzq) -> None:
    assert "by admin" in vzq("pause", "--node", "n1", "--because", "new disks").stdout
    assert [one["name"] for one in told(vzq("pause", "--list", "--json"))] == ["n1"]
    assert "new disks" in vzq("pause", "--list").stdout
    assert vzq("pause", "--node", "n9", "--because", "x").exit_code == 2
    assert "goes on" in vzq("resume", "--node", "n1").stdout
    assert vzq("resume", "--node", "n1").exit_code == 3


def test_a_stuck_job_of_a_house_elsewhere_is_looked_at_rehearsed_and_decided(vzq: Vzq, lite: Api) -> None:
    made = told(vzq(*ORDER, "--json"))["job"]
    with lite.house.database.write() as session:
        row = session.get_one(Job, made)
        row.state, row.error = State.STUCK, "create ended with 99"
        session.add(row)
    asked = vzq("job", "resolve", made, "--timeout", "0")
    assert asked.exit_code == 5
    assert "nobody has looked" in asked.stdout
    assert told(vzq("job", "resolve", made, "put-back", "--dry-run", "--json"))["to"] == "undoing"
    assert "→ done" in vzq("job", "resolve", made, "accept", "--dry-run").stdout
    assert "queued" in lite.get(f"/v1/jobs/{made}/choices").text
    assert "try again" in vzq("job", "resolve", made, "go-on", "--because", "mended").stdout
    assert "counts as lost" in vzq("job", "resolve", made, "--node-lost", "--because", "burnt down").stdout


@pytest.mark.usefixtures("vzq")
def test_a_node_that_is_ill_is_told_from_afar_as_it_is_on_the_house_itself(lite: Api) -> None:
    inhabit(lite)
    with lite.house.database.write() as session:
        node = session.get_one(Node, "n1")
        node.finding, node.broken_until = "no route to it", lite.house.clock.now() + timedelta(minutes=1)
    with api() as afar:
        door = There(afar)
        jobs = door.order(Selector(all=True), Command("true"), Who("me", ""))["jobs"]
        silent = set(door.look(jobs).silent)
    assert "node n1: no route to it; its jobs wait, it is tried again and again" in silent
    assert {line for line in Here(lite.house).look(jobs).silent if "alive" not in line} <= silent
