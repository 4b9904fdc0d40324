"""update-container: packages are upgraded or a script runs inside, and what came of it is told in the job's result.

What ran half-way has changed what it has changed; only with `revert` there is a way back (update_snapshot.py). The
result's `outcome` says how it ended, in the words in which roll-outs count (models/campaign_states.py).
"""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, NoReturn

from models.campaign_states import Outcome
from models.errors import Concluded, JobError, Locked, Retryable
from models.orders import UpdateContainer
from models.spans import span
from models.standing import Standing
from models.updates import Packages, Reboot, Script
from workers.claims import Claim
from workers.commands import Command
from workers.openvz import inside, packages, services
from workers.openvz.driver import Driver, Sight
from workers.plans.container import ANSWER_WITHIN, EXEC_WITHIN, Subject
from workers.plans.update_health import PATIENCE, Checks
from workers.plans.update_snapshot import Snapshots
from workers.steps import Plan, Step, Wait
from workers.tools import Tools

LOOK_AGAIN = timedelta(seconds=30)  # at a container that has to be waited for
HEAD, TAIL = 16_384, 49_152  # characters of output that are kept with the job
AT_ONCE = timedelta(minutes=1)  # a verdict is there or it is not


def update(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """Run it, restart the container where that is wanted, then see that it is well."""
    order = UpdateContainer.model_validate(claim.job.order)
    subject, job = Subject.of(claim, tools, driver), claim.job.id
    proxy = claim.node.proxy if claim.node is not None else ""
    checks = Checks(order.health, subject, driver, tools, job)
    snapshots = Snapshots(subject, driver, job, tools.began)
    run = _Run(order, subject, driver, tools, job, checks, snapshots, proxy)
    do: list[Step | Wait] = []
    if order.snapshot:
        do.append(snapshots.take())
    if order.health is not None and order.health.services:
        do += [run.inside("services", services.SCRIPT), Wait("services-known", run.services_known, AT_ONCE)]
    once = isinstance(order.action, Script)  # package managers take up what was interrupted, a script need not
    do += [replace(subject.step("script", run.command, None), locks=False, unseen=True, once=once), Wait("verdict", run.verdict, AT_ONCE)]
    if order.reboot is not Reboot.NEVER:
        do += run.restart()
    if order.health is not None:
        do.append(Wait("health", checks.hold, span(order.health.within), every=timedelta(seconds=2), late=run.regressed))
    if order.snapshot:
        do.append(snapshots.forget())
    undo = snapshots.way_back() if order.revert else [snapshots.forget_unused()] if order.snapshot else []
    if order.reboot is not Reboot.NEVER and not order.revert:
        undo = [run.up_again(claim), *undo]
    return Plan(do=do, undo=undo, check=run.ready, result=lambda _: run.result(Outcome.OK))


@dataclass
class _Run:
    """One order being carried out; what it learned on the way goes into the result."""

    order: UpdateContainer
    subject: Subject
    driver: Driver
    tools: Tools
    job: str
    checks: Checks
    snapshots: Snapshots
    proxy: str
    told: inside.Ended | None = None
    output: str = ""
    report: packages.Report = field(default_factory=lambda: packages.report(""))

    def command(self, _sight: Sight) -> Command:
        """What was ordered, as the node is told to run it."""
        action = self.order.action
        if isinstance(action, Packages):
            script = packages.upgrade(action, proxy=self.proxy)
        else:
            script = inside.Script(action.text, action.interpreter, action.arguments, span(action.timeout))
        return self.driver.run_script(self.subject.ct, script, self.job)

    def inside(self, name: str, text: str) -> Step:
        """A step of ours inside that changes nothing, but is asked once: its answer is how it was before."""
        command = self.driver.run_script(self.subject.ct, inside.Script(text, timeout=PATIENCE), self.job)
        return replace(self.subject.step(name, lambda _: command, None), locks=False, unseen=True)

    # -- may it be touched ------------------------------------------------------------------------------------------

    def ready(self, sight: Sight) -> None:
        """Raises Concluded for a container that is to be skipped as it stands, Locked for one that is to be waited for."""
        subject, unready = self.subject, self.order.unready
        subject.must_be_ours(sight)
        where = f"container {subject.ct} on {subject.row.node}"
        if sight.migrated:
            self._not_now(unready.migrating, f"{where} is a copy that a migration left")
        if sight.suspended or subject.row.standing is Standing.SUSPENDED:
            self._not_now(unready.suspended, f"{where} is suspended")
        if not sight.running:
            self._not_now(unready.stopped, f"{where} does not run")
        if sight.locked_by is not None:
            self._not_now(unready.locked, f"{where} is locked by {sight.locked_by}")
        if self.order.snapshot and sight.layout != "ploop":
            self._skip(f"{where} has the layout {sight.layout or 'simfs'}, of which no snapshot can be taken; nothing was touched")

    def _not_now(self, choice: str, why: str) -> None:
        if choice == "wait":
            raise Locked(f"{why}; the order says to wait", after=LOOK_AGAIN)
        self._skip(f"{why}; the order says to skip it")

    def _skip(self, why: str) -> NoReturn:
        raise Concluded(why, result={"outcome": Outcome.SKIPPED})

    async def services_known(self) -> bool:
        """Which services ran before; raises Concluded where nobody in it can tell."""
        answer = await self.tools.recall("services")
        before = services.running(answer.out) if answer is not None else None
        if before is None:
            where = f"container {self.subject.ct}"
            self._skip(
                f"{where} has no list of its services (no systemd, OpenRC or service --status-all); leave out health.services; nothing was changed"
            )
        self.checks.before = before
        return True

    # -- what came of it --------------------------------------------------------------------------------------------

    async def verdict(self) -> bool:
        """What was said inside; raises Concluded when it failed, or was skipped there."""
        answer = await self.tools.recall("script")
        if answer is None:
            raise Retryable(f"what was said in container {self.subject.ct} cannot be had from its node any more")
        self.told, self.output, self.report = self.driver.told(answer), _bounded(answer.out), packages.report(answer.out)
        outcome, why = self._packages() if isinstance(self.order.action, Packages) else self._script(self.order.action)
        if outcome is Outcome.FAILED:
            raise Concluded(f"{why} in container {self.subject.ct}; {self._what_now()}", result=self.result(outcome))
        if outcome is Outcome.SKIPPED:
            raise Concluded(f"container {self.subject.ct}: {why}", result=self.result(outcome))
        return True

    def _packages(self) -> tuple[Outcome, str]:
        if self.report.outcome is not None:
            return self.report.outcome, self.report.why
        return Outcome.FAILED, self._how(f"the upgrade was ended after {self.order.action.timeout}", "the upgrade did not say how it ended, exit")

    def _script(self, action: Script) -> tuple[Outcome, str]:
        code = self.told.code if self.told is not None else None
        if code == 0:
            return Outcome.OK, ""
        if code is not None and code == action.up_to_date_code:
            return Outcome.UP_TO_DATE, ""
        return Outcome.FAILED, self._how(f"the script was ended after {action.timeout}", "the script exited with")

    def _how(self, late: str, ended: str) -> str:
        if self.told is not None and self.told.outcome == "timed-out":
            return late
        lines = self.output.strip().splitlines()
        return f"{ended} {self.told.code if self.told else None}" + (f" ({lines[-1][:200]})" if lines else "")

    def _what_now(self) -> str:
        if self.order.revert:
            return f"it goes back to the snapshot {self.snapshots.before}; what was written since is kept in {self.snapshots.bad}"
        if self.order.snapshot:
            return f"what it changed until then stays, and so does the snapshot {self.snapshots.before}"
        return "what it changed until then stays"

    # -- afterwards -------------------------------------------------------------------------------------------------

    def restart(self) -> list[Step | Wait]:
        """Down and up again, if that is wanted; known only after the verdict."""
        subject = self.subject
        stop = replace(subject.stop(), holds=None, critical=True, unless=self._goes_on)
        start = replace(subject.step("start", lambda _: self.driver.start(subject.ct), lambda s: s.running), unless=self._goes_on)

        async def executes() -> bool:
            return self._goes_on() or await subject.executes()

        async def answers() -> bool:
            return self._goes_on() or await subject.reachable()

        return [
            stop,
            start,
            Wait("exec", executes, EXEC_WITHIN, late=self.not_back),
            Wait("answer", answers, ANSWER_WITHIN, every=timedelta(milliseconds=100), late=self.not_back),
        ]

    def up_again(self, claim: Claim) -> Step:
        """The way back of a restart: what this job stopped runs again."""
        stopped = any(begun.step == "stop" for begun in claim.journal)
        step = self.subject.step("start-back", lambda _: self.driver.start(self.subject.ct), lambda sight: sight.running or not stopped)
        return replace(step, critical=True)

    def _goes_on(self) -> bool:
        """No restart is wanted."""
        return not (self.order.reboot is Reboot.ALWAYS or (self.order.reboot is Reboot.IF_WANTED and self.report.reboot))

    def not_back(self) -> JobError:
        """It was restarted, and does not answer."""
        return self._regressed("it did not come back after the restart")

    def regressed(self) -> JobError:
        """It was done, and the container is not well."""
        within = self.order.health.within if self.order.health else ""
        return self._regressed(f"{self.checks.ill} ({within} after the update)")

    def _regressed(self, why: str) -> Concluded:
        what = self._what_now() if self.order.snapshot else "the update itself stays"
        return Concluded(f"container {self.subject.ct} is not well: {why}; {what}", result=self.result(Outcome.REGRESSED) | {"ill": why})

    def result(self, outcome: Outcome) -> dict[str, Any]:
        """What the job tells."""
        action, report = self.order.action, self.report
        code = self.told.code if self.told is not None else None
        if outcome is Outcome.OK:
            up_to_date = report.outcome is Outcome.UP_TO_DATE if isinstance(action, Packages) else code not in (None, 0)
            outcome = Outcome.UP_TO_DATE if up_to_date else outcome
        told: dict[str, Any] = {"ctid": self.subject.ct, "outcome": str(outcome), "code": code, "output": self.output}
        if isinstance(action, Packages):
            told |= {"family": report.family, "pending": report.pending, "changes": list(report.changes), "repaired": report.repaired}
            told |= {"beancounters": list(report.failures)} if report.failures else {}
        if self.order.reboot is not Reboot.NEVER or report.reboot:
            told |= {"reboot": {"wanted": report.reboot, "done": not self._goes_on() and outcome not in (Outcome.FAILED, Outcome.SKIPPED)}}
        if self.order.snapshot and outcome in (Outcome.FAILED, Outcome.REGRESSED):
            told |= {"snapshots": {"before": self.snapshots.before, **({"bad": self.snapshots.bad} if self.order.revert else {})}}
        return told


def _bounded(output: str) -> str:
    """Its beginning and its end: an error mostly stands at the end, and what led to it at the beginning."""
    if len(output) <= HEAD + TAIL:
        return output
    return f"{output[:HEAD]}\n[… {len(output) - HEAD - TAIL} characters are left out …]\n{output[-TAIL:]}"
