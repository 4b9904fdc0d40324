"""How a run of a job ends: one function an ending, each the change of one transaction (Journal.end)."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from models.barred import LACKING, bar
from models.errors import AddressTaken, Concluded, JobError, NodeFault, Unexpected
from models.fleet import Node
from models.house import HANDOUT, erase_secrets, raise_token
from models.jobs import Job
from models.lifecycle import Cause, State
from models.reservations import give_back, keep
from models.signatures import met
from models.vault import SEALED

LONGEST_PAUSE = timedelta(seconds=60)
BREAKER_LONGEST = timedelta(minutes=5)
UNDO_ATTEMPTS = 20  # then a person must look


def finished(session: Session, job: Job, now: datetime, *, result: dict[str, Any], trial: bool = False) -> None:
    """The node shows what was ordered; a job on `trial` has proved that its node, which was ill, is well."""
    node = session.get(Node, job.node, with_for_update=True) if trial and job.node is not None else None
    if node is not None:
        node.broken_until, node.faults, node.finding, node.finding_why = None, 0, "", ""
        session.add(node)
    session.add(job.move(Cause.FINISHED, now=now))
    job.result, job.error, job.error_class = result, "", ""
    keep(session, job, now=now)
    if SEALED in job.order.values():
        erase_secrets(session, job.id, but=HANDOUT)


def postponed(session: Session, job: Job, now: datetime, *, error: JobError, after: timedelta, counts: bool, rng: random.Random) -> None:
    """It may pass later; once attempts or deadline are used up it goes back, or waits for a person."""
    if job.cancel_asked and not job.begun and job.state == State.RUNNING:
        broken(session, job, now, error=error, cause=Cause.WITHDRAWN, was=State.RUNNING)
        return
    _note(job, error)
    job.attempts += counts
    undoing = job.state == State.UNDOING
    used_up = job.attempts >= (UNDO_ATTEMPTS if undoing else job.rules.attempts) or (now >= job.deadline and not undoing)
    if used_up and (undoing or job.past_pivot):
        session.add(job.move(Cause.STRANDED, now=now, why=error.why, error=job.error_class))
        return
    if used_up:
        session.add(job.move(Cause.EXHAUSTED, now=now, why=f"given up after {job.attempts} attempts: {error.why}", error=job.error_class))
        _go_back(session, job, now)
        job.lease_until = job.worker = None  # this run is over; the undoing is dispatched like any other
        return
    pause = min(after * 2 ** max(0, job.attempts - 1), max(after, LONGEST_PAUSE)) * rng.uniform(0.8, 1.2)
    job.due_at = now + pause
    session.add(job.move(Cause.POSTPONED, now=now, why=f"{error.why}; again in {pause.total_seconds():.0f} s", error=job.error_class))
    job.lease_until = job.worker = None


def node_fault(session: Session, job: Job, now: datetime, *, fault: NodeFault, rng: random.Random) -> None:
    """The node is ill: its breaker opens and the job waits, without burning an attempt. Many jobs that meet one fault open it once."""
    name = fault.node or job.node
    node = session.get(Node, name, with_for_update=True) if name is not None else None
    after = fault.after
    if node is not None:
        if node.broken_until is None or node.broken_until <= now:
            node.faults += 1
            node.broken_until = now + min(fault.after * 2 ** min(node.faults - 1, 6), BREAKER_LONGEST)
            node.finding, node.finding_why = fault.finding, fault.why
            session.add(node)
        if name != job.node:  # of its own node admission asks the breaker: then the job is due soon, and goes on as soon as that closes
            after = node.broken_until - now
    postponed(session, job, now, error=fault, after=after, counts=node is None, rng=rng)


def broken(session: Session, job: Job, now: datetime, *, error: JobError, cause: Cause, was: State) -> None:
    """No retry helps: what was begun goes back; past the pivot a person must look. `was`: the job's state as the run knew it."""
    if job.state != was:
        return  # this very write got through and only its answer was lost
    _note(job, error)
    if isinstance(error, Concluded):
        job.result = error.result
    if job.past_pivot or job.state == State.UNDOING:
        session.add(job.move(Cause.STRANDED, now=now, why=error.why, error=job.error_class))
        return
    session.add(job.move(cause, now=now, why=error.why, error=job.error_class))
    _go_back(session, job, now)


