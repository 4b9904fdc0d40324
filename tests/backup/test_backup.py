"""A backup holds one moment of everything, on either database, and comes back on either."""

import shutil
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import col, select

import models.database
from models.database import Database
from models.fleet import Node, NodeState
from models.house import RESTORE_LEAP, Beat, Counter, Worker
from models.jobs import Event, Job
from models.lifecycle import Cause, State
from producers.backup import dump
from producers.backup.archive import Archive
from producers.backup.dump import PASSING, write_backup
from producers.backup.load import fits, restore
from producers.backup.stopped import until_silent
from producers.refusals import BadOrder, Refusal
from tests.backup.rows import everything, fill
from tests.factories import make_job, make_node, make_plan
from tests.stand_ins import ManualClock

CHANGED = {"counter", "node", "job", "audit", "event", "campaign", "campaignevent"}  # by what makes a restore safe (producers/backup/afterwards.py)


@pytest.fixture
def other(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Database]:
    """A second database, empty and on SQLite."""
    opened = Database(f"sqlite:///{tmp_path / 'other.sqlite'}", clock=clock, own_clock=True)
    yield opened
    opened.close()


def backed_up(database: Database, path: Path) -> Archive:
    write_backup(database, path, keys={})
    archive = Archive(path)
    fits(archive)
    return archive


def test_every_table_comes_back_on_the_same_and_on_the_other_database(database: Database, other: Database, tmp_path: Path) -> None:
    with database.rebuild() as connection:
        fill(connection)
        before = everything(connection)
    archive = backed_up(database, tmp_path / "b")
    assert set(archive.header.rows) == before.keys() - PASSING
    for target in (other, database):
        restore(target, archive, replace=True, by="test")
        with target.snapshot() as connection:
            after = everything(connection)
        unchanged = before.keys() - CHANGED - PASSING
        assert {name: after[name] for name in unchanged} == {name: before[name] for name in unchanged}
        assert all(after[name] == [] for name in PASSING)
        assert len(after["job"]) == len(before["job"])


def test_numbers_go_on_behind_those_that_were_put_back(database: Database, tmp_path: Path) -> None:
    with database.write() as session:
        session.add(job := make_job(state=State.DONE))
        session.flush()
        session.add_all(Event(job_id=job.id, cause=Cause.ACCEPTED, state=State.QUEUED, at=job.accepted_at) for _ in range(5))
    restore(database, backed_up(database, tmp_path / "b"), replace=True, by="test")
    with database.write() as session:
        fresh = Event(job_id=job.id, cause=Cause.ACCEPTED, state=State.QUEUED, at=job.accepted_at)
        session.add(fresh)
        session.flush()
        assert fresh.id == 6


