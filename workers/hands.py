"""What one claimed job may do on the two nodes of a move: two hands (workers/hand.py), one look at both."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

import structlog

from models.errors import JobError, Stale, fault_of
from models.jobs import Begun
from models.lifecycle import State
from workers.claims import Claim
from workers.commands import Command, Finished
from workers.hand import Hand
from workers.journal import Journal
from workers.openvz.ends import End, MoveSight, read_end
from workers.openvz.hearing import Hearing, read_told
from workers.openvz.vzmigrate import HARMLESS, Vzmigrate
from workers.plans.move_check import Preflight
from workers.together import all_of

log = structlog.get_logger(__name__)
MOVE = "move"  # the step that is vzmigrate itself: the only one that is listened to while it runs
LISTEN_S = 1.0  # so soon a cancel is heard; how often vzmigrate is asked about: Hearing.due


class Hands:
    """The Node of workers/steps.py for both ends; a try acts on the node that it was written down for."""

    def __init__(self, claim: Claim, source: Hand, target: Hand, journal: Journal, *, words: Vzmigrate, preflight: Preflight) -> None:
        self._claim = claim
        self._source = source
        self._target = target
        self._words = words
        self._journal = journal
        self._preflight = preflight

    async def greet(self) -> list[Begun]:
        """Bar older workers from both nodes; the runs of this job that still move on either."""
        here, there = await all_of(self._greet(self._source), self._greet(self._target))
        return here + there

    async def _greet(self, hand: Hand) -> list[Begun]:
        with fault_of(hand.node):
            return await hand.greet()

    async def look(self) -> MoveSight:
        """Both nodes at one moment; raises what either look raises: with one node unknown nothing is done on the other."""
        return MoveSight(*await all_of(self._end(self._source), self._end(self._target)))

    async def _end(self, hand: Hand) -> End:
        with fault_of(hand.node):
            return read_end(hand.node, await hand.ask(self._words.look()))

    async def begin(self, begun: Begun, command: Command) -> Finished:
        """As one hand does it; vzmigrate is listened to meanwhile."""
        hand = self._on(begun)
        with fault_of(hand.node):
            async with self._listening(begun):
                return await hand.begin(begun, command)

    async def attach(self, begun: Begun) -> Finished | None:
        """As one hand does it; vzmigrate is listened to meanwhile."""
        hand = self._on(begun)
        with fault_of(hand.node):
            async with self._listening(begun):
                return await hand.attach(begun)

    def judge(self, command: Command, answer: Finished) -> None:
        """Raise what the exit code means."""
        self._source.judge(command, answer)

    def safe_point(self) -> None:
        """Between two steps: raises Stale or Withdrawn."""
        self._source.safe_point()

    async def pause(self, span: timedelta) -> None:
        """Let time pass."""
        await self._source.pause(span)

    def monotonic(self) -> float:
        """Seconds that only go forward."""
        return self._source.monotonic()

    def _on(self, begun: Begun) -> Hand:
        return self._target if begun.node == self._target.node else self._source

    @contextlib.asynccontextmanager
    async def _listening(self, begun: Begun) -> AsyncIterator[None]:
        if begun.step != MOVE:
            yield
            return
        listener = asyncio.create_task(self._listen(begun))
        try:
            yield
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    async def _listen(self, begun: Begun) -> None:
        """Tell how far vzmigrate is, and end it where it was taken back and the container has noticed nothing yet."""
        counted = (self._preflight.used_bytes, self._preflight.container.disk_used_bytes)  # after a take-over only the latter is known
        hearing = Hearing(max((size for size in counted if size), default=None))
        while True:
            await self.pause(timedelta(seconds=LISTEN_S))
            if not (self._taken_back() or hearing.due(self.monotonic())):
                continue
            try:
                heard = read_told(await self._source.ask(self._words.told()))
                if heard.stage in HARMLESS and self._taken_back():
                    log.info("move_ended_early", job=begun.job_id, stage=heard.stage)
                    await self._source.end(begun)
                    return
                news = hearing.news(heard)
                if news is not None:
                    await self._journal.reach(MOVE, progress=news[0], why=news[1])
            except Stale:
                return
            except JobError as error:  # a link that is down is noticed by who waits for the end
                log.debug("move_not_heard", job=begun.job_id, why=error.why)

    def _taken_back(self) -> bool:
        undoing = self._claim.job.state == State.UNDOING
        return undoing or (self._claim.cancel_asked and not self._claim.job.past_pivot)
