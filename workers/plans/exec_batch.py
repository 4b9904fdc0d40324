"""One script in many containers of one node: started once behind one channel, its results fetched while it goes on.

No step of a plan: nothing of it can be looked at or undone, so it runs at most once. What is certain afterwards is,
for each container, how it ended or that nobody saw its end.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlmodel import Session, col, select

from models.errors import Retryable, Unexpected
from models.inside import ExecResult
from models.jobs import Begun, Job
from models.orders import ExecBatch
from workers import endings
from workers.claims import held
from workers.commands import Command, Finished
from workers.journal import Outcome
from workers.node.runner import Direction, Killed, TimedOut, Vanished
from workers.openvz import inside
from workers.plans.errand import Errand
from workers.transport.ssh import as_text

STEP = "exec"
FIRST_FETCH = timedelta(seconds=0.3)  # a quick command is fetched with one call
SLICE_S = 1  # how long a call for results waits on the node; a cancel is heard that soon
QUICK = timedelta(seconds=60)
FORGOTTEN_DAYS = 30
STOP_GRACE = timedelta(seconds=10)


class Batch(Errand[ExecBatch]):
    """The exec-batch in this worker's hands."""

    asked = ExecBatch

    async def carry_out(self) -> Callable[[Session, Job, datetime], None]:
        """Run it unless it was begun before, fetch what ended until all has; the change that ends the job."""
        begun = self._begun()
        fresh = begun is None
        if begun is None:
            begun = await self._journal.begin(STEP, Direction.DO, progress=0.0, pivot=False)
        running = asyncio.create_task(self._run(begun) if fresh else self._runner.attach(self._key(begun), timeout=self._timeout))
        try:
            await asyncio.wait({running}, timeout=FIRST_FETCH.total_seconds())
            await self._fetch(running)
            lost = await self._ended(running, begun)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await running
        return partial(endings.finished, result=await self._close("unknown", lost))

    async def take_back(self) -> None:
        """End it on the node, and inside each container what this job still runs there; results that are in are kept."""
        begun = self._begun()
        if begun is None:
            return
        with suppress(Killed):  # first the run, so that it goes on to no further container
            await self._runner.cancel(self._key(begun), grace=timedelta(0))
        words = ["vzq-exec", "tell", self._claim.job.id, *(str(ctid) for ctid in self._order.ctids)]
        await self._link.run(words, stdin=inside.stop(self._claim.job.id, grace=STOP_GRACE), timeout=QUICK)
        while await self._fetch_some(0):
            pass
        await self._close("cancelled", "the command was cancelled")

    @property
    def _timeout(self) -> timedelta:
        turns = math.ceil(len(self._order.ctids) / self._order.at_once)
        return timedelta(seconds=60 + turns * (self._order.timeout_s + inside.KILL_AFTER_S)) + turns * inside.PATIENCE

    async def _run(self, begun: Begun) -> Finished | None:
        order, job = self._order, self._claim.job.id
        script = inside.Script(order.script, order.interpreter, order.arguments, timedelta(seconds=order.timeout_s))
        words = ["vzq-exec", "run", job, str(order.at_once), str(order.output_max + 1), *(str(ctid) for ctid in order.ctids)]
        both = inside.stop(job, grace=STOP_GRACE) + b"vzq-script\n" + inside.wrapped(script, job)
        command = Command(STEP, words, stdin=both, timeout=self._timeout)
        return await self._runner.begin(self._key(begun), command)

    async def _fetch(self, running: "asyncio.Task[Finished | None]") -> None:
        """All results, as they come, until the run has ended; raises Stale or Withdrawn between two calls."""
        while True:
            over = running.done()
            self._claim.safe_point(self._clock)
            if not await self._fetch_some(0 if over else SLICE_S) and over:
                return

    async def _fetch_some(self, wait_s: int) -> int:
        """Fetch and keep what is new; how many that were."""
        seen = await self._store.write(self._seen)
        raw = await self._link.exchange(["vzq-exec", "results", self._claim.job.id, str(seen), str(wait_s)], timeout=QUICK)
        found = list(self._read(raw.out, raw.code, as_text(raw.err)))
        if found:
            await self._store.write(lambda session: self._keep(session, found, seen), job=self._claim.job.id)
        return len(found)

    def _read(self, out: bytes, code: int, err: str) -> Iterator[ExecResult]:
        head, _, rest = out.partition(b"\n")
        words = head.split()
        if code or words[:2] != [b"vzq1", b"results"] or len(words) != 3:
            raise Unexpected(f"vzq-exec results on {self._link.node} ended with {code}: {(err or as_text(head))[:200]}", signature="vzq-exec results")
        lines = rest.split(b"\n", int(words[2]))
        body, at = (lines[-1] if int(words[2]) else b""), 0
        for line in lines[: int(words[2])]:
            ctid, took, out_size, err_size = (int(word) for word in line.split())
            flooded = out_size > self._order.output_max  # one byte more than is kept was asked for
            text, told = as_text(body[at : at + out_size - flooded]), as_text(body[at + out_size : at + out_size + err_size])
            at += out_size + err_size
            ended = inside.ended(told, flooded=flooded)
            yield ExecResult(
                job_id=self._claim.job.id, ctid=ctid, outcome=ended.outcome, code=ended.code, why=ended.why,
                output=text, seconds=took / 100, at=self._clock.now(),
            )  # fmt: skip
        if at != len(body):
            raise Unexpected(f"vzq-exec results on {self._link.node} sent {len(body)} bytes, not {at}", signature="vzq-exec results")

    def _seen(self, session: Session) -> int:
        return len(session.exec(select(ExecResult.ctid).where(ExecResult.job_id == self._claim.job.id)).all())

    def _keep(self, session: Session, found: list[ExecResult], seen: int) -> None:
        job = held(session, self._claim, self._worker)
        now = self._database.now(session)
        for result in found:
            result.at = now
            session.merge(result)
        job.progress = min(0.99, (seen + len(found)) / len(self._order.ctids))
        session.add(job)

    async def _ended(self, running: "asyncio.Task[Finished | None]", begun: Begun) -> str:
        """Why containers without a result have none; raises what another run can mend."""
        try:
            finished = await running
        except (Vanished, TimedOut, Killed) as gone:
            self._journal.ended(begun, Outcome("vanished"))
            return gone.why
        if finished is None:
            self._journal.ended(begun, Outcome("void"))
            raise Retryable(f"the command was not begun on {self._link.node}; it is begun anew", after=timedelta(0))
        self._journal.ended(begun, Outcome("ok" if finished.code == 0 else "failed", finished.code))
        return f"vzq-exec ended with {finished.code} before it: {finished.err.strip()[-200:]}" if finished.code else "its end was not seen"

    async def _close(self, outcome: str, why: str) -> dict[str, Any]:
        """A result for every container, and nothing of it left on the node."""
        counts = await self._store.write(lambda session: self._complete(session, outcome, why), job=self._claim.job.id)
        await self._link.run(["vzq-exec", "forget", self._claim.job.id, str(FORGOTTEN_DAYS)], timeout=QUICK)
        return {"node": self._order.node, "outcomes": counts}

    def _complete(self, session: Session, outcome: str, why: str) -> Mapping[str, int]:
        held(session, self._claim, self._worker)
        now = self._database.now(session)
        there = {result.ctid for result in session.exec(select(ExecResult).where(ExecResult.job_id == self._claim.job.id))}
        for ctid in self._order.ctids:
            if ctid not in there:
                session.add(ExecResult(job_id=self._claim.job.id, ctid=ctid, outcome=outcome, why=why, at=now))
        session.flush()
        outcomes = session.exec(select(ExecResult.outcome).where(col(ExecResult.job_id) == self._claim.job.id)).all()
        return dict(sorted(Counter(outcomes).items()))

    def _ledger(self, begun: Begun) -> str:
        return f"exec-{begun.job_id}"  # its own: two execs on one node do not fence each other, and none fences a container's jobs
