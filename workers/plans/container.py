"""The steps that plans about one container are made of, and who may touch it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from models.errors import NodeFault, Permanent, Retryable, Unsure
from models.fleet import Container
from models.standing import Standing
from workers.claims import Claim
from workers.openvz.driver import Driver, Identity, Limits, Sight
from workers.steps import Step, Wait
from workers.tools import Tools

EXEC_WITHIN = timedelta(minutes=3)
ANSWER_WITHIN = timedelta(minutes=3)


@dataclass(frozen=True)
class Subject:
    """One container on its node, in the words of its dialect."""

    ct: int
    row: Container
    addresses: Sequence[str]
    driver: Driver
    tools: Tools

    @classmethod
    def of(cls, claim: Claim, tools: Tools, driver: Driver) -> "Subject":
        """Raises Permanent when the container has gone since the order was accepted."""
        if claim.container is None:
            raise Permanent(f"container {claim.job.ctid} is not there (any more); see `vzq container list`")
        return cls(claim.container.ctid, claim.container, claim.addresses, driver, tools)

    def must_be_ours(self, sight: Sight) -> None:
        """Raises Permanent for a container that is not the one the row speaks of."""
        if not sight.whole:
            raise Permanent(f"container {self.ct} is not whole on {self.row.node}; look at it there, then at `vzq finding list`")
        if sight.marker != self.row.job_id:
            raise Permanent(f"container {self.ct} on {self.row.node} is not the one vzq knows (its mark is {sight.marker}); see `vzq finding list`")

    def must_be_ours_or_gone(self, sight: Sight) -> None:
        """As `must_be_ours`, but what is gone already is no obstacle to a purge."""
        if not sight.nothing:
            self.must_be_ours(sight)

    async def executes(self) -> bool:
        """A command inside answers."""
        command = self.driver.exec_true(self.ct)
        try:
            self.driver.judge(command, await self.tools.run(command))
        except NodeFault:
            raise
        except (Retryable, Unsure):
            return False
        return True

    async def reachable(self) -> bool:
        """Its first address answers, asked from here."""
        return await self.tools.answers(self.addresses[0], self.row.probe) if self.addresses else True

    def start(self) -> list[Step | Wait]:
        """It runs, executes, answers, and starts with its node."""
        ct, driver = self.ct, self.driver
        return [
            Step("enable", lambda _: driver.set_disabled(ct, disabled=False), lambda s: driver.has_disabled(s, disabled=False)),
            Step("start", lambda _: driver.start(ct), lambda s: s.running),
            Wait("exec", self.executes, EXEC_WITHIN),
            Wait("answer", self.reachable, ANSWER_WITHIN, every=timedelta(milliseconds=100)),
            Step("onboot", lambda _: driver.set_onboot(ct, onboot=True), lambda s: driver.has_onboot(s, onboot=True)),
        ]

    def stop(self, *, fast: bool = False) -> Step:
        """It does not run."""
        return Step("stop", lambda _: self.driver.stop(self.ct, fast=fast), lambda s: not s.running)

    def stay_down(self, *, disabled: bool) -> list[Step | Wait]:
        """No reboot starts it; with `disabled` nobody else does either."""
        ct, driver = self.ct, self.driver
        return [
            Step("disable", lambda _: driver.set_disabled(ct, disabled=disabled), lambda s: driver.has_disabled(s, disabled=disabled)),
            Step("off-boot", lambda _: driver.set_onboot(ct, onboot=False), lambda s: driver.has_onboot(s, onboot=False)),
        ]

    def bring_to(self, standing: Standing, *, fast: bool = False) -> list[Step | Wait]:
        """What shall hold for a container that stands so; a suspended or terminated one cannot be started until that ends."""
        if standing is Standing.RUNNING:
            return self.start()
        return [*self.stay_down(disabled=standing is not Standing.STOPPED), self.stop(fast=fast)]

    def limits(self, limits: Limits) -> Step:
        """It has these limits, live where the node can."""
        return Step("limits", lambda _: self.driver.set_limits(self.ct, limits), lambda s: self.driver.has_limits(s, limits))

    def identity(self, identity: Identity) -> Step:
        """It is called so."""
        return Step("identity", lambda _: self.driver.set_identity(self.ct, identity), lambda s: self.driver.has_identity(s, identity))

    def has_addresses(self, addresses: Sequence[str]) -> Step:
        """It has all of these addresses; the missing ones are added."""

        def missing(sight: Sight) -> list[str]:
            return [address for address in addresses if address not in sight.addresses]

        return Step("addresses", lambda s: self.driver.add_addresses(self.ct, missing(s)), lambda s: self.driver.has_addresses(s, addresses))

    def lacks_address(self, address: str) -> Step:
        """It does not have this address."""
        return Step("no-address", lambda _: self.driver.remove_addresses(self.ct, [address]), lambda s: address not in s.addresses)


def limits_of(row: Container) -> Limits:
    """What its row sells it."""
    return Limits(row.ram_bytes, row.swap_bytes, row.disk_bytes, row.inodes, row.cpus, row.cpuunits)


def identity_of(row: Container, job: str = "") -> Identity:
    """What its row calls it."""
    description = f"vzq job {job}" if job else ""
    return Identity(row.hostname, row.name, description, tuple(row.nameservers), row.searchdomain)
