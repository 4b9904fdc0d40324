"""Who has a job: taking it with a token, keeping the lease alive, and knowing when it is over.

A lease is written in the database's time and watched here by the monotonic clock, counted from before the renewal
was sent: whoever cannot renew stops touching nodes before anybody else may begin.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from sqlalchemy import update
from sqlmodel import Session, col, select

from models.clock import Clock
from models.database import Database
from models.errors import Stale, Withdrawn
from models.fleet import Address, Container, Node
from models.house import Secret, Worker
from models.jobs import Begun, Job
from models.kinds import KINDS
from models.lifecycle import FINAL, Cause, State
from models.reservations import addresses_of, probes_of, reservation
from models.vault import SEALED
from workers.store import locked

log = structlog.get_logger(__name__)
LEASE = timedelta(seconds=15)  # three missed renewals of 4 s and a margin
RENEW_S = 4.0
MARGIN_S = 3.0  # stop this long before the lease ends: a command on its way arrives within it or is refused by the ledger


@dataclass
class Claim:
    """A job in this worker's hands, with all that its plan needs to know, read when it was claimed."""

    job: Job
    token: int
    alive_until: float  # by the monotonic clock
    node: Node | None = None
    there: Node | None = None  # where a move takes the container
    moves: tuple[str, ...] = ()  # for a look at a node: the moves that have not ended, whose trust stays there
    container: Container | None = None
    addresses: Sequence[str] = ()
    fresh: Sequence[str] = ()  # those of them that were kept for this job, so that another one would do as well
    probes: dict[str, str] = field(default_factory=dict)  # address → how it is asked
    sealed: dict[str, str] = field(default_factory=dict, repr=False)
    journal: list[Begun] = field(default_factory=list)
    cancel_asked: bool = False
    over: bool = False  # another worker has it, or nobody

    def check(self, clock: Clock) -> None:
        """Raises Stale when the lease is over; called before every word to a node."""
        if self.over or clock.monotonic() >= self.alive_until:
            raise Stale(f"the lease of job {self.job.id} (token {self.token}) is over; another worker may have it")

    def safe_point(self, clock: Clock) -> None:
        """Between two steps: raises Stale, or Withdrawn when cancel was asked for and can still be done."""
        self.check(clock)
        if self.withdrawn:
            raise Withdrawn("cancelled on request")

    @property
    def withdrawn(self) -> bool:
        """Cancel was asked for and can still be done."""
        return self.cancel_asked and not self.job.past_pivot and self.job.state == State.RUNNING


class RunAlone(Exception):
    """A worker died under this job before: it runs in a process of its own, so that only the guilty one can die of it."""


class Claims:
    """The leases of one worker."""

    def __init__(self, database: Database, clock: Clock, *, worker: str, solo: bool = False) -> None:
        self._database = database
        self._clock = clock
        self._solo = solo  # this process was started for one job alone
        self.worker = worker
        self.held: dict[str, Claim] = {}
        self.asking: dict[str, int] = {}  # job → token of a bell that is being answered; a double of it is dropped (Runs.answer)

    def take(self, session: Session, job_id: str, token: int) -> Claim | None:
        """Claim the job if this token is the one it was dispatched with; None for a message that is late, double or overtaken; raises RunAlone."""
        begun = self._clock.monotonic()
        job = locked(session, job_id)
        ours = job is not None and job.worker == self.worker and self.asking.get(job_id) == token  # it got through, only its answer was lost
        if job is None or not (_for_us(job, token) and (ours or _free(job))):
            return None
        if job.crashes and not self._solo:
            raise RunAlone(job_id)
        now = self._database.now(session)
        if not ours:
            session.add(job.move(Cause.CLAIMED, now=now, worker=self.worker, token=token))
        job.worker, job.lease_until = self.worker, now + LEASE
        session.add(job)
        claim = Claim(job=job, token=token, alive_until=begun + LEASE.total_seconds() - MARGIN_S, cancel_asked=job.cancel_asked)
        self._read(session, claim, job)
        return claim

    @staticmethod
    def _read(session: Session, claim: Claim, job: Job) -> None:
        """All that its plan needs to know."""
        if job.node is not None:
            claim.node = session.get(Node, job.node)
        if job.to_node is not None:
            claim.there = session.get(Node, job.to_node)
        if job.kind == "observe-node":
            open_moves = select(Job.id).where(col(Job.state).in_(set(State) - FINAL), Job.kind == "migrate-container")  # index job_due
            claim.moves = tuple(session.exec(open_moves).all())
        if job.kind in ("check-migration", "check-update"):  # it stands in no container's line, and so has no ctid of its own
            claim.container = session.get(Container, job.order["ctid"])
        elif job.rules.placed:
            claim.container, claim.addresses = reservation(session, job)
            claim.fresh = claim.addresses
        elif job.ctid is not None:
            claim.container, claim.addresses = session.get(Container, job.ctid), addresses_of(session, job.ctid, with_job=job.id)
            claim.fresh = session.exec(select(Address.address).where(Address.job_id == job.id, col(Address.removing).is_(False))).all()
        if job.ctid is not None:
            claim.probes = probes_of(session, job.ctid)
        if SEALED in job.order.values():
            claim.sealed = {secret.name: secret.sealed for secret in session.exec(select(Secret).where(Secret.job_id == job.id)).all()}
        if job.begun or job.attempts:  # a displaced job has begun nothing at its new place, and numbers its tries on
            claim.journal = list(session.exec(select(Begun).where(Begun.job_id == job.id).order_by(col(Begun.id))).all())

    def renew(self, session: Session) -> dict[str, tuple[int, bool]]:
        """Lengthen all leases of this worker; for each job still ours its token and whether cancel was asked for."""
        now = self._database.now(session)
        mine = (col(Job.worker) == self.worker, col(Job.lease_until).is_not(None))
        session.execute(update(Worker).where(col(Worker.name) == self.worker).values(seen_at=now))
        if not self.held:
            return {}
        session.execute(update(Job).where(col(Job.id).in_(list(self.held)), *mine).values(lease_until=now + LEASE))
        rows = session.execute(select(Job.id, Job.token, Job.cancel_asked).where(col(Job.id).in_(list(self.held)), *mine)).all()
        return {job_id: (token, cancel) for job_id, token, cancel in rows}

    def renewed(self, still: dict[str, tuple[int, bool]], *, before: float, asked: set[str]) -> None:
        """Take the answer of `renew`, asked at monotonic time `before` for the jobs in `asked`."""
        for job_id in asked:
            claim = self.held.get(job_id)
            if claim is None:
                continue
            token, cancel = still.get(job_id, (0, False))
            if token != claim.token:
                claim.over = True
                continue
            claim.alive_until = before + LEASE.total_seconds() - MARGIN_S
            claim.cancel_asked = claim.cancel_asked or cancel


def _for_us(job: Job, token: int) -> bool:
    """The message is not stale, and of a kind that this release knows."""
    if job.kind not in KINDS:
        log.warning("kind_unknown", job=job.id, kind=job.kind)  # a newer release's: it is sent again until one of its workers has it
        return False
    return job.token == token and job.lease_until is not None


def _free(job: Job) -> bool:
    return job.worker is None and job.state in (State.DISPATCHED, State.UNDOING)


def held(session: Session, claim: Claim, worker: str) -> Job:
    """The job's row, locked, if it is still ours; raises Stale. Every write about a claimed job begins with this."""
    job = locked(session, claim.job.id)
    if job is None or job.token != claim.token or job.worker != worker or job.lease_until is None:
        raise Stale(f"job {claim.job.id} was taken from worker {worker} (token {claim.token})")
    return job
