"""How a run of a job may end, and what the row says afterwards."""

import random
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session, select

from models.database import Database
from models.errors import JobError, Locked, NodeFault, Permanent, Retryable, Unexpected, Unreachable
from models.fleet import Node
from models.house import Secret
from models.jobs import Event, Job
from models.lifecycle import Cause, State
from tests.factories import make_job, make_node
from tests.stand_ins import NOON
from workers import endings

pytestmark = pytest.mark.quick
SOON = Retryable("no luck", after=timedelta(seconds=5))
SEALED_ORDER = {"kind": "create-container", "password": "(sealed)"}
HELD = {"lease_until": NOON, "worker": "w1", "node": "n1"}


@pytest.fixture
def session(tmp_path: Path, sqlite_template: Path) -> Iterator[Session]:
    path = tmp_path / "vzq.sqlite"
    shutil.copy(sqlite_template, path)
    database = Database(f"sqlite:///{path}")
    with database.write() as session:
        session.add(make_node("n1"))
        yield session
    database.close()


def ended(
    session: Session, change: Callable[..., None], state: State = State.RUNNING, kind: str = "create-container", now: datetime = NOON, **given: Any
) -> Job:
    job = make_job(kind, state=state, **(HELD | given))
    session.add(job)
    session.flush()
    change(session, job, now)
    session.flush()
    return job


def postponed(error: JobError = SOON, *, counts: bool = True) -> Callable[..., None]:
    after = error.after if isinstance(error, Retryable) else timedelta(seconds=2)
    return partial(endings.postponed, error=error, after=after, counts=counts, rng=random.Random(1))


def last(session: Session, job: Job) -> Event:
    return session.exec(select(Event).where(Event.job_id == job.id)).all()[-1]


def test_a_postponed_job_waits_longer_each_time_and_lets_go(session: Session) -> None:
    pauses = []
    for attempts in range(7):
        job = ended(session, postponed(), attempts=attempts, begun=True)
        assert (job.state, job.worker, job.lease_until, job.attempts) == (State.QUEUED, None, None, attempts + 1)
        pauses.append((job.due_at - NOON).total_seconds())
    assert pauses[0] == pytest.approx(5, rel=0.21)
    assert pauses[3] == pytest.approx(40, rel=0.21)
    assert max(pauses) <= 60 * 1.2


def test_a_job_of_an_ill_node_is_due_soon_however_long_the_breaker_holds_it(session: Session) -> None:
    def change(session: Session, job: Job, at: datetime, later: timedelta) -> None:
        endings.node_fault(session, job, at + later, fault=NodeFault("disk full", finding="disk-full"), rng=random.Random(1))

    for minutes in range(0, 60, 6):
        job = ended(session, partial(change, later=timedelta(minutes=minutes)))
        assert (job.due_at - NOON).total_seconds() <= minutes * 60 + 15 * 1.2
    node = session.get_one(Node, "n1")
    assert node.broken_until == NOON + timedelta(minutes=54 + 5)


def test_a_lock_burns_no_attempt(session: Session) -> None:
    assert ended(session, postponed(Locked("held"), counts=False), attempts=7).attempts == 7


@pytest.mark.parametrize(
    ("given", "state", "cause"),
    [
        ({"attempts": 7, "begun": True}, State.UNDOING, Cause.EXHAUSTED),
        ({"attempts": 7, "begun": False}, State.FAILED, Cause.REVERTED),
        ({"attempts": 7, "begun": True, "past_pivot": True}, State.STUCK, Cause.STRANDED),
        ({"deadline": NOON, "begun": True}, State.UNDOING, Cause.EXHAUSTED),
        ({"deadline": NOON, "begun": True, "past_pivot": True}, State.STUCK, Cause.STRANDED),
        ({"state": State.UNDOING, "attempts": 18, "begun": True}, State.UNDOING, Cause.POSTPONED),
        ({"state": State.UNDOING, "attempts": 19, "begun": True}, State.STUCK, Cause.STRANDED),
        ({"state": State.UNDOING, "deadline": NOON, "begun": True}, State.UNDOING, Cause.POSTPONED),
    ],
)
def test_attempts_and_deadline_are_bounds(session: Session, given: dict[str, Any], state: State, cause: Cause) -> None:
    job = ended(session, postponed(), **given)
    assert (job.state, last(session, job).cause) == (state, cause)
    assert (job.lease_until, job.worker) == (None, None)  # nobody runs it any more
    assert job.error == "no luck"