def test_a_backup_is_one_moment_while_others_write(database: Database, other: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each transaction writes a job and its event; whichever moment it is, there are as many of the one as of the other."""
    monkeypatch.setattr(dump, "CHUNK", 5)
    stop, written = threading.Event(), threading.Event()

    def write() -> None:
        while not stop.is_set():
            with database.write() as session:
                session.add(job := make_job(state=State.DONE))
                session.flush()
                session.add(Event(job_id=job.id, cause=Cause.ACCEPTED, state=State.QUEUED, at=job.accepted_at))
            written.set()

    def between(_what: str, _done: int, total: int) -> None:
        written.clear()
        assert not total or written.wait(30)  # somebody wrote between any two tables

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert written.wait(30)
        write_backup(database, tmp_path / "b", keys={}, progress=between)
    finally:
        stop.set()
        thread.join()
    archive = Archive(tmp_path / "b")
    archive.check()
    assert archive.header.rows["job"] == archive.header.rows["event"] > 0
    with database.read() as session:
        assert len(session.exec(select(Job.id)).all()) > archive.header.rows["job"]
    restore(other, archive, replace=False, by="test")


def test_the_file_is_its_owners_and_never_overwritten(database: Database, tmp_path: Path) -> None:
    write_backup(database, tmp_path / "b", keys={})
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600
    before = (tmp_path / "b").read_bytes()
    with pytest.raises(Refusal, match="never overwritten"):
        write_backup(database, tmp_path / "b", keys={})
    assert (tmp_path / "b").read_bytes() == before


def test_nothing_is_left_of_a_backup_that_cannot_be_written(database: Database) -> None:
    with pytest.raises(dump.CannotWrite):
        write_backup(database, Path("/dev/full/b"), keys={})
    full = Path("/proc/self/b")
    with pytest.raises(dump.CannotWrite, match="cannot be written"):
        write_backup(database, full, keys={})


def test_a_house_that_is_there_is_only_replaced_when_asked_for(database: Database, tmp_path: Path) -> None:
    with database.write() as session:
        session.add(make_plan("old"))
    archive = backed_up(database, tmp_path / "b")
    with database.write() as session:
        session.add(make_plan("new"))
    with pytest.raises(Refusal, match="--replace"):
        restore(database, archive, replace=False, by="test")
    with database.snapshot() as connection:
        assert [row[0] for row in everything(connection)["plan"]] == ["new", "old"]
    restore(database, archive, replace=True, by="test")
    with database.snapshot() as connection:
        assert [row[0] for row in everything(connection)["plan"]] == ["old"]


def test_a_restore_that_fails_in_the_middle_changes_nothing(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with database.rebuild() as connection:
        fill(connection)
        before = everything(connection)
    archive = backed_up(database, tmp_path / "b")

    def dies(*_: object) -> None:
        raise OSError("the machine is gone")

    with pytest.raises(OSError, match="gone"):
        restore(database, archive, replace=True, by="test", progress=dies)
    with database.snapshot() as connection:
        assert everything(connection) == before


def test_an_older_backup_is_brought_up_to_the_schema_and_a_newer_one_refused(
    other: Database, sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(sqlite_template, tmp_path / "vzq.sqlite")
    old = Database(f"sqlite:///{tmp_path / 'vzq.sqlite'}")
    with old.write() as session:
        session.add(make_plan("small"))
    archive = backed_up(old, tmp_path / "b")
    with old.snapshot() as connection:
        head = str(old.revision(connection))
    old.close()
    folder = tmp_path / "migrations"
    shutil.copytree(Path(models.database.__file__).parent / "migrations", folder)
    (folder / "versions" / "pre_9999_next.py").write_text(NEXT.replace("HEAD", head))
    monkeypatch.setattr(models.database, "MIGRATIONS", folder)

    fits(archive)
    restore(other, archive, replace=False, by="test")
    with other.snapshot() as connection:
        assert other.revision(connection) == "pre_9999"
        assert connection.execute(sa.text("select name, colour from plan")).all() == [("small", "blue")]
    newer = tmp_path / "newer"
    write_backup(other, newer, keys={})
    monkeypatch.undo()
    with pytest.raises(Refusal, match="schema pre_9999"):
        fits(Archive(newer))


NEXT = '''"""The next ones."""
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "pre_9999", "HEAD", None, None
def upgrade():
    op.add_column("plan", sa.Column("colour", sa.String(), nullable=False, server_default="blue"))
'''


def test_a_backup_with_columns_that_its_schema_never_had_is_refused(database: Database, tmp_path: Path) -> None:
    write_backup(database, tmp_path / "b", keys={})
    archive = Archive(tmp_path / "b")
    archive.header.columns["plan"].append("colour")  # type: ignore[attr-defined]
    with pytest.raises(BadOrder, match="table plan"):
        fits(archive)


def test_open_jobs_wait_again_and_no_attempt_nor_deadline_counts(database: Database, other: Database, clock: ManualClock, tmp_path: Path) -> None:
    lease = clock.now() + timedelta(seconds=10)
    was = {
        "waits": make_job(due_at=clock.now() + timedelta(hours=1)),
        "rung": make_job(state=State.DISPATCHED, lease_until=lease, token=41),
        "runs": make_job("start-container", state=State.RUNNING, lease_until=lease, worker="w1", token=42, attempts=3, crashes=2),
        "undoes": make_job("start-container", state=State.UNDOING, lease_until=lease, worker="w1"),
        "stuck": make_job(state=State.STUCK),
        "done": make_job(state=State.DONE, ended_at=clock.now()),
    }
    names = {job.id: name for name, job in was.items()}
    with database.write() as session:
        session.add_all([*was.values(), Counter(name="token", value=42), Counter(name="event", value=9)])
        session.add_all([make_node("n1"), make_node("n2", state=NodeState.NEW)])
        session.add_all(
            [Worker(name="w1", site="main", host="h", slots={}, started_at=clock.now(), seen_at=clock.now()), Beat(name="dispatcher", at=clock.now())]
        )
    archive = backed_up(database, tmp_path / "b")
    clock.pass_(timedelta(days=2))
    told = restore(other, archive, replace=False, by="test").aftermath
    assert (told.waiting, told.stuck, told.nodes, told.token) == (4, 1, ["n1"], 42 + RESTORE_LEAP)
    with other.read() as session:
        jobs = {names[job.id]: job for job in session.exec(select(Job)).all()}
        events = {names[event.job_id]: event.cause for event in session.exec(select(Event)).all()}
        assert {name: job.state for name, job in jobs.items()} == {
            "waits": State.QUEUED, "rung": State.QUEUED, "runs": State.QUEUED, "undoes": State.UNDOING, "stuck": State.STUCK, "done": State.DONE
        }  # fmt: skip
        assert events == {"rung": Cause.UNCLAIMED, "runs": Cause.RELEASED, "undoes": Cause.RELEASED}
        for name in ("waits", "rung", "runs", "undoes"):
            job = jobs[name]
            assert (job.lease_until, job.worker, job.attempts, job.crashes, job.lost_above) == (None, None, 0, 0, 42)
            assert job.due_at <= clock.now() < job.deadline
        assert jobs["done"].lost_above is None
        assert session.get_one(Counter, "event").value == 9 + RESTORE_LEAP
        seen = {node.name: (node.unseen, node.bars) for node in session.exec(select(Node).order_by(col(Node.name))).all()}
        assert seen == {"n1": (True, True), "n2": (False, False)}
        assert session.exec(select(Worker)).all() == session.exec(select(Beat)).all() == []


def test_who_still_writes_keeps_a_restore_away_and_who_stopped_does_not(database: Database, clock: ManualClock) -> None:
    with database.write() as session:
        session.add(Beat(name="dispatcher", at=clock.now()))

    def beats(seconds: float) -> None:
        clock.pass_(seconds)
        with database.write() as session:
            session.merge(Beat(name="dispatcher", at=clock.now()))

    with pytest.raises(Refusal, match="at work"):
        until_silent(database, wait=beats)
    waited: list[float] = []

    def waits(seconds: float) -> None:
        waited.append(seconds)
        clock.pass_(seconds)

    until_silent(database, wait=waits)
    assert 14 <= sum(waited) <= 16
