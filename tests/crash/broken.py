"""Builds that lack one of the things that together give exactly one effect. Each must be caught, or the tests prove nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from models.jobs import Begun, Job
from models.lifecycle import Cause, State
from tests.crash.faults import Case, Fault
from tests.crash.house import Build
from tests.crash.node import Ledger, Run, StandInNode
from workers.claims import Claim, Claims
from workers.journal import Journal
from workers.openvz.driver import Sight
from workers.runs import Runs
from workers.steps import Plan, Step


class NodeWithoutFence(StandInNode):
    """vzq-run takes any token."""

    def refuses(self, ledger: Ledger, token: int) -> bool:
        return False


class NodeWithoutSeal(StandInNode):
    """`attach` says void, but what is still on the wire may start later."""

    def seal(self, run: Run) -> None:
        run.end = "void"


class NodeWithoutMemory(StandInNode):
    """vzq-run forgets what it started for the new owner of a job."""

    def _ledger(self, key: str, job: str) -> bytes:
        return f"vzq1 ledger highest={self.ledgers[key].highest} runs=0\n".encode()


class JournalInMemory(Journal):
    """The beginning of a step is not written down before the node is touched."""

    async def begin(self, step: str, direction: str, *, progress: float, pivot: bool) -> Begun:
        tries = [begun.attempt for begun in self._claim.journal if (begun.step, begun.direction) == (step, direction)]
        begun = Begun(
            job_id=self._claim.job.id,
            step=step,
            direction=direction,
            attempt=max(tries, default=0) + 1,
            node="",
            token=self._claim.token,
            at=self._claim.job.due_at,
        )
        self._claim.journal.append(begun)
        self._claim.job.begun = True
        return begun


class RunsWithoutJournal(Runs):
    def _journal(self, claim: Claim) -> Journal:
        return JournalInMemory(claim, self._world.store, self._world.database, worker=self._world.claims.worker)


class _Around:
    """A hand with some of its doings replaced."""

    def __init__(self, hand: Any) -> None:
        self._hand = hand

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hand, name)


class _Blind(_Around):
    seen: Sight | None = None

    async def look(self) -> Sight:
        if self.seen is None:
            self.seen = await self._hand.look()
        return self.seen


class RunsWithoutLooks(Runs):
    """It looks once, and from then on believes what it saw."""

    def _plan(self, claim: Claim) -> Any:
        plan, hand = super()._plan(claim)
        return plan, _Blind(hand)


class _Hasty(_Around):
    async def greet(self) -> list[Begun]:
        await self._hand.greet()
        return []

    async def attach(self, begun: Begun) -> None:
        return None


class RunsWithoutAttach(Runs):
    """What an earlier run started is neither waited for nor looked at."""

    def _plan(self, claim: Claim) -> Any:
        plan, hand = super()._plan(claim)
        return plan, _Hasty(hand)


class RunsWithoutProof(Runs):
    """Undo takes away whatever is under the id."""

    def _plan(self, claim: Claim) -> Any:
        plan, hand = super()._plan(claim)
        gone = {"stop": lambda s: not s.running, "umount": lambda s: not s.mounted, "destroy": lambda s: not s.whole}
        undo: Sequence[Step] = [replace(step, holds=gone.get(step.name, step.holds)) for step in plan.undo]
        return replace(plan, undo=undo), hand


class RunsWithoutUndo(Runs):
    """A job that failed for good is ended where it is."""

    def _plan(self, claim: Claim) -> Any:
        plan, hand = super()._plan(claim)
        return Plan(do=plan.do, undo=(), pivot=plan.pivot, result=plan.result), hand


class RunsWithoutClean(Runs):
    """What a killed create left is taken for a container."""

    def _plan(self, claim: Claim) -> Any:
        plan, hand = super()._plan(claim)
        exists = {"make": lambda s: s.exists, "discard": lambda _: True, "clean": lambda _: True}
        return replace(plan, do=[replace(step, holds=exists[step.name]) if step.name in exists else step for step in plan.do]), hand  # type: ignore[type-var]


class ClaimsForAnybody(Claims):
    """A message is enough; who has the job does not matter."""

    def take(self, session: Any, job_id: str, token: int) -> Claim | None:
        job = session.get(Job, job_id)
        if job is not None and job.state == State.RUNNING:
            session.add(job.move(Cause.RELEASED, now=self._clock.now()))
            session.add(job.move(Cause.DISPATCHED, now=self._clock.now(), token=job.token))
            job.lease_until, job.worker = self._clock.now(), None
        return super().take(session, job_id, job.token if job is not None else token)


@dataclass(frozen=True)
class Mutant:
    """A broken build, and how a few cases bring it out."""

    name: str
    build: Build
    hows: Sequence[str]
    at: range = range(60)
    seconds: float = 20.0
    own_ctid: bool = False
    seeds: range = range(1)

    def cases(self) -> list[Case]:
        struck = [tuple(Fault(at, how, self.seconds) for how in self.hows) for at in self.at]
        return [Case(seed, faults, own_ctid=self.own_ctid) for faults in struck for seed in self.seeds]


MUTANTS = (
    Mutant("no token check in the ledger", Build(node=NodeWithoutFence), ("freeze",)),
    Mutant("no seal", Build(node=NodeWithoutSeal), ("late",), seconds=0.3),
    Mutant("no ledger of a job's runs", Build(node=NodeWithoutMemory), ("cancel", "die")),
    Mutant("no journal", Build(runs=RunsWithoutJournal), ("die",)),
    Mutant("no look after the first", Build(runs=RunsWithoutLooks), ("die",)),
    Mutant("no attach at a take-over", Build(runs=RunsWithoutAttach), ("slow", "die-soon"), at=range(12, 16), seconds=6.0, seeds=range(8)),
    Mutant("undo without proof", Build(runs=RunsWithoutProof), ("stranger",), own_ctid=True),
    Mutant("no undo", Build(runs=RunsWithoutUndo), ("cancel",)),
    Mutant("a half-made container taken for a whole one", Build(runs=RunsWithoutClean), ("kill-command",), seconds=3.4),
    Mutant("messages without tokens", Build(claims=ClaimsForAnybody), ("old-bells",)),
)
