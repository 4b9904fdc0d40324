"""A worker's side of a probe: start it, tell it what comes, collect what it saw, write that down with the job's end.

A job never fails because of its probe and waits for it only a moment; what goes wrong becomes the reason in `not_measured`.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from sqlmodel import Session

from models.clock import Clock
from models.fleet import NOT_ASKED, Container, ContainerState
from models.jobs import Begun, Job
from models.lifecycle import State
from models.outages import Outage
from models.standing import Standing
from workers.claims import Claim
from workers.metrics import WorkerMeters
from workers.probe.intervals import measure
from workers.probe.nursery import Nursery
from workers.probe.outages import Finding, rows
from workers.probe.places import Places
from workers.probe.record import Told, read

log = structlog.get_logger(__name__)
START_S = 3.0  # how long a job waits for its probe to begin …
READY_S = 2.0  # … and then to hear the container, before it is touched
READY_ANSWERS = 3
SETTLE_S = 2.0  # … and, when all is done, for the answer that ends the gap
TELL_S = 0.5
LOOK_S = 0.01
KEEP_S = 60.0  # a word now and then; without one a probe ends (workers/probe/__main__.py)


class Watches:
    """The probes of one management host: those of all its workers are in one folder, so any of them can go on with any."""

    def __init__(self, folder: Path, *, clock: Clock, meters: WorkerMeters) -> None:
        self.folder = folder
        self.nursery = Nursery()
        self._clock = clock
        self._meters = meters

    def over(self, claim: Claim) -> "Watch | None":
        """The watch for this job's run; None where nothing is to be watched: the job interrupts nothing, or nothing is meant to run."""
        container = claim.container
        if container is None or not claim.job.rules.interrupts:
            return None
        if container.state != ContainerState.PRESENT or container.standing is not Standing.RUNNING:
            return None
        return Watch(self.folder, claim, container, clock=self._clock, meters=self._meters, nursery=self.nursery)


