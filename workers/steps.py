"""How a plan is carried out: attach, look, write down, do, look again. The same walk serves both directions.

A plan says what shall hold, step by step; whether it holds is read from the node and never concluded from what a
command returned. So the walk can begin anew at any time, after any crash, and comes to the same end.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, Literal, Protocol

from typing_extensions import TypeVar

from models.errors import AlreadyDone, Irrevocable, JobError, Locked, Permanent, Retryable, Unexpected, Unsure
from models.jobs import Begun
from workers.commands import Command, Finished
from workers.journal import Journal, Outcome
from workers.node.runner import Killed, Sealed, TimedOut, Vanished
from workers.openvz.driver import Sight

Direction = Literal["do", "undo"]
TRIES = 3  # of one step within one run, when the node proves that a try never ran
AFTER_VANISHED = timedelta(seconds=1)


class Seen(Protocol):
    """What the walk itself reads of a look; all else of it is the plan's business."""

    @property
    def ctid(self) -> int: ...
    @property
    def locked_by(self) -> str | None: ...


Shown_co = TypeVar("Shown_co", bound=Seen, default=Sight, covariant=True)
S = TypeVar("S", bound=Seen, default=Sight)  # what a look shows: one node, or both ends of a move (openvz/ends.py)


@dataclass(frozen=True)
class Step(Generic[S]):
    """Something that shall hold on the node, and the one command that brings it about."""

    name: str
    command: Callable[[S], Command]
    holds: Callable[[S], bool] | None = None  # None: the node cannot show it; a journaled success is the proof
    locks: bool = True  # the command takes the container's lock
    unseen: bool = False  # what it does no look shows, so none is taken behind it; goes with `holds=None`
    once: bool = False  # a try that was ended half-way is not followed by another
    stoppable: bool = False  # a cancel may end the command with all its processes: what it leaves half done is what undo expects
    critical: bool = False  # the command may take a running container from its visitors: it is probed closely meanwhile
    unless: Callable[[], bool] | None = None  # not taken where this holds: what it depends on is known only once earlier steps have ended
    node: str = ""  # on which node the command runs; empty: the job's own


@dataclass(frozen=True)
class Wait:
    """Something that comes by itself after what was done, e.g. that the address answers."""

    name: str
    until: Callable[[], Awaitable[bool]]
    timeout: timedelta
    every: timedelta = timedelta(milliseconds=250)
    otherwise: str = ""  # what follows when it does not come in time: no retry, the plan is undone; empty: it is tried again
    late: Callable[[], JobError] | None = None  # what it means when it does not come; None: it may come in a later run


@dataclass(frozen=True)
class Plan(Generic[S]):
    """What fulfils an order, and what takes it back. At its end all that its steps were to bring about holds at once."""

    do: Sequence[Step[S] | Wait]
    undo: Sequence[Step[S]] = ()
    check: Callable[[S], None] = field(default=lambda _sight: None)  # before anything is begun: raises for a container that may not be touched
    pivot: str = ""  # from the beginning of this step on the job only goes forward
    result: Callable[[S], dict[str, Any]] = field(default=lambda _sight: {})
    beyond: Callable[[S], bool] = field(default=lambda _sight: False)  # the pivot lies within a step: the look tells whether it is passed

    @property
    def stoppable_steps(self) -> frozenset[str]:
        """Names of the steps whose command a cancel ends on the node."""
        return frozenset(step.name for step in self.do if isinstance(step, Step) and step.stoppable)

    @property
    def critical_steps(self) -> frozenset[str]:
        """Names of the steps, in either direction, that may interrupt the container."""
        return frozenset(step.name for step in (*self.do, *self.undo) if isinstance(step, Step) and step.critical)


class Node(Protocol[Shown_co]):
    """What the walk needs of a node (workers/hand.py), or of two (workers/hands.py); every call raises Stale once the lease is over."""

    async def greet(self) -> list[Begun]: ...
    async def look(self) -> Shown_co: ...
    async def begin(self, begun: Begun, command: Command) -> Finished: ...
    async def attach(self, begun: Begun) -> Finished | None: ...
    def judge(self, command: Command, answer: Finished) -> None: ...
    def safe_point(self) -> None: ...
    async def pause(self, span: timedelta) -> None: ...
    def monotonic(self) -> float: ...


async def settle(journal: Journal, node: Node[S]) -> None:
    """Wait out everything this job has started on the node, whoever started it, so that nothing of it moves any more."""
    strays = await node.greet()  # raises the node's highest token: an older worker starts nothing from here on
    known = journal.open_tries()
    seen = {(begun.step, begun.direction, begun.attempt) for begun in known}
    for begun in [*known, *(stray for stray in strays if (stray.step, stray.direction, stray.attempt) not in seen)]:
        journal.ended(begun, await _outcome(node, begun))


async def carry_out(plan: Plan[S], direction: Direction, journal: Journal, node: Node[S]) -> S:
    """Bring the node to the end of the plan (or back to before it); call it again after any crash or Retryable.

    Raises Irrevocable where it should go back and the node shows that only forward is right.
    """
    await settle(journal, node)
    steps: Sequence[Step[S] | Wait] = plan.do if direction == "do" else plan.undo
    sight = await node.look()
    if direction == "do" and not journal.anything_begun:
        plan.check(sight)
    for place, step in enumerate(steps):
        await _mind_the_pivot(plan, direction, sight, journal)
        node.safe_point()
        if isinstance(step, Wait):
            await _wait(step, journal, node, progress=place / len(steps))
        else:
            sight = await _bring_about(step, direction, sight, journal, node, progress=place / len(steps), pivot=step.name == plan.pivot)
    if direction == "do":
        _all_hold(steps, sight)
    return sight


