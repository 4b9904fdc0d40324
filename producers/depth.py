"""How much there is to do and who is there to do it: jobs that have not ended, and the slots of the workers that are alive."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import func
from sqlmodel import Session, col, select

from models.house import Worker
from models.jobs import Job
from models.lifecycle import FINAL, State
from producers.snapshot import WORKER_SILENT

OPEN = [state for state in State if state not in FINAL]


@dataclass(frozen=True)
class Depth:
    """So many jobs of one sort."""

    site: str
    kind: str
    state: State
    count: int
    since: datetime  # when the oldest was accepted


def depths(session: Session) -> list[Depth]:
    """Jobs that have not ended (index job_due; ended ones are not counted, so history costs nothing)."""
    scope = (col(Job.site), col(Job.kind), col(Job.state))
    query = sa.select(*scope, func.count(), func.min(col(Job.accepted_at))).where(col(Job.state).in_(OPEN)).group_by(*scope)
    return [Depth(*row) for row in session.execute(query)]


def slots(session: Session, now: datetime) -> dict[tuple[str, str], int]:
    """How many jobs of a family the workers of a site take at once; none of a site whose workers are silent."""
    totals: dict[tuple[str, str], int] = {}
    for worker in session.exec(select(Worker).where(col(Worker.seen_at) > now - WORKER_SILENT)).all():
        for family, count in worker.slots.items():
            totals[worker.site, family] = totals.get((worker.site, family), 0) + count
    return totals
