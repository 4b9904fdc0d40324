"""update-container: something runs inside, over stdin, and what came of it is told in the job's result.

Nothing of it can be taken back here: a script that failed half-way has changed what it has changed. The result's
`outcome` says how it ended, in the words in which roll-outs count (models/campaign_states.py).
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from models.campaign_states import Outcome
from models.errors import Concluded, Locked, NodeFault, Permanent, Retryable, Unsure
from models.orders import UpdateContainer
from models.spans import span
from models.standing import Standing
from models.updates import Health, Reboot, Script
from workers.claims import Claim
from workers.commands import Command
from workers.openvz import inside
from workers.openvz.driver import Driver, Sight
from workers.plans.container import Subject
from workers.steps import Plan, Step, Wait
from workers.tools import Tools

LOOK_AGAIN = timedelta(seconds=30)  # at a container that has to be waited for
HEALTH = timedelta(seconds=60)  # how long the health command may take
HEAD, TAIL = 16_384, 49_152  # characters of output that are kept with the job
AT_ONCE = timedelta(minutes=1)  # a verdict is there or it is not


def update(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """Run the script, then see that the container is well."""
    order = UpdateContainer.model_validate(claim.job.order)
    script = _doable(order)
    run = _Run(order, script, Subject.of(claim, tools, driver), driver, tools, claim.job.id)
    do: list[Step | Wait] = [replace(run.subject.step("script", run.command, None), locks=False), Wait("verdict", run.verdict, AT_ONCE)]
    if order.health is not None:
        do.append(Wait("health", run.healthy, span(order.health.within), every=timedelta(seconds=2), late=run.regressed))
    return Plan(do=do, check=run.ready, result=lambda _: run.result(Outcome.OK))


@dataclass
class _Run:
    """One order being carried out; what it learned on the way goes into the result."""

    order: UpdateContainer
    script: Script
    subject: Subject
    driver: Driver
    tools: Tools
    job: str
    told: inside.Ended | None = None
    output: str = ""

    def command(self, _sight: Sight) -> Command:
        """The script, as its node is told to run it."""
        script = self.script
        words = inside.Script(script.text, script.interpreter, script.arguments, span(script.timeout))
        return self.driver.run_script(self.subject.ct, words, self.job)

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

    def _not_now(self, choice: str, why: str) -> None:
        if choice == "wait":
            raise Locked(f"{why}; the order says to wait", after=LOOK_AGAIN)
        raise Concluded(f"{why}; the order says to skip it", result={"outcome": Outcome.SKIPPED})

    async def verdict(self) -> bool:
        """What the script said of itself; raises Concluded when it failed."""
        answer = await self.tools.recall("script")
        if answer is None:
            raise Retryable(f"what the script in container {self.subject.ct} said cannot be had from its node any more")
        self.told, self.output = self.driver.told(answer), _bounded(answer.out)
        if self.told.code not in (0, self.script.up_to_date_code):
            why = f"{self._how(self.told)} in container {self.subject.ct}; what it changed until then stays"
            raise Concluded(why, result=self.result(Outcome.FAILED))
        return True

    def _how(self, told: inside.Ended) -> str:
        if told.outcome == "timed-out":
            return f"the script was ended after {self.script.timeout}"
        lines = self.output.strip().splitlines()
        return f"the script exited with {told.code}" + (f" ({lines[-1][:200]})" if lines else "")

    async def healthy(self) -> bool:
        """All that the health check asks for holds."""
        health = self.order.health
        if health is None:
            return True
        address = self.subject.addresses[0] if self.subject.addresses else ""
        for port in health.tcp:
            if not address or not await self.tools.answers(address, f"tcp:{port}"):
                return False
        return health.command is None or await self._says_well(health)

    async def _says_well(self, health: Health) -> bool:
        command = self.driver.run_script(self.subject.ct, inside.Script(health.command or "", timeout=HEALTH), self.job)
        answer = await self.tools.run(command, patience=command.timeout)
        try:
            self.driver.judge(command, answer)
        except NodeFault:
            raise
        except (Retryable, Unsure, Permanent):
            return False
        return self.driver.told(answer).code == 0

    def regressed(self) -> Concluded:
        """It was done, and the container is not well."""
        within = self.order.health.within if self.order.health else ""
        return Concluded(
            f"container {self.subject.ct} is not well {within} after the update; the update itself stays", result=self.result(Outcome.REGRESSED)
        )

    def result(self, outcome: Outcome) -> dict[str, Any]:
        """What the job tells."""
        code = self.told.code if self.told is not None else None
        if outcome is Outcome.OK and code == self.script.up_to_date_code:
            outcome = Outcome.UP_TO_DATE
        return {"ctid": self.subject.ct, "outcome": str(outcome), "code": code, "output": self.output}


def _bounded(output: str) -> str:
    """Its beginning and its end: an error mostly stands at the end, and what led to it at the beginning."""
    if len(output) <= HEAD + TAIL:
        return output
    return f"{output[:HEAD]}\n[… {len(output) - HEAD - TAIL} characters are left out …]\n{output[-TAIL:]}"


def _doable(order: UpdateContainer) -> Script:
    """The script; raises Permanent for what this version cannot do, before anything is touched."""
    if not isinstance(order.action, Script):
        raise Permanent("this worker runs scripts only; write the upgrade as a script, or bring the worker up to date")
    lacking = [name for name, wanted in (("snapshot", order.snapshot), ("reboot", order.reboot is not Reboot.NEVER)) if wanted]
    health = order.health
    lacking += [f"health.{name}" for name in ("http", "services") if health is not None and getattr(health, name)]
    if lacking:
        raise Permanent(f"this worker cannot do {', '.join(lacking)}; leave it out, or bring the worker up to date")
    return order.action
