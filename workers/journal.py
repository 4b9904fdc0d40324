"""What a job began on its node, written before the node is touched, so that no crash can hide it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlmodel import Session, col, select

from models.database import Database
from models.errors import Withdrawn
from models.jobs import Begun, Job
from models.lifecycle import Cause
from workers.claims import Claim, held
from workers.probe.watch import Watch
from workers.store import Store

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Outcome:
    """How a try ended."""

    word: str  # "ok", "void" (never began), "vanished", "killed", or the class of the error
    code: int | None = None


class Journal:
    """The tries of one claimed job. An outcome is written with the next beginning or with the job's end, in the
    same transaction; if the worker dies before that, the node still knows it."""

    def __init__(self, claim: Claim, store: Store, database: Database, *, worker: str, watch: Watch | None = None) -> None:
        self._claim = claim
        self._store = store
        self._database = database
        self._worker = worker
        self.watch = watch  # None: nothing is measured
        self._unwritten: dict[int, Outcome] = {}

    def open_tries(self) -> list[Begun]:
        """Tries of which nobody knows the outcome, oldest first, whatever their direction."""
        return [begun for begun in self._claim.journal if begun.outcome is None]

    def done(self, step: str, direction: str) -> bool:
        """A try of this step ended well."""
        return any(begun.outcome == "ok" for begun in self._claim.journal if (begun.step, begun.direction) == (step, direction))

    def made_only(self, step: str) -> bool:
        """Nothing but this step was ever begun."""
        return all(begun.step == step for begun in self._claim.journal)

    @property
    def past_pivot(self) -> bool:
        """The row says that the job only goes forward."""
        return self._claim.job.past_pivot

    async def pass_pivot(self) -> None:
        """The node shows that from here on the job only goes forward; a cancel that was asked for comes too late."""

        def write(session: Session) -> None:
            job = held(session, self._claim, self._worker)
            now = self._database.now(session)
            self.flush(session, now)
            job.past_pivot, job.cancel_asked = True, False
            session.add(job)
            session.add(job.move(Cause.STEPPED, now=now, why="the point of no return is passed", step=job.step))

        await self._store.write(write, job=self._claim.job.id)
        self._written()
        self._claim.job.past_pivot, self._claim.cancel_asked = True, False

    @property
    def anything_begun(self) -> bool:
        """Something was begun on the node, so there is something to put back."""
        return self._claim.job.begun

    async def begin(self, step: str, direction: str, *, progress: float, pivot: bool, node: str = "") -> Begun:
        """Write down a new try and its number, on `node` or the job's own; raises Stale, or Withdrawn when cancel was asked for."""
        begun = await self._store.write(
            lambda session: self._begin(session, step, direction, progress, pivot=pivot, node=node), job=self._claim.job.id
        )
        log.debug("step_begun", step=step, way=direction, attempt=begun.attempt, node=begun.node)
        self._written()
        self._claim.journal.append(begun)
        self._claim.job.begun = True
        self._claim.job.past_pivot = self._claim.job.past_pivot or pivot
        return begun

    def ended(self, begun: Begun, outcome: Outcome) -> None:
        """A try has ended; written down with the next beginning or with the job's end."""
        begun.outcome, begun.code = outcome.word, outcome.code
        if begun.id is not None:
            self._unwritten[begun.id] = outcome

    async def reach(self, step: str, *, progress: float, why: str) -> None:
        """The job is at a step that waits; tells so where people look."""

        def write(session: Session) -> None:
            job = held(session, self._claim, self._worker)
            now = self._database.now(session)
            self.flush(session, now)
            job.step, job.progress = step, progress
            session.add(job)
            session.add(job.move(Cause.STEPPED, now=now, why=why, step=step))

        await self._store.write(write, job=self._claim.job.id)
        self._written()

    async def end(self, change: Callable[[Session, Job, datetime], None]) -> None:
        """The last write of a run: outcomes, the job's next state and its outages in one transaction; raises Stale."""
        watch = self.watch
        if watch is not None:
            await watch.collect()

        def write(session: Session) -> tuple[Job, bool]:
            job = held(session, self._claim, self._worker)
            now = self._database.now(session)
            self.flush(session, now)
            change(session, job, now)
            session.add(job)
            return job, watch is not None and watch.write(session, job, now)

        job, over = await self._store.write(write, job=self._claim.job.id)
        log.info("run_ended", kind=job.kind, node=job.node, state=job.state, error_class=job.error_class)
        self._written()
        if watch is not None and over:
            watch.ended()

    def flush(self, session: Session, now: datetime) -> None:
        """Write the outcomes that are known; safe to run again when its transaction is."""
        for begun_id, outcome in self._unwritten.items():
            row = session.get(Begun, begun_id)
            if row is not None:
                row.outcome, row.code, row.ended_at = outcome.word, outcome.code, now
                session.add(row)

    def _begin(self, session: Session, step: str, direction: str, progress: float, *, pivot: bool, node: str) -> Begun:
        job = held(session, self._claim, self._worker)
        now = self._database.now(session)
        self.flush(session, now)
        same = select(Begun).where(Begun.job_id == job.id, Begun.step == step, Begun.direction == direction).order_by(col(Begun.attempt).desc())
        last = session.exec(same).first()  # of another place too: a job that was displaced began there
        known = {begun.id for begun in self._claim.journal}
        if last is not None and last.token == self._claim.token and last.id not in known:
            return last  # this very write got through and only its answer was lost
        if job.cancel_asked and direction == "do" and not job.past_pivot:
            raise Withdrawn("cancelled on request")  # the last safe point: a cancel that was answered is never overtaken by a step
        attempt = last.attempt + 1 if last is not None else 1
        begun = Begun(job_id=job.id, step=step, direction=direction, attempt=attempt, node=node or job.node or "", token=self._claim.token, at=now)
        job.step, job.progress, job.begun, job.past_pivot = step, progress, True, job.past_pivot or pivot
        session.add(begun)
        session.add(job)
        again = f", try {attempt}" if attempt > 1 else ""
        session.add(
            job.move(
                Cause.STEPPED, now=now, why=f"{'undo ' if direction == 'undo' else ''}{step}{again}", step=step, attempt=attempt, direction=direction
            )
        )
        session.flush()  # the try's own id
        return begun

    def _written(self) -> None:
        self._unwritten.clear()
