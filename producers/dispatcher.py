"""One round: what lost its lease waits again, what waits for room is placed, what may go is dispatched and rung.

Each round is one transaction under one lock, so two dispatchers never decide by the same free slot. Messages
go out after the commit; one that is lost is rung again when its dispatch lease ends.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import delete, exists
from sqlmodel import Session, col, select

from models.campaign_states import CampaignState
from models.campaigns import Campaign
from models.clock import Clock
from models.database import Database
from models.house import Beat, Counter, Credit, erase_secrets
from models.jobs import Job
from models.kinds import CRASHES_OF_POISON
from models.lifecycle import Cause, State
from models.orders import ORDER, CreateContainer
from models.pauses import Pause, at_rest
from models.reservations import give_back
from producers import budgets
from producers.addresses import complete
from producers.admission import Round, admit
from producers.bell import Bell
from producers.bereaved import leave_lost_nodes
from producers.refusals import Refusal
from producers.relay import number_events
from producers.reserve import reserve
from producers.snapshot import due, snapshot, waits

log = structlog.get_logger(__name__)
DISPATCH_LEASE = timedelta(seconds=10)  # a message that nobody took by then counts as lost
LOOK_FOR_ROOM = timedelta(seconds=5)  # how often a job without a place is placed again
LOOK_AT_BUDGET = timedelta(seconds=60)  # how often a move is looked at again that would break its budget
OVER = "waits for its budget: "
BEAT_S = 1.0
RENEWAL_GRACE_S = 6.0  # one renewal of 4 s and a margin


@dataclass(frozen=True)
class Went:
    """What a round did; counts for the log and the meters."""

    dispatched: int
    rung: int
    expired: int
    held: int


class Dispatcher:
    """Goes round as often as it is told; two or more may run."""

    def __init__(self, database: Database, bell: Bell, clock: Clock, *, name: str) -> None:
        self._database = database
        self._bell = bell
        self._clock = clock
        self._name = name
        # By the monotonic clock. A dispatcher that begins does not know whether the database was away before it.
        self._trust_leases_from = clock.monotonic() + RENEWAL_GRACE_S
        self._beat_from = 0.0  # by the monotonic clock

    def go_round(self) -> Went:
        """One round; safe to repeat at any time, and to be killed at any instruction."""
        try:
            bells, outcome, expired = self._decide()
        except Exception:
            # Workers could not renew while the database was away: let them, before any of them counts as dead.
            self._trust_leases_from = self._clock.monotonic() + RENEWAL_GRACE_S
            raise
        rung = self._bell.ring(bells)
        return Went(len(bells), rung, expired, len(outcome.stay))

    def _decide(self) -> tuple[list[tuple[str, int, str, str]], Round, int]:
        with self._database.write() as session:
            self._database.lock(session, "dispatch")
            now = self._database.now(session)
            expired = self._expire(session, now)
            leave_lost_nodes(session, now)
            self._overdue(session, now)
            self._find_room(session, now)
            bells, outcome = self._dispatch(session, now)
            number_events(session)
            self._beat(session, now)
        return bells, outcome, expired

    def _beat(self, session: Session, now: datetime) -> None:
        """Say that rounds go on; not in each, so that one that changes nothing writes nothing and waits for no disk."""
        if self._clock.monotonic() >= self._beat_from:
            session.merge(Beat(name="dispatcher", at=now, data={"by": self._name}))
            self._beat_from = self._clock.monotonic() + BEAT_S

    def _expire(self, session: Session, now: datetime) -> int:
        """Leases that ran out: a message nobody took, or a worker that died (index job_leased)."""
        trusted = col(Job.lease_until) < now
        if self._clock.monotonic() < self._trust_leases_from:
            trusted &= col(Job.worker).is_(None)
        query = select(Job).where(trusted).order_by(col(Job.lease_until)).limit(500).with_for_update(skip_locked=True)
        jobs = session.exec(query).all()
        for job in jobs:
            if job.worker is None:
                session.add(job.move(Cause.UNCLAIMED, now=now, why="no worker took the message; it is sent again", token=job.token))
            else:
                self._lost(session, job, now)
            job.lease_until, job.worker, job.due_at = None, None, now
            session.add(job)
        return len(jobs)

    def _lost(self, session: Session, job: Job, now: datetime) -> None:
        job.crashes += 1
        if job.crashes >= CRASHES_OF_POISON:
            why = f"workers die under it, the last one ({job.worker}) at step {job.step or 'claim'}; see its log, then `vzq job resolve`"
            job.error, job.error_class = why, "Poisoned"
            session.add(job.move(Cause.POISONED, now=now, why=why, worker=job.worker, step=job.step))
        else:
            session.add(job.move(Cause.LOST, now=now, why=f"worker {job.worker} died or hangs; next time the job runs alone", worker=job.worker))
        log.warning("job_lost", job=job.id, worker=job.worker, crashes=job.crashes)

    def _overdue(self, session: Session, now: datetime) -> None:
        """Jobs whose deadline passed while they waited: put back what they began, or end as failed (index job_due)."""
        standing_still = exists().where(col(Campaign.id) == col(Job.campaign), col(Campaign.state) != CampaignState.RUNNING)
        resting = at_rest(session.exec(select(Pause)).all()) | standing_still
        query = select(Job).where(col(Job.state) == State.QUEUED, col(Job.due_at) <= now, col(Job.deadline) < now, ~resting).limit(100)
        for job in session.exec(query.with_for_update(skip_locked=True)).all():
            why = f"its deadline {job.deadline:%Y-%m-%d %H:%M} passed" + (f"; last: {job.error}" if job.error else "")
            cause = Cause.STRANDED if job.past_pivot else Cause.EXHAUSTED if job.begun else Cause.EXPIRED
            session.add(job.move(cause, now=now, why=why))
            job.error, job.error_class = why, "Expired"
            if cause is Cause.EXPIRED:
                give_back(session, job, now=now)
                erase_secrets(session, job.id)
            session.add(job)

    def _find_room(self, session: Session, now: datetime) -> None:
        """Place the jobs that were accepted without a place, oldest first."""
        query = (
            select(Job)
            .where(waits, col(Job.due_at) <= now, col(Job.node).is_(None), col(Job.kind) == "create-container")
            .order_by(col(Job.id))
            .limit(20)
        )
        for job in session.exec(query.with_for_update(skip_locked=True)).all():
            order = ORDER.validate_python(job.order | {"password": None})
            if not isinstance(order, CreateContainer) or job.state != State.QUEUED:
                continue
            try:
                reserved = reserve(self._database, session, order, job_id=job.id, site=job.site, now=now)
            except Refusal as refusal:
                job.error, job.due_at = f"waits for room: {refusal}", now + LOOK_FOR_ROOM
            else:
                job.node, job.ctid, job.error = reserved.container.node, reserved.container.ctid, ""
                session.add(job.move(Cause.PLACED, now=now, why=f"container {job.ctid} on {job.node}: {reserved.placement.because}"))
            session.add(job)

    def _ready(self, session: Session, job: Job, now: datetime) -> bool:
        return self._has_addresses(session, job, now) and self._within_budget(session, job, now)

    def _has_addresses(self, session: Session, job: Job, now: datetime) -> bool:
        """One whose address turned out to be somebody else's gets another; where there is none it waits, and what it has made stays."""
        if job.state != State.QUEUED:
            return True
        try:
            complete(self._database, session, job, now=now)
        except Refusal as refusal:
            job.error, job.due_at = f"waits for an address: {refusal}", now + LOOK_FOR_ROOM
            session.add(job)
            return False
        return True

    def _within_budget(self, session: Session, job: Job, now: datetime) -> bool:
        """What moves cost may have been learned since it was accepted, and the month used up: then it waits, at most until its deadline."""
        over = budgets.objection(session, job, now=now)
        if over:
            job.error, job.due_at = OVER + over, now + LOOK_AT_BUDGET
            session.add(job)
        elif job.error.startswith(OVER):
            job.error = ""
        return not over

    def _dispatch(self, session: Session, now: datetime) -> tuple[list[tuple[str, int, str, str]], Round]:
        """Let go what admission lets go: draw tokens, write the dispatch lease, return the bells to ring after the commit."""
        picture = snapshot(session, due(session, now), now)
        outcome = admit(picture)
        if dict(outcome.credits) != dict(picture.credits):
            session.execute(delete(Credit))
            session.add_all(Credit(rank=rank, producer=producer, credit=credit) for (rank, producer), credit in outcome.credits.items())
        if not outcome.go:
            return [], outcome
        query = select(Job).where(col(Job.id).in_(outcome.go), waits).with_for_update(skip_locked=True).execution_options(populate_existing=True)
        jobs = {job.id: job for job in session.exec(query).all()}
        going = [jobs[job_id] for job_id in outcome.go if job_id in jobs and self._ready(session, jobs[job_id], now)]
        first = draw_tokens(session, len(going))
        for token, job in enumerate(going, start=first):
            session.add(job.move(Cause.DISPATCHED, now=now, token=token))
            job.token, job.lease_until, job.worker = token, now + DISPATCH_LEASE, None
            session.add(job)
        return [(job.id, job.token, job.site, job.family) for job in going], outcome


def draw_tokens(session: Session, count: int) -> int:
    """The first of `count` new tokens from the one ever-growing sequence."""
    counter = session.get(Counter, "token", with_for_update=True) or Counter(name="token", value=0)
    first = counter.value + 1
    counter.value += count
    session.add(counter)
    return first
