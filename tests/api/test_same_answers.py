"""`vzq` on the house itself and over its API: for every command of roll-outs, schedules, exec, signatures and the audit both print the same."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select
from typer.testing import CliRunner, Result

from models.fleet import Container, ContainerState, Node, NodeState
from models.house import Beat, Worker
from models.inside import ExecResult
from models.jobs import Job
from models.kinds import FAMILIES
from models.lifecycle import Cause, State
from models.signatures import met
from producers.campaigns.campaigner import Campaigner
from producers.cli import app
from tests.api.conftest import Api
from tests.factories import make_job
from tests.stand_ins import NOON

DOORS = ("here", "elsewhere")


class Doors:
    """The same words through both doors, and what each of them said."""

    def __init__(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        self.api = api
        self.campaigner = Campaigner(api.house.database, api.house.intake)
        self._monkeypatch = monkeypatch
        self._told: list[tuple[str, int, str, str]] = []

    def through(self, door: str, story: Callable[["Doors", str], None]) -> list[tuple[str, int, str, str]]:
        """All that was said in a story that was told through this door."""
        there = door == "elsewhere"
        state = self.api.house.settings.state
        self._monkeypatch.setenv("VZQ_STATE", str(state / "nothing" if there else state))
        self._monkeypatch.setenv("VZQ_URL", self.api.url if there else "")
        self._monkeypatch.setenv("VZQ_TOKEN", self.api.secrets["admin"] if there else "")
        self._told = []
        story(self, door)
        return self._told

    def say(self, *words: str) -> Result:
        result = CliRunner().invoke(app, list(words), prog_name="vzq")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        said = plain(result.stderr) if result.exit_code != 2 else ""  # which field is wrong is told in each door's own names
        self._told.append((" ".join(words[:2]), result.exit_code, plain(result.stdout), said))
        return result


def plain(text: str) -> str:
    """Without what differs from one roll-out to the next: its name, ids, keys, moments."""
    for door in reversed(DOORS):
        text = text.replace(f"{door}-", "")
    text = re.sub(r"\b[0-9A-HJKMNP-TV-Z]{26}\b|\b[0-9A-HJKMNP-TV-Z]{8}\b", "ID", text.replace("admin/", ""))
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?|\b\d\d:\d\d:\d\d\b", "MOMENT", text)
    text = re.sub(r'"(id|number|seconds|each_s|slow_s)": [0-9.]+|"number": null', r'"\1": N', text)
    return re.sub(r" +|─+", " ", re.sub(r"\b\d+(\.\d)? (s|min|h|d)\b", "SPAN", text))


@pytest.fixture
def doors(lite: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[Doors]:
    for name in ("VZQ_DATABASE", "VZQ_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VZQ_BY", "admin")
    monkeypatch.setenv("COLUMNS", "300")
    with lite.house.database.write() as session:
        ever = lite.house.clock.now() + timedelta(days=1)  # service and worker are alive: nobody complains of them, however slow this machine is
        session.add(Beat(name="dispatcher", at=ever))
        session.add(Worker(name="w", site="main", host="h", slots=dict.fromkeys(FAMILIES, 8), started_at=ever, seen_at=ever))
        for ctid in range(1001, 1005):
            fields: dict[str, Any] = {"node": f"n{ctid % 2 + 1}", "site": "main", "state": ContainerState.PRESENT, "hostname": f"ct{ctid}"}
            session.add(Container(ctid=ctid, since=NOON, job_id=f"{ctid:026}", **fields))
    worker = StandIn(lite)
    yield Doors(lite, monkeypatch)
    worker.stop()


class StandIn:
    """A worker's hand: ends each exec and each check a moment after it was ordered."""

    def __init__(self, api: Api) -> None:
        self._database = api.house.database
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._go_on)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._stopping.wait(0.05):
            with self._database.read() as session:
                kinds = ("exec-batch", "check-update")
                waiting = session.exec(select(Job.id).where(Job.state == State.QUEUED, col(Job.kind).in_(kinds))).all()
            for job_id in waiting:
                self._end(job_id)

    def _end(self, job_id: str) -> None:
        with self._database.write() as session:
            job = session.get_one(Job, job_id)
            for ctid in job.order.get("ctids", ()):
                odd = ctid % 2
                session.add(ExecResult(job_id=job.id, ctid=ctid, outcome="failed" if odd else "ok", code=odd, output="hello\n", at=NOON))
            ctid = job.order.get("ctid")
            if ctid is not None:
                would = ["openssl 3.0.17", "nginx 1.26"] if ctid != 1004 else []
                outcome, why = ("ok", "2 to upgrade") if would else ("up-to-date", "nothing to upgrade")
                job.result = {"ctid": ctid, "outcome": outcome, "why": why, "family": "apt debian-12", "pending": len(would), "would": would}
            for cause in (Cause.DISPATCHED, Cause.CLAIMED, Cause.FINISHED):
                session.add(job.move(cause, now=NOON))
            session.add(job)