def _all_hold(steps: Sequence[Step[S] | Wait], sight: S) -> None:
    """What one step brought about may be undone by the time of the last: the node rebooted, somebody stopped the container. Raises Retryable."""
    for step in steps:
        if isinstance(step, Step) and step.holds is not None and not (_passed_over(step) or step.holds(sight)):
            raise Retryable(f"{step.name} does not hold any more: container {sight.ctid} was changed meanwhile, or its node rebooted")


async def _mind_the_pivot(plan: Plan[S], direction: Direction, sight: S, journal: Journal) -> None:
    """Written down before anything else happens, so that no cancel comes between the act and the row."""
    if not journal.past_pivot and plan.beyond(sight):
        if direction == "undo":
            raise Irrevocable("it goes forward: going back would lose what has happened since")
        await journal.pass_pivot()


async def _bring_about(step: Step[S], direction: Direction, sight: S, journal: Journal, node: Node[S], *, progress: float, pivot: bool) -> S:
    if _passed_over(step):
        return sight
    for _ in range(TRIES):
        if _holds(step, direction, sight, journal):
            return sight
        if step.locks and sight.locked_by is not None:
            raise Locked(f"container {sight.ctid} is locked by {sight.locked_by}")
        command = step.command(sight)  # words are checked before anything is written down
        begun = await journal.begin(step.name, direction, progress=progress, pivot=pivot and direction == "do", node=step.node)
        answer = await _begin(node, begun, command, journal, again=not step.once)
        if answer is not None:
            journal.ended(begun, _judged(node, command, answer, begun, journal))
            if step.unseen:
                return sight
        sight = await node.look()
        if answer is not None and not _holds(step, direction, sight, journal):
            raise Unexpected(
                f"{command.name} said it worked, but the node does not show it: {step.name} (exit 0: {_last_line(answer)})",
                signature=f"{direction} {step.name}: not shown",
            )
    if _holds(step, direction, sight, journal):
        return sight
    raise Unexpected(f"step {step.name} could not be started {TRIES} times in a row", signature=f"{direction} {step.name}: never began")


async def _begin(node: Node[S], begun: Begun, command: Command, journal: Journal, *, again: bool) -> Finished | None:
    """The command's end, over a lost link too; None when the node proves that it never ran. `again`: what was ended half-way may be begun anew."""
    try:
        try:
            return await node.begin(begun, command)
        except (Vanished, Killed, TimedOut):
            raise
        except Unsure:
            answer = await node.attach(begun)  # raises Unreachable while the link is down: then the next run attaches
    except Vanished as gone:  # killed anywhere, perhaps with the whole node: what earlier steps saw may hold no more
        journal.ended(begun, Outcome("vanished"))
        raise Retryable(gone.why, after=AFTER_VANISHED) from gone
    except (Killed, TimedOut) as ended:
        journal.ended(begun, Outcome("killed"))
        node.safe_point()  # raises Withdrawn when a cancel ended it
        if not again:
            raise Permanent(f"{ended.why}; it is not begun a second time, for nobody can tell how far it came") from ended
        raise Retryable(ended.why) from ended
    except Sealed:
        answer = None
    if answer is None:
        journal.ended(begun, Outcome("void"))
    return answer


def _judged(node: Node[S], command: Command, answer: Finished, begun: Begun, journal: Journal) -> Outcome:
    """The outcome to write down; an error is noted with it before it is raised."""
    try:
        node.judge(command, answer)
    except AlreadyDone:
        pass
    except JobError as error:
        journal.ended(begun, Outcome(type(error).__name__, answer.code))
        raise
    return Outcome("ok", answer.code)


async def _outcome(node: Node[S], begun: Begun) -> Outcome:
    """How an earlier try ended; a failure is only noted, because the look that follows decides what to do."""
    try:
        answer = await node.attach(begun)
    except Vanished:
        return Outcome("vanished")
    except (Killed, TimedOut):
        return Outcome("killed")
    if answer is None:
        return Outcome("void")
    return Outcome("ok" if answer.code == 0 else "failed", answer.code)


async def _wait(step: Wait, journal: Journal, node: Node[S], *, progress: float) -> None:
    if await step.until():
        return
    limit = f"{int(step.timeout.total_seconds())} s"
    then = f"; then {step.otherwise}" if step.otherwise else ""
    await journal.reach(step.name, progress=progress, why=f"waits: {step.name}, at most {limit}{then}")
    begun = node.monotonic()
    while node.monotonic() - begun < step.timeout.total_seconds():
        node.safe_point()
        await node.pause(step.every)
        if await step.until():
            return
    if step.late is not None:
        raise step.late()
    if step.otherwise:
        raise Permanent(f"{step.name}: not after {limit}; {step.otherwise}")
    raise Retryable(f"{step.name}: not after {limit}", after=timedelta(seconds=10))


def _passed_over(step: Step[S]) -> bool:
    return step.unless is not None and step.unless()


def _holds(step: Step[S], direction: Direction, sight: S, journal: Journal) -> bool:
    return journal.done(step.name, direction) if step.holds is None else step.holds(sight)


def _last_line(answer: Finished) -> str:
    lines = (answer.err or answer.out).strip().splitlines()
    return lines[-1] if lines else "no output"
