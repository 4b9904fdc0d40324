"""reboot-node: an empty, drained node goes down and comes back; that it is another boot, the node itself says."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlmodel import Session

from models.errors import NodeFault, Permanent, Retryable, Unsure
from models.fleet import Node, NodeState
from models.jobs import Begun, Job
from models.orders import RebootNode
from workers import endings
from workers.claims import held
from workers.commands import Command
from workers.journal import Outcome
from workers.node.runner import Direction
from workers.openvz.driver import Abilities
from workers.openvz.vzctl import Vzctl
from workers.plans.errand import Errand
from workers.plans.nodes import learn, remember

STEP = "reboot"
COMMAND = Command(STEP, ["shutdown", "-r", "now"], timeout=timedelta(minutes=2))
ASK_EVERY = timedelta(seconds=2)
BACK_WITHIN = timedelta(minutes=45)  # file system checks of large disks included
BOOT = "boot_id"  # in the job's target: under which the reboot was ordered


class Reboot(Errand[RebootNode]):
    """The reboot in this worker's hands."""

    asked = RebootNode
    _driver = Vzctl()

    async def carry_out(self) -> Callable[[Session, Job, datetime], None]:
        """Reboot it unless it has been, wait until it is back; the change that ends the job."""
        before = self._claim.job.target.get(BOOT)
        if before is None:
            before = await self._ready()
            await self._store.write(partial(self._note, before=before), job=self._claim.job.id)
        if (await self._facts()).boot_id == before:
            await self._go_down()
            await self._back(before)
        answer = await learn(self._link, self._clock)
        kernel = answer["abilities"]["kernel"]
        if self._order.kernel and kernel != self._order.kernel:
            raise Permanent(f"{self._order.node} is back with kernel {kernel} instead of {self._order.kernel}; see its boot loader, then order again")
        return partial(self._end, answer=answer)

    async def take_back(self) -> None:
        """A reboot cannot be undone, and there is nothing to undo."""

    async def _ready(self) -> str:
        """The boot it runs under; raises Permanent while a container runs on it."""
        listing = self._driver.listing()
        answer = await self._link.run(listing.argv, timeout=listing.timeout)
        self._driver.judge(listing, answer)
        running = [one.ctid for one in self._driver.listed(answer) if one.status in ("running", "paused")]
        if running:
            raise Permanent(f"{len(running)} containers run on {self._order.node}, e.g. {running[0]}; nothing was done: evacuate it first")
        return (await self._facts()).boot_id

    async def _facts(self) -> Abilities:
        facts = self._driver.facts()
        answer = await self._link.run(facts.argv, timeout=facts.timeout)
        self._driver.judge(facts, answer)
        return self._driver.abilities(answer)

    def _note(self, session: Session, *, before: str) -> None:
        job = held(session, self._claim, self._worker)
        job.target = job.target | {BOOT: before}
        self._claim.job.target = job.target
        session.add(job)

    async def _go_down(self) -> None:
        """Say it once; whether it was heard, the next boot tells."""
        begun = self._begun() or await self._journal.begin(STEP, Direction.DO, progress=0.1, pivot=True)
        try:
            finished = await self._runner.begin(self._key(begun), COMMAND)
        except (Unsure, NodeFault):
            return  # it went down under the answer
        self._journal.ended(begun, Outcome("ok" if finished.code == 0 else "failed", finished.code))
        if finished.code:
            raise Permanent(f"shutdown on {self._order.node} ended with {finished.code}: {finished.err.strip()[-200:]}")

    async def _back(self, before: str) -> None:
        until = self._clock.monotonic() + BACK_WITHIN.total_seconds()
        while self._clock.monotonic() < until:
            self._claim.check(self._clock)
            await asyncio.sleep(ASK_EVERY.total_seconds())
            try:
                if (await self._facts()).boot_id != before:
                    return
            except (Retryable, Unsure):
                continue
        raise Retryable(f"{self._order.node} did not come back within {BACK_WITHIN.total_seconds() / 60:.0f} minutes; see its console")

    def _end(self, session: Session, job: Job, now: datetime, *, answer: dict[str, Any]) -> None:
        learned = dict(answer)  # `remember` takes out what belongs in other rows; this may run twice
        node = session.get(Node, self._order.node, with_for_update=True)
        if node is not None:
            if self._order.activate and node.state is NodeState.DRAINING:
                node.state = NodeState.ACTIVE
            remember(session, job, node, learned, now)
        endings.finished(session, job, now, result={"node": self._order.node, "kernel": learned.get("kernel"), "was": job.target.get(BOOT)})

    def _ledger(self, _begun: Begun) -> str:
        return "node"