def same(doors: Doors, story: Callable[[Doors, str], None]) -> list[tuple[str, int, str, str]]:
    """What both doors said, which is the same."""
    here, elsewhere = (doors.through(door, story) for door in DOORS)
    for ours, theirs in zip(here, elsewhere, strict=True):
        assert ours == theirs
    return here


def written(folder: Path, **more: Any) -> str:
    spec = {"selector": {"all": True}, "action": {"do": "script", "interpreter": "sh", "text": "exit 0"}, "waves": {"canaries": [1001]}} | more
    file = folder / f"{spec['action']['do']}.yaml"
    file.write_text(json.dumps(spec))  # JSON is YAML too
    return str(file)


def test_a_roll_out(doors: Doors, tmp_path: Path) -> None:
    file = written(tmp_path)

    def story(doors: Doors, door: str) -> None:
        name = f"{door}-update"
        plan = ("rollout", "plan", file, "--name", name)
        doors.say(*plan)
        doors.say(*plan, "--json")
        doors.say(*plan, "--label", "role=db")
        start = ("rollout", "start", file, "--name", name, "--key", f"{door}-monday", "--because", "CVE-2026-1")
        doors.say(*start)
        first = json.loads(doors.say(*start, "--json").stdout)["id"]
        doors.campaigner.run_once()
        doors.say("rollout", "list", "--limit", "1")
        doors.say("rollout", "list", "--limit", "1", "--state", "open", "--json")
        doors.say("campaign", "list", "--limit", "1", "--kind", "rollout")
        doors.say("rollout", "list", "--state", "asleep")
        doors.say("rollout", "watch", name, "--timeout", "0")
        doors.say("rollout", "watch", name, "--timeout", "0", "--json")
        doors.say("rollout", "pause", name, "--because", "lunch")
        doors.say("rollout", "pause", name)
        doors.say("rollout", "speed", name, "3", "--per-node", "1")
        doors.say("rollout", "speed", name)
        doors.say("rollout", "resume", name, "--more-failures", "2", "--json")
        doors.say("campaign", "show", name)
        doors.say("campaign", "show", name, "--json")
        doors.say("rollout", "retry", name)
        doors.say("rollout", "abort", name, "--because", "not today")
        doors.campaigner.run_once()
        for form in ((), ("--json",), ("--csv",), ("--html",), ("--html", "--csv")):
            doors.say("rollout", "report", name, *form)
        doors.say("rollout", "watch", name)
        doors.say("rollout", "retry", name, "--dry-run")
        doors.say("rollout", "retry", name, "--dry-run", "--json")
        doors.say("rollout", "retry", first)
        again = json.loads(doors.say("rollout", "retry", first, "--json").stdout)
        doors.say("rollout", "abort", again["id"])
        doors.say("rollout", "report", f"{door}-nothing")
        doors.campaigner.run_once()

    told = same(doors, story)
    assert [code for _, code, _, _ in told] == [0, 0, 2, *[0] * 5, 2, 5, 5, 0, 3, 0, 2, 0, 0, 0, 3, *[0] * 5, 2, 1, *[0] * 5, 2]


def test_a_relocation(doors: Doors) -> None:
    def story(doors: Doors, door: str) -> None:
        doors.say("node", "evacuate", "n1", "--plan")
        doors.say("node", "evacuate", "n1", "--plan", "--json", "--longest-gap", "0.5")
        doors.say("node", "evacuate", "nobody", "--plan")
        doors.say("node", "return", "n2", "--plan")
        doors.say("fleet", "rebalance", "--margin", "2", "--plan", "--json")
        doors.say("fleet", "rebalance", "n1", "n2", "--margin", "90")
        doors.say("fleet", "reboot", "n2", "n1", "--together", "2", "--kernel", "6.1", "--plan", "--json")
        begun = json.loads(doors.say("node", "evacuate", "n1", "--key", f"{door}-monday", "--because", "fan", "--json").stdout)
        assert doors.say("node", "evacuate", "n1", "--key", f"{door}-monday", "--because", "fan").stdout.endswith(f"{begun['campaign']}\n")
        doors.say("node", "evacuate", "n1")
        doors.campaigner.run_once()
        doors.say("campaign", "abort", begun["campaign"])
        doors.campaigner.run_once()
        doors.say("node", "evacuate", "n1", "--key", f"{door}-monday", "--because", "fan", "--wait")
        with doors.api.house.database.write() as session:
            session.get_one(Node, "n1").state = NodeState.ACTIVE

    told = same(doors, story)
    assert [code for _, code, _, _ in told] == [0, 0, 2, 3, 0, 3, 0, 0, 0, 3, 0, 1]
    assert told[-1][2].endswith("n1: 2 containers, drained\n")


