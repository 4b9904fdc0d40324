"""One run of one job: claim → plan → carry out or put back → end. The reader follows a job through this file from top to bottom."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from models.clock import Clock
from models.database import Database
from models.errors import AddressTaken, Irrevocable, JobError, Locked, NodeFault, Permanent, Retryable, Stale, Taken, Unexpected, Unsure, Withdrawn
from models.fleet import Node
from models.jobs import Job
from models.lifecycle import Cause, NoSuchMove, State
from models.vault import Vault
from workers import endings
from workers.claims import Claim, Claims
from workers.hand import Hand
from workers.hands import Hands
from workers.journal import Journal
from workers.metrics import WorkerMeters
from workers.openvz.ends import MoveSight
from workers.openvz.vzctl import Vzctl
from workers.openvz.vzmigrate import MOVE_TIMEOUT, Vzmigrate, Way
from workers.plans import ERRANDS, INQUIRIES, MOVES, PLANS
from workers.plans.container import Subject
from workers.plans.exec_batch import Batch
from workers.plans.inquiry import Means
from workers.plans.move_check import Preflight, ends_of
from workers.plans.nodes import address_of
from workers.plans.reboot import Reboot
from workers.probe.watch import Watch, Watches
from workers.reach import answers
from workers.steps import Direction, Plan, carry_out
from workers.store import Store
from workers.tools import Reach, Roads, Tools, known_abilities

log = structlog.get_logger(__name__)
AFTER_UNSURE = timedelta(seconds=2)
DATABASE_PAUSE_S = 1.0


@dataclass(frozen=True)
class World:
    """Everything a run works with; made once per worker process."""

    database: Database
    store: Store
    claims: Claims
    links: Roads
    vault: Vault
    clock: Clock
    rng: random.Random
    meters: WorkerMeters
    answers: Reach = answers  # from where the customer stands
    watches: Watches | None = None  # None: nothing is measured


class Runs:
    """Runs jobs as their bells come in."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stops = f"worker {world.claims.worker} stops; what runs on the node goes on there"

    async def answer(self, job_id: str, token: int) -> Claim | None:
        """A bell rang: claim the job and run it to the end of this run. A bell that is late, double or overtaken is dropped; raises RunAlone."""
        claims = self._world.claims
        double = job_id in claims.asking or (job_id in claims.held and claims.held[job_id].token == token)
        claim = None if double else await self._claimed(job_id, token)
        if claim is None:
            self._world.meters.stale_bell()
            log.info("bell_stale", job=job_id, token=token)
            return None
        claims.held[job_id] = claim
        request = {"request": claim.job.request} if claim.job.request else {}
        try:
            with structlog.contextvars.bound_contextvars(job=job_id, token=token, **request):  # in every line that this run logs
                await self._run(claim)
        finally:
            claims.held.pop(job_id, None)
        return claim

    async def _claimed(self, job_id: str, token: int) -> Claim | None:
        """The claim; a worker that is told to stop while it asks for it gives it back."""
        claims = self._world.claims
        claims.asking[job_id] = token
        asking = asyncio.ensure_future(self._world.store.write(lambda session: claims.take(session, job_id, token), job=job_id))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            claim = await asking
            if claim is not None:
                await self._until_written(self._journal(claim, None), partial(endings.released, why=self._stops))
            raise
        finally:
            del claims.asking[job_id]

    async def _run(self, claim: Claim) -> None:
        """One run; whatever happens in it, the row says so at its end, or the lease does."""
        world = self._world
        watch = world.watches.over(claim) if world.watches is not None else None
        journal = self._journal(claim, watch)
        begun = world.clock.monotonic()
        try:
            await self._guarded(claim, journal)
        except Stale as stale:
            if stale.highest:  # written only if the row is still ours
                await self._until_written(journal, partial(endings.outrun, highest=stale.highest, why=stale.why))
            world.meters.fenced()
            log.warning("run_fenced", job=claim.job.id, token=claim.token, why=stale.why)
        except asyncio.CancelledError:
            await self._until_written(journal, partial(endings.released, why=self._stops))
            raise
        except SQLAlchemyError as error:
            log.error("run_without_database", job=claim.job.id, error=str(error).splitlines()[0])  # noqa: TRY400 - a known fault
            await self._until_written(journal, partial(endings.released, why="the database was away"))
        except Exception as error:
            if not isinstance(error, Unexpected):
                log.exception("run_broken", job=claim.job.id)
            await self._until_written(journal, partial(endings.unexpected, error=error))
        finally:
            if watch is not None:
                watch.leave()
        world.meters.ran(claim.job.kind, world.clock.monotonic() - begun)

    async def _guarded(self, claim: Claim, journal: Journal) -> None:
        """Forward, then back if it must; each class of error has its ending (models/errors.py says what each means)."""
        try:
            if claim.job.state == State.UNDOING:
                await self._back(claim, journal)
            elif claim.job.kind in INQUIRIES:
                await self._ask(claim, journal)
            else:
                await self._forward(claim, journal)
        except NodeFault as fault:
            await journal.end(partial(endings.node_fault, fault=fault, rng=self._world.rng))
        except Retryable as error:
            counts = not isinstance(error, Locked)
            await journal.end(partial(endings.postponed, error=error, after=error.after, counts=counts, rng=self._world.rng))
        except Unsure as error:
            await journal.end(partial(endings.postponed, error=error, after=AFTER_UNSURE, counts=True, rng=self._world.rng))
        except Irrevocable as error:
            await journal.end(partial(endings.irrevocable, error=error))
        except Taken as error:
            await self._taken(claim, journal, error)
        except (Withdrawn, Permanent) as error:
            await self._break(claim, journal, error, Cause.WITHDRAWN if isinstance(error, Withdrawn) else Cause.BROKEN)

    async def _taken(self, claim: Claim, journal: Journal, error: Taken) -> None:
        """What was kept for the job is somebody else's: another address or another id, where the order leaves that open; else it goes back."""
        if isinstance(error, AddressTaken) and (gone := self._replaceable(claim, error)):
            await journal.end(partial(endings.readdressed, error=error, gone=gone))
        elif journal.made_only("plant") and claim.job.order.get("ctid") is None and claim.job.state == State.RUNNING:
            await journal.end(partial(endings.displaced, error=error))
        else:
            await self._break(claim, journal, error, Cause.BROKEN)

    def _replaceable(self, claim: Claim, error: AddressTaken) -> tuple[str, ...]:
        """The addresses in use that were kept for this very job, if it may take others; where the node names none there must be only one."""
        job, fresh = claim.job, tuple(claim.fresh)
        if job.state != State.RUNNING or job.past_pivot or job.attempts + 1 >= job.rules.attempts:
            return ()
        return tuple(one for one in fresh if one in error.addresses) or (fresh if len(fresh) == 1 and not error.addresses else ())

    async def _ask(self, claim: Claim, journal: Journal) -> None:
        inquiry = INQUIRIES[claim.job.kind](claim, Means(self._world.links, self._world.clock))
        answer = await inquiry.ask()
        claim.check(self._world.clock)

        def change(session: Session, job: Job, now: datetime) -> None:
            result = dict(answer)  # `keep` takes out what belongs in other rows; this may run twice
            inquiry.keep(session, job, result, now)
            endings.finished(session, job, now, result=result)

        await journal.end(change)

    async def _forward(self, claim: Claim, journal: Journal) -> None:
        if claim.job.kind in ERRANDS:
            await journal.end(await self._errand(claim, journal).carry_out())
            return
        result = await self._walk(claim, journal, "do")
        if journal.watch is not None:
            await journal.watch.settle()
        trial = claim.node is not None and claim.node.faults > 0  # it was ill when this job was claimed
        await journal.end(partial(endings.finished, result=result, trial=trial))

    async def _back(self, claim: Claim, journal: Journal) -> None:
        if claim.job.kind in ERRANDS:
            await self._errand(claim, journal).take_back()
        else:
            await self._walk(claim, journal, "undo")
        await journal.end(endings.reverted)

    async def _walk(self, claim: Claim, journal: Journal, direction: Direction) -> dict[str, Any]:
        """To the end of the plan, or back; the result that the plan reads off the last look."""
        if claim.job.kind in MOVES:
            move, hands = self._move(claim, journal)
            both = await carry_out(move, direction, journal, hands)
            return move.result(both) if direction == "do" else {}
        plan, hand = self._plan(claim, journal.watch)
        sight = await carry_out(plan, direction, journal, hand)
        return plan.result(sight) if direction == "do" else {}

    async def _break(self, claim: Claim, journal: Journal, error: JobError, cause: Cause) -> None:
        """No retry helps: write it down, then put back what was begun, all in this run."""
        await journal.end(partial(endings.broken, error=error, cause=cause, was=claim.job.state))
        claim.job.state = State.UNDOING if journal.anything_begun and not claim.job.past_pivot and claim.job.state == State.RUNNING else State.FAILED
        if claim.job.state == State.UNDOING:
            await self._guarded(claim, journal)

    def _journal(self, claim: Claim, watch: Watch | None) -> Journal:
        return Journal(claim, self._world.store, self._world.database, worker=self._world.claims.worker, watch=watch)

    def _errand(self, claim: Claim, journal: Journal) -> Batch | Reboot:
        world, link = self._world, self._world.links.to(address_of(self._node(claim)))
        return ERRANDS[claim.job.kind](
            claim, link, journal=journal, store=world.store, database=world.database, clock=world.clock, worker=world.claims.worker
        )

    def _node(self, claim: Claim) -> Node:
        if claim.node is None:
            raise Permanent(f"node {claim.job.node} is no longer enrolled; order again for another one")
        return claim.node

    def _plan(self, claim: Claim, watch: Watch | None) -> tuple[Plan, Hand]:
        node = self._node(claim)
        driver = Vzctl(known_abilities(node))
        link = self._world.links.to(address_of(node))
        hand = Hand(claim, link, driver, clock=self._world.clock, meters=self._world.meters, watch=watch)
        plan = PLANS[claim.job.kind](claim, Tools(link, self._world.vault, hand.began, self._world.answers, hand.recall), driver)
        hand.stoppable = plan.stoppable_steps
        if watch is not None and plan.critical_steps:  # an update that restarts nothing needs no probe
            watch.begin(plan.critical_steps)
        return plan, hand

    def _move(self, claim: Claim, journal: Journal) -> tuple[Plan[MoveSight], Hands]:
        """The plan of a move, and a hand on either node."""
        world = self._world
        old, new, container = ends_of(claim)
        words = Vzmigrate(Way(container.ctid, claim.job.id, container.job_id or "", address_of(new), mux=known_abilities(old).ssh_mux))
        hands: list[Hand] = []
        subjects: list[Subject] = []
        for node in (old, new):
            driver, link = Vzctl(known_abilities(node)), world.links.to(address_of(node))
            hand = Hand(claim, link, driver, clock=world.clock, meters=world.meters, watch=journal.watch, patience=MOVE_TIMEOUT)
            hands.append(hand)
            subjects.append(Subject.of(claim, Tools(link, world.vault, hand.began, world.answers), driver))
        preflight = Preflight(old, new, container, world.links, world.clock)
        plan = MOVES[claim.job.kind](claim, words, preflight, source=subjects[0], target=subjects[1]).plan()
        if journal.watch is not None:
            journal.watch.begin(plan.critical_steps)
        return plan, Hands(claim, hands[0], hands[1], journal, words=words, preflight=preflight)

    async def _until_written(self, journal: Journal, change: Callable[[Session, Job, datetime], None]) -> None:
        """Write how it ended, for as long as the database is away; the lease is renewed meanwhile or runs out."""
        while True:
            try:
                await journal.end(change)
            except (Stale, NoSuchMove):
                return
            except SQLAlchemyError:
                await asyncio.sleep(DATABASE_PAUSE_S)
            else:
                return