def test_a_job_that_goes_back_starts_counting_anew(session: Session) -> None:
    assert ended(session, postponed(), attempts=7, begun=True).attempts == 0


def test_an_ill_node_opens_its_breaker_longer_each_time_and_burns_no_attempt(session: Session) -> None:
    pauses, now = [], NOON
    fault = NodeFault("the disk is full", finding="disk-full")
    for _ in range(8):
        job = ended(session, partial(endings.node_fault, fault=fault, rng=random.Random(1)), now=now, begun=True)
        node = session.get_one(Node, "n1")
        assert (job.state, job.attempts, node.finding, node.finding_why) == (State.QUEUED, 0, "disk-full", "the disk is full")
        assert node.broken_until is not None
        pauses.append((node.broken_until - now).total_seconds())
        now = node.broken_until
    assert pauses == [15, 30, 60, 120, 240, 300, 300, 300]


def test_many_jobs_that_meet_one_fault_open_the_breaker_once(session: Session) -> None:
    for _ in range(8):
        job = ended(session, partial(endings.node_fault, fault=Unreachable("no answer"), rng=random.Random(1)))
    node = session.get_one(Node, "n1")
    assert (node.faults, node.broken_until) == (1, NOON + timedelta(seconds=5))
    assert NOON < job.due_at < NOON + timedelta(seconds=7)


def test_a_job_that_ends_well_on_trial_proves_that_its_node_is_well(session: Session) -> None:
    node = session.get_one(Node, "n1")
    node.faults, node.finding = 3, "disk-full"
    ended(session, partial(endings.finished, result={}))
    assert session.get_one(Node, "n1").faults == 3  # it was claimed before the fault
    ended(session, partial(endings.finished, result={}, trial=True))
    assert (session.get_one(Node, "n1").faults, session.get_one(Node, "n1").finding) == (0, "")


def test_a_fault_without_a_node_in_the_fleet_burns_attempts(session: Session) -> None:
    fault = NodeFault("no answer", finding="unreachable")
    job = ended(session, partial(endings.node_fault, fault=fault, rng=random.Random(1)), kind="enrol-node", node=None)
    assert job.state == State.FAILED  # one attempt, nothing begun


@pytest.mark.parametrize(
    ("given", "state"),
    [
        ({"begun": True}, State.UNDOING),
        ({"begun": False}, State.FAILED),
        ({"begun": True, "past_pivot": True}, State.STUCK),
        ({"begun": True, "state": State.UNDOING}, State.STUCK),
    ],
)
def test_what_no_retry_helps_goes_back_or_to_a_person(session: Session, given: dict[str, Any], state: State) -> None:
    was = given.get("state", State.RUNNING)
    job = ended(session, partial(endings.broken, error=Permanent("no such template"), cause=Cause.BROKEN, was=was), **given)
    assert (job.state, job.error, job.error_class) == (state, "no such template", "Permanent")


def test_a_broken_job_is_written_down_once_however_often_it_is_tried(session: Session) -> None:
    change = partial(endings.broken, error=Permanent("no such template"), cause=Cause.BROKEN, was=State.RUNNING)
    job = ended(session, change, begun=True)
    change(session, job, NOON)
    assert job.state == State.UNDOING


@pytest.mark.parametrize(("cancel_asked", "state"), [(False, State.FAILED), (True, State.CANCELLED)])
def test_what_is_put_back_is_failed_or_cancelled_if_that_was_asked_for(session: Session, cancel_asked: bool, state: State) -> None:
    job = ended(
        session, endings.reverted, State.UNDOING, begun=True, cancel_asked=cancel_asked, order={"kind": "create-container", "password": "(sealed)"}
    )
    assert job.state == state
    assert job.ended_at == NOON
    assert session.get(Secret, (job.id, "password")) is None


def test_an_unknown_answer_is_nobodys_guess(session: Session) -> None:
    job = ended(session, partial(endings.unexpected, error=Unexpected("create ended with 200", signature="create 200")), begun=True)
    assert (job.state, job.worker, job.lease_until) == (State.STUCK, None, None)
    assert last(session, job).data["signature"] == "create 200"


@pytest.mark.parametrize("state", [State.RUNNING, State.UNDOING])
def test_a_worker_that_stops_hands_over_at_once(session: Session, state: State) -> None:
    job = ended(session, partial(endings.released, why="it stops"), state, attempts=3, crashes=1)
    assert (job.worker, job.lease_until, job.due_at, job.attempts, job.crashes) == (None, None, NOON, 3, 1)
