"""What one claimed job may do on a node: look, and act through the node's runner, while its lease lives."""

import asyncio
import contextlib
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from models.clock import Clock
from models.errors import Retryable, Unsure
from models.jobs import Begun
from workers import history
from workers.claims import Claim
from workers.commands import Command, Finished
from workers.metrics import WorkerMeters
from workers.node.runner import Direction, Killed, Outcome, Runner, StepKey
from workers.openvz.driver import Driver, Sight
from workers.probe.watch import Watch, watched
from workers.transport.ssh import Link

T = TypeVar("T")
LOOK_TIMEOUT = timedelta(seconds=60)
LISTEN_S = 0.25  # how often it is seen whether cancel was asked for
ATTACH_TIMEOUT = timedelta(minutes=30)  # longer than any step's own time-out; the lease ends the waiting sooner


class Hand:
    """The Node of workers/steps.py for one container on one node."""

    def __init__(
        self,
        claim: Claim,
        link: Link,
        driver: Driver,
        *,
        clock: Clock,
        meters: WorkerMeters,
        watch: Watch | None = None,
        patience: timedelta = ATTACH_TIMEOUT,
    ) -> None:
        if claim.job.ctid is None:
            raise ValueError(f"job {claim.job.id} has no container")
        self._claim = claim
        self._ctid = claim.job.ctid
        self._link = link
        self._runner = Runner(link, clock=clock)
        self._driver = driver
        self._clock = clock
        self._meters = meters
        self._watch = watch
        self._patience = patience
        self._steps_begun: set[str] = set()
        self.stoppable: frozenset[str] = frozenset()  # steps that a cancel may end (Plan.stoppable_steps)
        self._answers: dict[str, Finished] = {}

    @property
    def node(self) -> str:
        """The node's name."""
        return self._link.node

    def began(self, step: str) -> bool:
        """The node's ledger says that this job began the step here; known after `greet`."""
        return step in self._steps_begun

    async def greet(self) -> list[Begun]:
        """Raise the node's highest token for this container to ours; the runs of this job that still move there."""
        self._claim.check(self._clock)
        if self._claim.job.lost_above is not None:
            history.refuse_lost(await self._runner.ledger(str(self._ctid)), self._claim.job, self._link.node)
        ledger = await self._runner.fence(str(self._ctid), self._claim.token, self._claim.job.id)
        self._steps_begun |= {run.step for run in ledger.runs if run.direction is Direction.DO and run.outcome is not Outcome.VOID}
        return [
            Begun(
                job_id=run.job,
                step=run.step,
                direction=run.direction,
                attempt=run.attempt,
                node=self._link.node,
                token=run.token,
                at=self._clock.now(),
            )
            for run in ledger.runs
            if run.outcome is Outcome.RUNNING
        ]

    async def look(self) -> Sight:
        """The container as the node shows it now."""
        return self._driver.sight(await self.ask(self._driver.look(self._ctid)))

    async def ask(self, command: Command) -> Finished:
        """The answer to a command that changes nothing."""
        self._claim.check(self._clock)
        answer = await self._link.run(command.argv, timeout=LOOK_TIMEOUT)
        self._driver.judge(command, answer)
        return answer

    async def begin(self, begun: Begun, command: Command) -> Finished:
        """Start the command detached and wait for its end; raises Unsure when the link died meanwhile."""
        async with watched(self._watch, begun.step):
            self._claim.check(self._clock)
            started = self._clock.monotonic()
            finished = await self._unless_cancelled(begun, self._runner.begin(self._key(begun), command))
        self._meters.stepped(self._claim.job.kind, begun.step, begun.direction, self._clock.monotonic() - started)
        if begun.direction == "do":
            self._steps_begun.add(begun.step)
            self._answers[begun.step] = finished
        return finished

    async def recall(self, step: str) -> Finished | None:
        """What this step said when it was done: remembered, or asked of the node again after another worker began it."""
        if step not in self._answers:
            tries = [begun for begun in self._claim.journal if (begun.step, begun.direction, begun.outcome) == (step, "do", "ok")]
            if tries:
                await self.attach(tries[-1])
        return self._answers.get(step)

    async def attach(self, begun: Begun) -> Finished | None:
        """The result of a try that was begun; None: it never ran and now cannot; raises Vanished."""
        async with watched(self._watch, begun.step):
            self._claim.check(self._clock)
            finished = await self._unless_cancelled(begun, self._runner.attach(self._key(begun), timeout=self._patience))
        if finished is not None and begun.direction == "do":
            self._steps_begun.add(begun.step)
            self._answers[begun.step] = finished
        return finished

    async def end(self, begun: Begun) -> None:
        """End the try with all its processes, if it still runs; whoever waits for it hears that it was killed."""
        self._claim.check(self._clock)
        await self._runner.cancel(self._key(begun))

    async def _unless_cancelled(self, begun: Begun, waiting: Coroutine[Any, Any, T]) -> T:
        """What the command's end gives; a step that may be stopped is ended on the node once cancel is asked for. Raises Killed then."""
        if begun.direction != "do" or begun.step not in self.stoppable:
            return await waiting
        end = asyncio.ensure_future(waiting)
        try:
            while not (await asyncio.wait({end}, timeout=LISTEN_S))[0]:
                if self._claim.withdrawn:
                    with contextlib.suppress(Killed, Retryable, Unsure):  # how it ended is told to the one who waits for it
                        await self.end(begun)
                    break
            return await end
        finally:
            end.cancel()

    def judge(self, command: Command, answer: Finished) -> None:
        """Raise what the exit code means."""
        self._driver.judge(command, answer)

    def safe_point(self) -> None:
        """Between two steps: raises Stale or Withdrawn."""
        self._claim.safe_point(self._clock)

    async def pause(self, span: timedelta) -> None:
        """Let time pass."""
        await asyncio.sleep(span.total_seconds())

    def monotonic(self) -> float:
        """Seconds that only go forward."""
        return self._clock.monotonic()

    def _key(self, begun: Begun) -> StepKey:
        return StepKey(str(self._ctid), self._claim.token, begun.job_id, begun.step, Direction(begun.direction), begun.attempt)
