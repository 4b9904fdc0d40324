"""How long a move takes and how long it interrupts, as far as what was measured tells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from sqlalchemy import func
from sqlmodel import Session, col, select

from models.jobs import Event, Job
from models.lifecycle import Cause, State
from models.outages import Outage

LAST_ONES = 500
UNKNOWN_LENGTH = timedelta(seconds=60)
UNKNOWN_GAP_S = 2.0  # facts §11: online moves of small containers interrupt for one to four seconds
KIND = "migrate-container"


@dataclass(frozen=True)
class History:
    """Medians of what was measured; a container's own count before the fleet's."""

    lengths: Mapping[int, timedelta]
    gaps_s: Mapping[int, float]
    usual_length: timedelta
    usual_gap_s: float
    guessed: bool  # no move was ever measured

    def length(self, ctid: int) -> timedelta:
        """How long a move of this container is thought to take."""
        return self.lengths.get(ctid, self.usual_length)

    def gap_s(self, ctid: int) -> float:
        """How long it is thought to interrupt it, seconds."""
        return self.gaps_s.get(ctid, self.usual_gap_s)


def history(session: Session) -> History:
    """Of the last moves that were done (indexes of job.kind's newest ids and outages' ids)."""
    jobs = session.exec(select(Job).where(Job.kind == KIND, Job.state == State.DONE).order_by(col(Job.id).desc()).limit(LAST_ONES)).all()
    outages = session.exec(select(Outage).where(Outage.cause == KIND).order_by(col(Outage.id).desc()).limit(LAST_ONES)).all()
    begun = _let_go(session, [job.id for job in jobs])
    ended = [(job.ctid, job.ended_at - begun.get(job.id, job.accepted_at)) for job in jobs if job.ctid is not None and job.ended_at is not None]
    lengths = [(ctid, length.total_seconds()) for ctid, length in ended]
    ctids = {outage.job_id: outage.ctid for outage in outages if outage.job_id is not None}
    gaps = [(ctids[job_id], gap) for job_id, gap in gaps_of_jobs(outages).items()]
    return History(
        lengths={ctid: timedelta(seconds=length) for ctid, length in _medians(lengths).items()},
        gaps_s=_medians(gaps),
        usual_length=timedelta(seconds=median([length for _, length in lengths])) if lengths else UNKNOWN_LENGTH,
        usual_gap_s=median([gap for _, gap in gaps]) if gaps else UNKNOWN_GAP_S,
        guessed=not gaps,
    )


def _let_go(session: Session, jobs: Sequence[str]) -> dict[str, datetime]:
    """By job: when admission let it go first; what it had waited until then is no part of the move."""
    first = select(Event.job_id, func.min(Event.at)).where(col(Event.job_id).in_(jobs), Event.cause == Cause.DISPATCHED).group_by(Event.job_id)
    return dict(session.exec(first).all())


def gaps_of_jobs(outages: Sequence[Outage]) -> dict[str, float]:
    """By job: how long all its intervals together were; none for a job of which one was not measured."""
    found: dict[str, float] = {}
    unmeasured = {outage.job_id for outage in outages if outage.gap_s is None}
    for outage in outages:
        if outage.job_id is not None and outage.job_id not in unmeasured:
            found[outage.job_id] = found.get(outage.job_id, 0.0) + (outage.gap_s or 0.0)
    return found


def _medians(pairs: Sequence[tuple[int, float]]) -> dict[int, float]:
    by_container: dict[int, list[float]] = {}
    for ctid, value in pairs:
        by_container.setdefault(ctid, []).append(value)
    return {ctid: median(values) for ctid, values in by_container.items()}
