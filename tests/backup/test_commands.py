"""`vzq backup`, `restore`, `prune` and `finding repair --all`, as a person calls them."""

import json
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlmodel import col, select

from models.database import Database
from models.findings import Finding
from models.fleet import Plan
from models.house import Beat
from models.ids import JobIds
from models.jobs import Job
from models.lifecycle import State
from models.settings import Settings
from producers.embedded.state_folder import StateFolder
from tests.cli.conftest import Vzq, database, fleet, founded, state, vzq
from tests.factories import make_job
from tests.stand_ins import ManualClock

__all__ = ["database", "fleet", "founded", "state", "vzq"]
MARK = "01JZZZZZZZZZZZZZZZZZZZZZZZ"


def plans(state: Path) -> list[str]:
    opened = Database(f"sqlite:///{state / 'vzq.sqlite'}")
    with opened.read() as session:
        found = list(session.exec(select(Plan.name).order_by(col(Plan.name))).all())
    opened.close()
    return found


def test_a_backup_and_a_restore_into_an_empty_folder(vzq: Vzq, fleet: Database, state: Path, tmp_path: Path) -> None:
    told = json.loads(vzq("backup", str(tmp_path), "--json").stdout)
    file = Path(told["file"])
    assert file.parent == tmp_path
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (told["tables"]["plan"], told["keys"]) == (3, [])
    assert "not in it" in vzq("backup", str(tmp_path / "again")).stdout
    fleet.close()
    state.rename(tmp_path / "lost")
    restored = vzq("restore", str(file))
    assert restored.exit_code == 0, restored.stderr
    assert "put the old secret key back" not in restored.stdout  # nothing that is sealed needs it
    assert "finding repair --all" in restored.stdout
    assert plans(state) == ["large", "medium", "small"]


def test_the_keys_come_along_only_when_asked_for_and_overwrite_none(vzq: Vzq, fleet: Database, state: Path, tmp_path: Path) -> None:
    assert vzq("key").exit_code == 0
    assert vzq("backup", str(tmp_path / "b"), "--with-key").exit_code == 0
    fleet.close()
    state.rename(tmp_path / "lost")
    told = json.loads(vzq("restore", str(tmp_path / "b"), "--json").stdout)
    assert len(told["keys"]) == 3
    for name in ("secret.key", "ssh/id_ed25519", "ssh/id_ed25519.pub"):
        assert (state / name).read_text() == (tmp_path / "lost" / name).read_text()
        assert stat.S_IMODE((state / name).stat().st_mode) == 0o600
    (state / "secret.key").write_text("another\n")
    told = json.loads(vzq("restore", str(tmp_path / "b"), "--replace", "--json").stdout)
    assert "THE BACKUP HAS ANOTHER ONE" in told["keys"][0]
    assert (state / "secret.key").read_text() == "another\n"


def test_a_restore_is_refused_before_anything_changes(vzq: Vzq, fleet: Database, state: Path, tmp_path: Path) -> None:
    file = tmp_path / "b"
    assert vzq("backup", str(file)).exit_code == 0
    (tmp_path / "torn").write_bytes(file.read_bytes()[:-30])
    (tmp_path / "letter").write_text("dear aunt")
    for name, code, why in (("torn", 2, "torn"), ("letter", 2, "is no backup of vzq"), ("nothing", 2, "cannot be read"), ("b", 3, "--replace")):
        result = vzq("restore", str(tmp_path / name))
        assert (result.exit_code, why in result.stderr) == (code, True), result.stderr
    held = StateFolder(Settings().state)
    held.take()
    result = vzq("restore", str(file), "--replace")
    held.leave()
    assert (result.exit_code, "runs already" in result.stderr) == (3, True)
    assert plans(state) == ["large", "medium", "small"]


def test_a_service_that_lives_keeps_the_house_from_being_replaced(vzq: Vzq, fleet: Database, tmp_path: Path) -> None:
    assert vzq("backup", str(tmp_path / "b")).exit_code == 0
    ahead = datetime.now(UTC) + timedelta(seconds=30)  # a clock that is ahead seems to write all the time
    with fleet.write() as session:
        session.add(Beat(name="dispatcher", at=ahead))

    stop = threading.Event()

    def beat() -> None:
        number = 0
        while not stop.wait(0.2):
            number += 1
            with fleet.write() as session:
                session.merge(Beat(name="dispatcher", at=ahead + timedelta(milliseconds=number)))

    thread = threading.Thread(target=beat)
    thread.start()
    result = vzq("restore", str(tmp_path / "b"), "--replace")
    stop.set()
    thread.join()
    assert (result.exit_code, "is at work on this database" in result.stderr) == (3, True), result.stderr


def test_pruning_by_hand_counts_first_and_goes_then(vzq: Vzq, fleet: Database) -> None:
    then = ManualClock(datetime.now(UTC) - timedelta(days=100))
    with fleet.write() as session:
        session.add(make_job(id=JobIds(then).next(), state=State.DONE, accepted_at=then.now(), ended_at=then.now()))
    assert json.loads(vzq("prune", "--json").stdout)["rows"] == {}
    told = json.loads(vzq("prune", "--older-than", "90d", "--dry-run", "--json").stdout)
    assert (told["rows"], told["dry_run"]) == ({"job": 1}, True)
    with fleet.read() as session:
        assert len(session.exec(select(Job)).all()) == 1
    assert "job" in vzq("prune", "--older-than", "90").stdout
    with fleet.read() as session:
        assert session.exec(select(Job)).all() == []
    assert vzq("prune", "--older-than", "soon").exit_code == 2


def test_all_that_carry_our_mark_are_adopted_by_one_command(vzq: Vzq, fleet: Database) -> None:
    now = datetime.now(UTC)
    marks: dict[int, dict[str, Any]] = {5000: {"mark": MARK}, 5001: {}, 5002: {"mark": MARK}}
    with fleet.write() as session:
        for ctid, given in marks.items():
            order = {"kind": "adopt-container", "node": "n1", "ctid": ctid}
            session.add(Finding(kind="unknown-container", node="n1", subject=str(ctid), repair=order, first_seen=now, last_seen=now, **given))
    call = ("finding", "repair", "--all", "--kind", "unknown-container")
    told = json.loads(vzq(*call, "--dry-run", "--json").stdout)
    assert [one["order"]["ctid"] for one in told["repairs"]] == [5000, 5002]
    with fleet.read() as session:
        assert session.exec(select(Job)).all() == []
    assert "2 ordered, 0 refused" in vzq(*call).stdout
    assert "3 ordered" in vzq(*call, "--strangers").stdout  # those that are open are given back, not ordered twice
    with fleet.read() as session:
        assert sorted(job.ctid or 0 for job in session.exec(select(Job)).all()) == [5000, 5001, 5002]
    assert vzq("finding", "repair", "--all").exit_code == 2
    assert vzq("finding", "repair", "7", "--all", "--kind", "twin").exit_code == 2
