"""Builds that lack one of the things that together give exactly one effect. Each must be caught, or the tests prove nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import inf
from typing import Any

from models.jobs import Begun, Job
from models.lifecycle import Cause, State
from models.reservations import give_back
from models.standing import Standing
from producers.admission import Round
from producers.dispatcher import Dispatcher
from tests.crash.faults import Case, Fault
from tests.crash.house import Build, Ground
from tests.crash.node import Ledger, Run, StandInNode
from tests.crash.play import play
from tests.crash.scenes import CREATES, SCENES, Scene
from tests.crash.worker import BROKEN
from workers.claims import LEASE, Claim, Claims
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

    async def begin(self, step: str, direction: str, *, progress: float, pivot: bool, node: str = "") -> Begun:
        tries = [begun.attempt for begun in self._claim.journal if (begun.step, begun.direction) == (step, direction)]
        begun = Begun(
            job_id=self._claim.job.id,
            step=step,
            direction=direction,
            attempt=max(tries, default=0) + 1,
            node=node,
            token=self._claim.token,
            at=self._claim.job.due_at,
        )
        self._claim.journal.append(begun)
        self._claim.job.begun = True
        return begun


class RunsWithoutJournal(Runs):
    def _journal(self, claim: Claim, watch: Any) -> Journal:
        return JournalInMemory(claim, self._world.store, self._world.database, worker=self._world.claims.worker, watch=watch)


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

    def _plan(self, claim: Claim, watch: Any) -> Any:
        plan, hand = super()._plan(claim, watch)
        return plan, _Blind(hand)


class _Hasty(_Around):
    async def greet(self) -> list[Begun]:
        await self._hand.greet()
        return []

    async def attach(self, begun: Begun) -> None:
        return None


class RunsWithoutAttach(Runs):
    """What an earlier run started is neither waited for nor looked at."""

    def _plan(self, claim: Claim, watch: Any) -> Any:
        plan, hand = super()._plan(claim, watch)
        return plan, _Hasty(hand)


class RunsWithoutProof(Runs):
    """Undo takes away whatever is under the id."""

    def _plan(self, claim: Claim, watch: Any) -> Any:
        plan, hand = super()._plan(claim, watch)
        gone = {"stop": lambda s: not s.running, "umount": lambda s: not s.mounted, "destroy": lambda s: not s.whole}
        undo: Sequence[Step] = [replace(step, holds=gone.get(step.name, step.holds)) for step in plan.undo]
        return replace(plan, undo=undo), hand


class RunsWithoutUndo(Runs):
    """A job that failed for good is ended where it is."""

    def _plan(self, claim: Claim, watch: Any) -> Any:
        plan, hand = super()._plan(claim, watch)
        return Plan(do=plan.do, undo=(), pivot=plan.pivot, result=plan.result), hand


class RunsWithoutClean(Runs):
    """What a killed create left is taken for a container."""

    def _plan(self, claim: Claim, watch: Any) -> Any:
        plan, hand = super()._plan(claim, watch)
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


class ClaimsForEver(Claims):
    """Who has a job keeps it, whatever becomes of the lease."""

    def take(self, session: Any, job_id: str, token: int) -> Claim | None:
        claim = super().take(session, job_id, token)
        if claim is not None:
            claim.alive_until = inf
        return claim

    def renewed(self, still: Any, *, before: float, asked: set[str]) -> None:
        return None


class ClaimsWithoutMargin(Claims):
    """It touches the node until the very end of its lease; what is on its way then arrives too late."""

    def take(self, session: Any, job_id: str, token: int) -> Claim | None:
        claim = super().take(session, job_id, token)
        if claim is not None:
            claim.alive_until = self._clock.monotonic() + LEASE.total_seconds()
        return claim

    def renewed(self, still: Any, *, before: float, asked: set[str]) -> None:
        super().renewed(still, before=before, asked=asked)
        for claim in self.held.values():
            claim.alive_until = before + LEASE.total_seconds()


class RunsThatFreeEarly(Runs):
    """What was reserved is given back when a job breaks, not when it is undone."""

    async def _break(self, claim: Claim, journal: Journal, error: Any, cause: Cause) -> None:
        if journal.anything_begun:
            await self._world.store.write(lambda session: give_back(session, session.get_one(Job, claim.job.id), now=self._world.clock.now()))
        await super()._break(claim, journal, error, cause)


class RunsThatTrustTheWalk(Runs):
    """What was true at one step counts as true at the end."""

    def _plan(self, claim: Claim, watch: Any) -> Any:
        plan, hand = super()._plan(claim, watch)
        last = plan.do[-1]
        return replace(
            plan, do=[replace(step, holds=_once(step.holds)) if isinstance(step, Step) and step is not last else step for step in plan.do]
        ), hand


def _once(holds: Any) -> Any:
    seen: list[bool] = []

    def held(sight: Sight) -> bool:
        if not seen and holds(sight):
            seen.append(True)
        return bool(seen)

    return holds and held


class PurgesAnything(Runs):
    """A purge takes away what is under the id, whoever's it is by now."""

    def _plan(self, claim: Claim, watch: Any) -> Any:
        plan, hand = super()._plan(claim, watch)
        there = {"stop": lambda s: not s.running, "umount": lambda s: not s.mounted, "destroy": lambda s: not s.exists}
        return replace(plan, do=[replace(step, holds=there.get(step.name, step.holds)) for step in plan.do], check=lambda _: None), hand


