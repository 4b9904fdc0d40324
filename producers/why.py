"""Why a job is where it is: the same predicates that admission uses, asked for one job."""

from sqlmodel import Session, col, select

from models.database import Database
from models.house import Beat
from models.jobs import Job
from models.lifecycle import State
from producers.admission import Reason, explain
from producers.snapshot import WORKER_SILENT, snapshot


def why(database: Database, session: Session, job: Job) -> list[Reason]:
    """Every reason that keeps `job` from going on; empty when nothing holds it."""
    now = database.now(session)
    if job.ended:
        return [Reason("ended", f"it is {job.state}" + (f": {job.error}" if job.error else ""))]
    if job.state == State.STUCK:
        return [Reason("stuck", f"a person must decide: {job.error}; see `vzq job show {job.id[-8:]}`, then `vzq job resolve {job.id[-8:]}`")]
    if job.worker is not None:
        return [Reason("running", f"worker {job.worker} has it, at step {job.step or 'claim'}")]
    if job.lease_until is not None:
        return [Reason("dispatched", "its message is on the queue; a worker takes it within a second, else it is sent again", until=job.lease_until)]
    reasons = []
    beat = session.exec(select(Beat).where(col(Beat.name) == "dispatcher")).first()
    if beat is None or beat.at < now - WORKER_SILENT:
        reasons.append(Reason("service", "no dispatcher is alive; start one with `vzq service` or `vzq up`"))
    picture = snapshot(session, [job], now)
    return reasons + explain(picture, picture.waiting[0])