class Watch:
    """One job's probe during one run of the job."""

    def __init__(self, folder: Path, claim: Claim, container: Container, *, clock: Clock, meters: WorkerMeters, nursery: Nursery) -> None:
        self.critical_steps: Collection[str] = ()
        self._places = Places(folder, claim.job.id)
        self._claim = claim
        self._container = container
        self._clock = clock
        self._meters = meters
        self._nursery = nursery
        self._address, self._how = _asked(claim, container)
        self._why_not = "" if self._address else "it has no address that can be asked from this management host; give its address pool a probe"
        self._began: asyncio.Task[None] | None = None
        self._settled = False
        self._let_go_at: float | None = None  # monotonic; when this run last ended a step that can interrupt
        self._earlier = False  # an earlier run has touched the container
        self._finding = Finding(why_not=self._why_not)
        self._written: list[Outage] = []

    def begin(self, critical_steps: Collection[str]) -> None:
        """Start the probe, or go on with the one an earlier run has started; returns at once."""
        self.critical_steps = critical_steps
        self._earlier = self._was_touched()
        if not self._why_not and self._began is None:
            self._began = asyncio.create_task(self._live())

    async def touching(self, step: str) -> None:
        """This step is about to run, or runs still: if it can interrupt the container, ask closely from now on."""
        if step in self.critical_steps and self._began is not None:
            await self._bounded(self._closely(), START_S + READY_S)

    async def touched(self, step: str) -> None:
        """It has ended; while the container is silent the probe asks closely of its own accord."""
        if step in self.critical_steps:
            self._let_go_at = self._clock.monotonic()
        if step in self.critical_steps and self._began is not None:
            await self._bounded(asyncio.to_thread(self._places.say, "calm"), TELL_S)

    async def settle(self) -> None:
        """All is done: wait a moment for the answer that ends the gap. What is known then is what is written."""
        if self._began is not None and self._was_touched():
            await self._bounded(self._answer_after(), SETTLE_S)
            self._settled = True

    async def collect(self) -> None:
        """What is known by now, for `write`."""
        if self._began is None or self._why_not or self._settled:
            return
        await self._bounded(self._answer_after(), TELL_S)

    def write(self, session: Session, job: Job, now: datetime) -> bool:
        """Rows for a job that has come to its end or stands still for a person, True then; nothing while it goes on. Part of that transaction."""
        if not job.ended and job.state is not State.STUCK:
            return False
        touched_at = min((begun.at for begun in self._critical()), default=None)
        self._written = rows(job, self._container, self._finding, touched_at, now=now)
        session.add_all(self._written)
        return True

    def leave(self) -> None:
        """This run is over; the probe goes on unless the job has ended."""
        if self._began is not None:
            self._began.cancel()

    def ended(self) -> None:
        """The rows are in the database: count them, and let the probe go."""
        for row in self._written:
            self._meters.outage(row.cause, gap_s=row.gap_s, suspended_s=row.suspended_s)
        with suppress(OSError):
            self._places.say("end")
            self._places.remove()

    # -- the probe's process ------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        """Have a probe, and keep it for as long as this run lasts."""
        try:
            while True:
                if not self._places.say("keep") and not read(self._places.record).trouble:
                    await self._start()
                await asyncio.sleep(KEEP_S)
        except OSError as error:
            self._why_not = f"the probe could not be started: {error}"
            self._finding = Finding(why_not=self._why_not)
            log.warning("probe_failed", job=self._claim.job.id, error=str(error))

    async def _start(self) -> None:
        folder = self._places.folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        words = ["--folder", str(folder.absolute()), "--name", self._places.name]
        words += ["--address", self._address, "--how", self._how]
        if self._earlier and not self._places.record.exists():
            words.append("--late")
        await asyncio.to_thread(self._nursery.start, words)

    async def _word(self, word: str) -> None:
        """Say it, once the probe listens."""
        while not self._why_not and not self._places.say(word):  # noqa: ASYNC110 - another process's life
            await asyncio.sleep(LOOK_S)

    async def _closely(self) -> None:
        """Only once the container was heard: a gap needs a last answer before it."""
        while not self._earlier:
            told = await asyncio.to_thread(read, self._places.record)
            if told.trouble or self._why_not:
                return
            if sum(one.after is not None for one in told.answers) >= READY_ANSWERS:
                break
            if told.begun_at is not None and self._clock.monotonic() - told.begun > READY_S:
                break  # it does not answer: what is there to be lost
            await asyncio.sleep(LOOK_S)
        await self._word("critical")

    async def _answer_after(self) -> None:
        """To a question that was sent when nothing touched it any more: an older answer proves nothing."""
        while not self._why_not:
            await self._told()
            found = await asyncio.to_thread(self._read)
            if (found.measured.answers_now and found.answered_after) or found.told.trouble:
                return
            await asyncio.sleep(LOOK_S)

    async def _told(self) -> None:
        """Wait until the probe has written down what is still on its way too."""
        number = int(self._clock.monotonic() * 1e6)
        if not self._places.say(f"tell {number}"):
            return
        while (await asyncio.to_thread(read, self._places.record)).told != number:  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(LOOK_S)

    def _read(self) -> Finding:
        told = read(self._places.record)
        self._finding = found(told, self._clock.monotonic(), let_go_at=self._let_go_at)
        return self._finding

    # -- what the journal says ------------------------------------------------------------------------------------------

    def _critical(self) -> list[Begun]:
        return [begun for begun in self._claim.journal if begun.step in self.critical_steps and begun.outcome != "void"]

    def _was_touched(self) -> bool:
        return bool(self._critical())

    async def _bounded(self, work: Coroutine[Any, Any, Any], seconds: float) -> None:
        """Do it, but neither for longer nor at the job's expense."""
        try:
            async with asyncio.timeout(seconds):
                await work
        except TimeoutError:
            log.info("probe_waited", job=self._claim.job.id, seconds=seconds)
        except Exception as error:  # noqa: BLE001 - whatever it is, the job goes on
            log.warning("probe_failed", job=self._claim.job.id, error=repr(error))


@asynccontextmanager
async def watched(watch: Watch | None, step: str) -> AsyncIterator[None]:
    """Around a step's command: asked closely while it runs, if it can interrupt the container."""
    if watch is None:
        yield
        return
    await watch.touching(step)
    try:
        yield
    finally:
        await watch.touched(step)


def found(told: Told, now: float, *, let_go_at: float | None = None) -> Finding:
    """What a record says; `let_go_at`: when the container was last let go, where that is known here."""
    measured = measure(told.answers, now=now, before=min(told.critical, default=None))
    after = let_go_at is None or any(one.sent >= let_go_at and one.after is not None for one in told.answers)
    return Finding(told=told, measured=measured, why_not=told.trouble, answered_after=after)


def _asked(claim: Claim, container: Container) -> tuple[str, str]:
    """The first address that can be asked, and how."""
    each = ((address, claim.probes.get(address, container.probe)) for address in claim.addresses)
    return next(((address, how) for address, how in each if how not in ("", NOT_ASKED)), ("", ""))