def test_a_dry_run(doors: Doors, tmp_path: Path) -> None:
    file = written(tmp_path, action={"do": "packages"})
    with doors.api.house.database.write() as session:
        container = session.get_one(Container, 1002)
        container.standing = "stopped"
        session.add(container)

    def story(doors: Doors, _door: str) -> None:
        doors.say("rollout", "plan", file, "--check")
        doors.say("rollout", "plan", file, "--check", "--json")
        doors.say("rollout", "plan", written(tmp_path), "--check")

    (_, code, text, _), (_, _, shape, _), (_, _, script, _) = same(doors, story)
    assert code == 0
    assert "== 2 × apt debian-12, 2 to upgrade: 1001 1003" in text
    assert "openssl 3.0.17" in text
    assert "== 1 × skipped: skipped: it is stopped: 1002" in text
    assert "== 1 × apt debian-12, nothing to upgrade: 1004" in text
    folds = json.loads(shape.replace('"number": N', '"number": 0').replace(": N", ": 0"))["check"]
    assert [(fold["outcome"], fold["ctids"]) for fold in folds] == [("ok", [1001, 1003]), ("skipped", [1002]), ("up-to-date", [1004])]
    assert "what that does nobody can ask beforehand" in script


def test_schedules(doors: Doors, tmp_path: Path) -> None:
    file = written(tmp_path)

    def story(doors: Doors, door: str) -> None:
        name = f"{door}-nightly"
        add = ("schedule", "add", name, file, "--name", "update", "--cron", "0 3 * * *", "--cron-timezone", "Europe/Berlin", "--because", "policy")
        doors.say(*add)
        doors.say(*add)
        doors.say("schedule", "add", f"{door}-other", file, "--cron", "never")
        for words in (("list",), ("list", "--json"), ("show", name), ("show", name, "--json"), ("pause", name), ("resume", name), ("remove", name)):
            doors.say("schedule", *words)
        doors.say("schedule", "list")

    told = same(doors, story)
    assert [code for _, code, _, _ in told] == [0, 2, 2, *[0] * 8]


def test_a_command_in_many_containers(doors: Doors) -> None:
    def story(doors: Doors, _door: str) -> None:
        doors.say("exec", "all", "--", "echo hello")
        for name in ("ct1001", "ct1002"):  # one by one: of several, whoever answers first is told first
            doors.say("exec", f"name={name}", "--stream", "--", "echo", "hello")
        doors.say("exec", "node=n1", "--json", "--because", "look", "--", "echo hello")
        doors.say("exec", "nobody", "--", "true")

    told = same(doors, story)
    assert [code for _, code, _, _ in told] == [1, 1, 0, 0, 2]
    assert "2 ok, 2 failed, 0 unreachable" in told[0][2]


def test_signatures(doors: Doors) -> None:
    job = make_job("create-container", state=State.STUCK, node="n1", step="make")
    with doors.api.house.database.write() as session:
        session.add(job)
        met(session, "create 99 odd", job, now=NOON, why="create ended with 99")

    def before(doors: Doors, _door: str) -> None:
        doors.say("signature", "list")

    def story(doors: Doors, _door: str) -> None:
        doors.say("signature", "settle", "1")
        doors.say("signature", "settle", "1", "--because", "an old vzctl")
        for words in (("list",), ("list", "--all"), ("list", "--all", "--json"), ("show", "1"), ("show", "1", "--json"), ("show", "99")):
            doors.say("signature", *words)

    assert "create 99 odd" in same(doors, before)[0][2]
    assert [code for _, code, _, _ in same(doors, story)] == [2, 0, 0, 0, 0, 0, 0, 2]


def test_the_audit(doors: Doors) -> None:
    def before(doors: Doors, _door: str) -> None:
        doors.say("pause", "--node", "n1", "--by", "admin", "--because", "new memory")
        doors.say("resume", "--node", "n1", "--by", "admin", "--because", "it is in")

    doors.through("here", before)

    def story(doors: Doors, _door: str) -> None:
        for words in ((), ("--json",), ("--by", "admin", "--action", "pause"), ("--days", "1", "--limit", "1"), ("--subject", "nobody")):
            doors.say("audit", *words)

    told = same(doors, story)
    assert "new memory" in told[0][2]
    assert "nothing of that kind was done" in told[-1][2]
