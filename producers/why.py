"""Why a job is where it is: the same predicates that admission uses, asked for one job."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from models.database import Database
from models.house import Beat
from models.jobs import Job
from models.lifecycle import State
from producers import budgets
from producers.admission import Reason, explain
from producers.snapshot import WORKER_SILENT, snapshot


def why(database: Database, session: Session, job: Job) -> list[Reason]:
    """Every reason that keeps `job` from going on; empty when nothing holds it."""
    return whys(database, session, [job])[job.id]


def whys(database: Database, session: Session, jobs: Sequence[Job]) -> dict[str, list[Reason]]:
    """The same of many jobs by their ids, for lists: those that wait are explained by one snapshot."""
    now = database.now(session)
    told = {job.id: _plainly(job) for job in jobs}
    waiting = [job for job in jobs if told[job.id] is None]
    if waiting:
        beat = session.exec(select(Beat).where(col(Beat.name) == "dispatcher")).first()
        silent = beat is None or beat.at < now - WORKER_SILENT
        nobody = [Reason("service", "no dispatcher is alive; start one with `vzq service` or `vzq up`")] if silent else []
        picture = snapshot(session, waiting, now)
        over = {job.id: _over_budget(session, job, now) for job in waiting}
        told |= {job.id: nobody + explain(picture, job) + over[job.id] for job in picture.waiting}
    return {job_id: reasons or [] for job_id, reasons in told.items()}


def _over_budget(session: Session, job: Job, now: datetime) -> list[Reason]:
    over = budgets.objection(session, job, now=now)
    return [Reason("budget", over)] if over else []


def _plainly(job: Job) -> list[Reason] | None:
    """What the row itself says; None for a job that waits for admission."""
    if job.ended:
        return [Reason("ended", f"it is {job.state}" + (f": {job.error}" if job.error else ""))]
    if job.state == State.STUCK:
        return [Reason("stuck", f"a person must decide: {job.error}; see `vzq job show {job.id[-8:]}`, then `vzq job resolve {job.id[-8:]}`")]
    if job.worker is not None:
        return [Reason("running", f"worker {job.worker} has it, at step {job.step or 'claim'}")]
    if job.lease_until is not None:
        return [Reason("dispatched", "its message is on the queue; a worker takes it within a second, else it is sent again", until=job.lease_until)]
    return None


def reason_shapes(reasons: Sequence[Reason]) -> list[dict[str, Any]]:
    """As JSON has them."""
    return [{"code": reason.code, "text": reason.text, "until": reason.until, "holder": reason.holder} for reason in reasons]
