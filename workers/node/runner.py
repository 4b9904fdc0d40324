"""Speaks vzq-run's protocol (ops/docs/node-side.md): starts a step once on a node and comes back to it later."""
# ruff: noqa: ASYNC109 -- these timeouts end the waiting, and what they end it with is Unsure

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from models.clock import Clock
from models.errors import Retryable, Unsure
from workers.commands import Command, Finished
from workers.node.answers import Answer, Direction, Ledger, Outcome, Run, read_answer, read_ledger
from workers.transport.ssh import Link

__all__ = ["Direction", "Killed", "Ledger", "Outcome", "Run", "Runner", "Sealed", "StepKey", "TimedOut", "Vanished"]

SLICE_S = 20  # a wait is cut into slices of this length, so that a dead link is noticed and the channel changes hands
MARGIN = timedelta(seconds=25)  # over the slice: the ledger's lock may take 10 s, the node may be slow
GRACE = timedelta(seconds=10)  # between TERM and KILL
KILL_S = 5  # vzq-run watches as long after KILL
SWEEP_S = 120


@dataclass(frozen=True)
class StepKey:
    """Names one try of one step of one job; the node starts it once at most."""

    ledger: str  # the container's id, or "node"
    token: int
    job: str
    step: str
    direction: Direction
    attempt: int


class Vanished(Unsure):
    """The command is gone without an exit code: look at the container, then take a new try."""

    def __init__(self, why: str, *, boot: str) -> None:
        super().__init__(why)
        self.boot = boot  # "same", "other" (the node rebooted) or "swept" (the run is older than the sweep)


class Killed(Unsure):
    """The command was ended by `cancel`: look at what it left, then take a new try or undo."""


class TimedOut(Unsure):
    """The command took longer than it may and was ended on the node: look at what it left."""


class Sealed(Retryable):
    """This try never began and cannot any more: take a new one."""


class Runner:
    """Starts, finds again and ends commands on one node. All of it is safe to repeat."""

    def __init__(self, link: Link, *, clock: Clock) -> None:
        self._link = link
        self._clock = clock

    async def begin(self, key: StepKey, command: Command) -> Finished:
        """Start the command unless this key was started before, and wait for its end.

        Raises Stale (a newer token was there), Retryable (nothing began), Sealed, Vanished, Killed, TimedOut after
        `command.timeout`, Unsure when the link died: then `attach`.
        """
        if b"\0" in command.stdin:
            raise ValueError("input of a node command is text: a shell cannot hold NUL")
        until = self._clock.monotonic() + command.timeout.total_seconds()
        wait_s = self._slice(until)
        words = ["begin", *_words(key), str(wait_s), str(len(command.stdin)), "--", *command.argv]
        answer = await self._ask(words, wait_s, stdin=command.stdin)
        try:
            finished = await self._to_the_end(key, answer, until)
        except Retryable as fault:  # of a later call: no longer "nothing was changed"
            raise Unsure(f"{_name(key)} was begun on {self._link.node} and runs on, but we lost sight of it: {fault.why}") from fault
        if finished is None:
            raise Sealed(f"{_name(key)} on {self._link.node} was given up before it began; take a new try", after=timedelta(0))
        return finished

    async def attach(self, key: StepKey, *, timeout: timedelta) -> Finished | None:
        """Wait for the end of what `begin` started; None: it never began and now cannot.

        Raises TimedOut when it still runs after `timeout` and was therefore ended; Vanished, Killed, Stale as `begin`;
        Retryable and NodeFault when the node could not be asked (the run goes on): attach again later.
        """
        until = self._clock.monotonic() + timeout.total_seconds()
        return await self._to_the_end(key, await self._attach(key, self._slice(until)), until)

    async def peek(self, key: StepKey) -> Outcome:
        """How the run is right now; seals the key if it never began."""
        return Outcome((await self._attach(key, 0)).word)

    async def fence(self, ledger: str, token: int, job: str) -> Ledger:
        """Bar all lower tokens from this ledger and list what `job` began: a new owner's first call."""
        return read_ledger(await self._ask(["fence", ledger, str(token), job], 0), self._link.node)

    async def ledger(self, ledger: str) -> Ledger:
        """All that the node remembers of a container; changes nothing."""
        return read_ledger(await self._ask(["ledger", ledger], 0), self._link.node)

    async def cancel(self, key: StepKey, *, grace: timedelta = GRACE) -> Finished | None:
        """End the run with all its processes. The exit code if it ended by itself, None if it never began.

        Raises Killed when it was ended (the usual case), Retryable when something of it withstands even KILL.
        """
        grace_s = max(0, round(grace.total_seconds()))
        answer = await self._ask(["cancel", *_words(key), str(grace_s)], grace_s + KILL_S)
        if answer.word == Outcome.RUNNING:
            raise Retryable(f"{_name(key)} on {self._link.node} does not end, not even by KILL; look for processes in state D there")
        return self._read(key, answer)

    async def highest(self) -> int:
        """The highest token in any ledger of the node: after a restore, new tokens must be above it."""
        return (await self._ask(["highest"], 0)).number()

    async def sweep(self, *, days: int) -> int:
        """Remove runs that ended so long ago; how many they were. Longer than any job may live."""
        return (await self._ask(["sweep", str(days)], SWEEP_S)).number()

    async def version(self) -> int:
        """The runner's version on the node."""
        return (await self._ask(["version"], 0)).number()

    def _slice(self, until: float) -> int:
        return max(1, min(SLICE_S, round(until - self._clock.monotonic())))

    async def _attach(self, key: StepKey, wait_s: int) -> Answer:
        return await self._ask(["attach", *_words(key), str(wait_s)], wait_s)

    async def _to_the_end(self, key: StepKey, answer: Answer, until: float) -> Finished | None:
        while answer.word == Outcome.RUNNING:
            if self._clock.monotonic() >= until:
                return await self._give_up(key)
            answer = await self._attach(key, self._slice(until))
        return self._read(key, answer)

    async def _give_up(self, key: StepKey) -> Finished | None:
        try:
            return await self.cancel(key)  # it may end by itself just now
        except Killed as killed:
            raise TimedOut(f"{_name(key)} on {self._link.node} took too long and was ended there; look at what it left") from killed
        except Retryable as alive:
            raise TimedOut(f"{_name(key)} on {self._link.node} took too long; {alive.why}") from alive

    def _read(self, key: StepKey, answer: Answer) -> Finished | None:
        where = f"{_name(key)} on {self._link.node}"
        if answer.word == Outcome.DONE:
            return answer.finished()
        if answer.word == Outcome.VOID:
            return None
        if answer.word == Outcome.KILLED:
            raise Killed(f"{where} was ended by a cancel; look at what it left")
        boot = answer.fields["boot"]
        how = {"same": "its process is gone", "other": "the node rebooted", "swept": "it was swept long ago"}[boot]
        raise Vanished(f"{where} left no exit code: {how}; look at the container before the next try", boot=boot)

    async def _ask(self, words: Sequence[str], wait_s: int, *, stdin: bytes = b"") -> Answer:
        argv = ["vzq-run", *words]
        raw = await self._link.exchange(argv, stdin=stdin, timeout=timedelta(seconds=wait_s) + MARGIN)
        return read_answer(raw, words[0], self._link.node)


def _words(key: StepKey) -> list[str]:
    return [key.ledger, str(key.token), key.job, key.step, key.direction, str(key.attempt)]


def _name(key: StepKey) -> str:
    return f"{key.step} ({key.direction}, try {key.attempt}) of job {key.job}"