def displaced(session: Session, job: Job, now: datetime, *, error: JobError) -> None:
    """The id was taken by somebody else meanwhile: bar it and place the order anew. Nothing of ours is on the node."""
    give_back(session, job, now=now, foreign=True)
    session.add(job.move(Cause.DISPLACED, now=now, why=f"{error.why}; placed anew", ctid=job.ctid, node=job.node))
    job.node, job.ctid, job.begun, job.due_at = None, None, False, now
    job.attempts += 1
    _note(job, error)


def readdressed(session: Session, job: Job, now: datetime, *, error: AddressTaken, gone: Sequence[str]) -> None:
    """An address is somebody else's: bar it, and let the dispatcher take another one. What was made so far stays."""
    job.target = job.target | {LACKING: bar(session, job, gone, why=error.why, now=now)}
    session.add(job.move(Cause.DISPLACED, now=now, why=error.why, addresses=list(gone)))
    job.lease_until, job.worker, job.due_at = None, None, now
    job.attempts += 1
    _note(job, error)


def reverted(session: Session, job: Job, now: datetime) -> None:
    """All that was begun is undone: failed, or cancelled if that was asked for."""
    session.add(job.move(Cause.WITHDRAWN if job.cancel_asked else Cause.REVERTED, now=now, why=job.error))
    give_back(session, job, now=now, foreign=job.error_class == "Taken")
    erase_secrets(session, job.id)


def irrevocable(session: Session, job: Job, now: datetime, *, error: JobError) -> None:
    """It was to go back, but only forward is right: a cancel comes too late, and so does a deadline."""
    session.add(job.move(Cause.IRREVOCABLE, now=now, why=error.why))
    job.past_pivot, job.cancel_asked, job.attempts, job.due_at = True, False, 0, now
    job.deadline = max(job.deadline, now + job.rules.deadline)


def unexpected(session: Session, job: Job, now: datetime, *, error: Exception) -> None:
    """Nobody knows what happened: nothing is undone on a guess."""
    signature = error.signature if isinstance(error, Unexpected) else f"{type(error).__name__} in the worker"
    job.error, job.error_class = str(error) or type(error).__name__, type(error).__name__
    session.add(job.move(Cause.UNEXPECTED, now=now, why=job.error, signature=signature))
    met(session, signature, job, now=now, why=job.error)


def outrun(session: Session, job: Job, now: datetime, *, highest: int, why: str) -> None:
    """The row is ours, but the node remembers a newer token: the database was restored. Go on under a token above it."""
    if not raise_token(session, highest):
        unexpected(session, job, now, error=Unexpected(f"{why}; no house draws so many tokens, look at the node's ledger", signature="token leap"))
        return
    session.add(job.move(Cause.POSTPONED, now=now, why=f"{why}; it goes on under a newer one", highest=highest))
    job.lease_until, job.worker, job.due_at = None, None, now


def released(session: Session, job: Job, now: datetime, *, why: str) -> None:
    """The worker stops: somebody else goes on at once, and attaches to what runs on the node."""
    session.add(job.move(Cause.RELEASED, now=now, why=why))
    job.lease_until, job.worker, job.due_at = None, None, now


def _go_back(session: Session, job: Job, now: datetime) -> None:
    """An undoing job that began nothing has nothing to undo."""
    job.attempts, job.due_at = 0, now
    if not job.begun:
        reverted(session, job, now)


def _note(job: Job, error: JobError) -> None:
    job.error, job.error_class = error.why, type(error).__name__