class RingsBeforeCommit(Dispatcher):
    """Messages go out while the transaction that justifies them is still open."""

    def _dispatch(self, session: Any, now: datetime) -> tuple[list[tuple[str, int, str, str]], Round]:
        bells, outcome = super()._dispatch(session, now)
        self._bell.ring(bells)
        return [], outcome


@dataclass(frozen=True)
class Mutant:
    """A broken build, and how a few cases bring it out."""

    name: str
    build: Build
    hows: Sequence[str]
    at: range = range(60)
    seconds: float = 20.0
    scene: Scene = SCENES[0]
    seeds: range = range(1)
    apart: int = 0  # points between two of its faults

    def cases(self) -> list[Case]:
        struck = [tuple(Fault(at + self.apart * number, how, self.seconds) for number, how in enumerate(self.hows)) for at in self.at]
        return [Case(seed, faults, self.scene) for faults in struck for seed in self.seeds]


def _of(kind: str) -> Scene:
    return next(scene for scene in SCENES if scene.kind == kind)


MUTANTS = (
    Mutant("no token check in the ledger", Build(node=NodeWithoutFence), ("freeze",)),
    Mutant("no seal", Build(node=NodeWithoutSeal), ("late",), seconds=0.3),
    Mutant("no ledger of a job's runs", Build(node=NodeWithoutMemory), ("cancel", "die")),
    Mutant("no journal", Build(runs=RunsWithoutJournal), ("die",)),
    Mutant("no look after the first", Build(runs=RunsWithoutLooks), ("die",)),
    Mutant("look before attach", Build(runs=RunsWithoutAttach), ("slow", "die-soon"), at=range(8, 24), seconds=6.0, seeds=range(8)),
    Mutant("undo without proof", Build(runs=RunsWithoutProof), ("stranger",), scene=CREATES[2]),
    Mutant("no undo", Build(runs=RunsWithoutUndo), ("cancel",)),
    Mutant("a half-made container taken for a whole one", Build(runs=RunsWithoutClean), ("kill-command",), seconds=3.4),
    Mutant("messages without tokens", Build(claims=ClaimsForAnybody), ("old-bells",)),
    Mutant("no end of a lease", Build(claims=ClaimsForEver), ("freeze",)),
    Mutant("no lease margin", Build(claims=ClaimsWithoutMargin), ("mute", "cut-off"), at=range(30, 60), seconds=45.0, seeds=range(4), apart=8),
    Mutant("a reservation released early", Build(runs=RunsThatFreeEarly), ("cancel",)),
    Mutant("publish before commit", Build(dispatcher=RingsBeforeCommit), ("old-bells",)),
    Mutant(
        "no last look at all that was done",
        Build(runs=RunsThatTrustTheWalk),
        ("reboot",),
        scene=Scene("start-container", Standing.STOPPED),
        at=range(40),
    ),
    Mutant("a purge without proof", Build(runs=PurgesAnything), ("kill-command", "stranger"), scene=_of("purge-container"), seconds=0.1),
)


def caught_by(ground: Ground, mutant: Mutant) -> str:
    """The first violation that gives this build away; empty when nothing notices."""
    found = (violation for case in mutant.cases() for violation in play(ground, case, mutant.build).violations)
    return next((violation for violation in found if not violation.startswith(BROKEN)), "")
