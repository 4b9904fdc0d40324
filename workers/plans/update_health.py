"""Whether a container is well after an update: each check of the order's `health`, and the first that does not hold in words."""

from dataclasses import dataclass, field
from datetime import timedelta

from models.errors import NodeFault, Permanent, Retryable, Unsure
from models.updates import Health
from workers.openvz import inside, services
from workers.openvz.driver import Driver
from workers.plans.container import Subject
from workers.reach import page_answers, takes_connections
from workers.tools import Tools

PATIENCE = timedelta(seconds=60)  # how long a command of ours inside may take


@dataclass
class Checks:
    """The checks of one order; `ill` says what does not hold."""

    health: Health | None
    subject: Subject
    driver: Driver
    tools: Tools
    job: str
    before: set[str] = field(default_factory=set)  # services that ran before
    ill: str = ""

    async def hold(self) -> bool:
        """All of them hold now."""
        self.ill = "" if self.health is None else await self._ill(self.health)
        return not self.ill

    async def _ill(self, health: Health) -> str:
        address = self.subject.addresses[0] if self.subject.addresses else ""
        if (health.tcp or health.http) and not address:
            return "it has no address that could be asked"
        for port in health.tcp:
            if not await takes_connections(address, port):
                return f"port {port} of {address} takes no connections"
        for page in health.http:
            if why := await page_answers(address, page.port, page.path, page.status):
                return why
        if health.services and (why := await self._services()):
            return why
        return await self._command(health.command) if health.command else ""

    async def _services(self) -> str:
        told = await self._inside(services.SCRIPT)
        if told is None:
            return "its services could not be listed"
        gone = sorted(self.before - (services.running(told[1]) or set()))
        return f"not running any more: {', '.join(gone)}" if gone else ""

    async def _command(self, command: str) -> str:
        told = await self._inside(command)
        if told is None:
            return "the health command could not be run in it"
        return f"the health command exited with {told[0]}" if told[0] else ""

    async def _inside(self, text: str) -> tuple[int | None, str] | None:
        """Exit code and output; None where it did not run. Raises NodeFault."""
        command = self.driver.run_script(self.subject.ct, inside.Script(text, timeout=PATIENCE), self.job)
        answer = await self.tools.run(command, patience=command.timeout)
        try:
            self.driver.judge(command, answer)
        except NodeFault:
            raise
        except (Retryable, Unsure, Permanent):
            return None
        return self.driver.told(answer).code, answer.out
