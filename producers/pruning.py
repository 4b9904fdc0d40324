"""History goes by age, in small batches: jobs and campaigns that ended with all that belongs to them, deliveries, findings, outages, audit.

What must outlive it stays: the key of each job and campaign (`SpentKey`), the job whose mark a container carries, the last delivery of each
subject (the next one is numbered after it), and the number of the highest event that went, so that readers can be told.
"""

from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import Select, delete, func, or_, select
from sqlalchemy.orm import aliased
from sqlmodel import Session, SQLModel, col

from models.access import Audit
from models.campaigns import Target
from models.clock import Clock
from models.database import Database
from models.findings import Finding
from models.fleet import Container
from models.hooks import Delivery
from models.house import Secret, note_pruned
from models.ids import first_id_at
from models.jobs import Event, Job, SpentKey
from models.lifecycle import FINAL
from models.outages import Outage
from producers.campaigns import forget

log = structlog.get_logger(__name__)
BATCH = 100  # jobs, or other rows, in one transaction: some 20 ms on SQLite
EVERY_S = 3600.0


class KeepSettings(BaseSettings):
    """How long history is kept."""

    model_config = SettingsConfigDict(env_prefix="VZQ_", frozen=True, extra="ignore")

    keep_days: int = Field(400, ge=0, le=36_500)  # VZQ_KEEP_DAYS; 0: for ever


@dataclass(frozen=True)
class Sweep:
    """One going through of everything that ended before `before`."""

    before: datetime
    after_job: str = ""  # jobs up to this one have been looked at


class Pruner:
    """In the service: a batch each time it is called, and a pause once nothing is left; two may run."""

    def __init__(self, database: Database, clock: Clock, settings: KeepSettings) -> None:
        self._database = database
        self._clock = clock
        self._keep = timedelta(days=settings.keep_days)
        self._sweep: Sweep | None = None
        self._gone: Tally[str] = Tally()
        self._rest_until = 0.0  # by the monotonic clock

    def run_once(self) -> int:
        """How many rows went."""
        if not self._keep or self._clock.monotonic() < self._rest_until:
            return 0
        with self._database.write() as session:
            sweep = self._sweep or Sweep(self._database.now(session) - self._keep)
            gone, self._sweep = batch(self._database, session, sweep)
        self._gone.update(+gone)
        if self._sweep is None:
            self._rest_until = self._clock.monotonic() + EVERY_S
            if self._gone:
                log.info("history_pruned", before=sweep.before.isoformat(timespec="seconds"), rows=dict(self._gone))
            self._gone.clear()
        return gone.total()


def batch(database: Database, session: Session, sweep: Sweep) -> tuple[Tally[str], Sweep | None]:
    """One batch of a sweep; what went by table, and how the sweep goes on (None: it is through)."""
    database.lock(session, "pruning")
    jobs = session.execute(_old_jobs(sweep).order_by(col(Job.id)).limit(BATCH)).scalars().all()
    if jobs:
        return _forget(session, jobs), Sweep(sweep.before, jobs[-1])
    campaigns = session.execute(forget.old(sweep.before).limit(forget.BATCH)).scalars().all()
    if campaigns:
        return forget.forget(session, campaigns), sweep
    gone: Tally[str] = Tally()
    for kind, which in _others(sweep.before).items():
        rows = session.execute(which.limit(BATCH)).scalars().all()
        session.execute(delete(kind).where(col(kind.id).in_(rows)))
        gone[_name(kind)] = len(rows)
    return gone, sweep if max(gone.values()) >= BATCH else None


def count(session: Session, before: datetime) -> dict[str, int]:
    """What a sweep would take, by table."""
    jobs = _old_jobs(Sweep(before))
    counted: dict[str, Select[Any]] = {"job": jobs, "event": select(col(Event.id)).where(col(Event.job_id).in_(jobs))}
    campaigns = forget.old(before)
    counted |= {"campaign": campaigns, "target": select(col(Target.id)).where(col(Target.campaign_id).in_(campaigns))}
    counted |= {_name(kind): which for kind, which in _others(before).items()}
    return {name: session.execute(select(func.count()).select_from(which.subquery())).scalar_one() for name, which in counted.items()}


def _old_jobs(sweep: Sweep) -> Select[Any]:
    """By the primary key: ids sort by time, so that no index is needed for this alone."""
    marked = select(col(Container.ctid)).where(col(Container.job_id) == col(Job.id)).exists()  # it proves whose the container is
    old = (col(Job.id) > sweep.after_job, col(Job.id) < first_id_at(sweep.before), col(Job.ended_at) < sweep.before)
    return select(col(Job.id)).where(*old, col(Job.state).in_(sorted(FINAL)), ~marked)


def _others(before: datetime) -> dict[type[Delivery | Finding | Outage | Audit], Select[Any]]:
    later = aliased(Delivery)
    same = (col(later.webhook) == col(Delivery.webhook), col(later.subject) == col(Delivery.subject))
    followed = select(col(later.id)).where(*same, col(later.sequence) > col(Delivery.sequence)).exists()
    over = (col(Delivery.state) != "waiting", col(Delivery.due_at) < before, or_(col(Delivery.subject).startswith("job:"), followed))
    return {
        Delivery: select(col(Delivery.id)).where(*over),
        Finding: select(col(Finding.id)).where(col(Finding.gone_at) < before),
        Outage: select(col(Outage.id)).where(col(Outage.began_at) < before),
        Audit: select(col(Audit.id)).where(col(Audit.at) < before),
    }


def _forget(session: Session, jobs: Sequence[str]) -> Tally[str]:
    """The jobs, and everything that points at them; their keys stay."""
    rows = session.execute(select(Job).where(col(Job.id).in_(jobs))).scalars().all()
    session.add_all(
        SpentKey(
            key=job.key, digest=job.digest, job_id=job.id, kind=job.kind, state=job.state, ended_at=job.ended_at, customer=job.customer, ctid=job.ctid
        )
        for job in rows
        if job.key != job.id and job.ended_at is not None
    )
    note_pruned(session, session.execute(select(func.max(col(Event.number))).where(col(Event.job_id).in_(jobs))).scalar() or 0)
    session.flush()
    session.expunge_all()
    session.execute(delete(Secret).where(col(Secret.job_id).in_(jobs)))
    gone = Tally({"job": len(rows)})
    for table in SQLModel.metadata.tables.values():
        for key in (key for key in table.foreign_keys if key.references(Job.__table__)):  # type: ignore[attr-defined]
            gone[table.name] += session.execute(delete(table).where(key.parent.in_(jobs))).rowcount  # type: ignore[attr-defined]
    session.execute(delete(Job).where(col(Job.id).in_(jobs)))
    return gone


def _name(kind: type[SQLModel]) -> str:
    return str(kind.__tablename__)
