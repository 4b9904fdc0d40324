"""The steps that plans about one container are made of, and who may touch it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from models.errors import NodeFault, Permanent, Retryable, Unsure
from models.fleet import NOT_ASKED, Container
from models.standing import Standing
from workers.claims import Claim
from workers.commands import Command
from workers.openvz import holds
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
    probes: Mapping[str, str]  # address → how it is asked whether it answers
    mark: str  # whose container it must be on the node, so that its steps may touch it

    @classmethod
    def of(cls, claim: Claim, tools: Tools, driver: Driver) -> "Subject":
        """Raises Permanent when the container has gone since the order was accepted."""
        if claim.container is None:
            raise Permanent(f"container {claim.job.ctid} is not there (any more); see `vzq container list`")
        row = claim.container
        return cls(row.ctid, row, claim.addresses, driver, tools, claim.probes, mark=row.job_id or "")

    def marked(self, job: str) -> "Subject":
        """The same id, once it carries the mark of `job`."""
        return replace(self, mark=job)

    def must_be_ours(self, sight: Sight) -> None:
        """Raises Permanent for a container that is not the one the row speaks of; asked before every command."""
        if sight.nothing:
            raise Permanent(f"container {self.ct} is not on {self.row.node} any more: somebody destroyed or moved it; see `vzq finding list`")
        if not sight.whole:
            raise Permanent(f"container {self.ct} is not whole on {self.row.node}; look at it there, then at `vzq finding list`")
        if not self.is_ours(sight):
            raise Permanent(
                f"container {self.ct} on {self.row.node} is not the one vzq knows (its mark is {sight.marker}, expected {self.mark});"
                " nothing was touched; see `vzq finding list`"
            )

    def is_ours(self, sight: Sight) -> bool:
        """It carries the mark; half of it may be missing."""
        return bool(self.mark) and sight.marker == self.mark

    def step(self, name: str, command: Callable[[Sight], Command], shows: Callable[[Sight], bool] | None) -> Step:
        """A step that is begun only on a whole container of ours: `vzctl set` of a missing one would write a stray conf and say 0."""

        def checked(sight: Sight) -> Command:
            self.must_be_ours(sight)
            return command(sight)

        return Step(name, checked, shows)

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
        """Its addresses answer, asked from here."""
        return all(await asyncio.gather(*(self.answers(address) for address in self.addresses)))

    async def answers(self, address: str) -> bool:
        """This address answers, or its pool says that it cannot be asked from here."""
        probe = self.probes.get(address, self.row.probe)
        return probe == NOT_ASKED or await self.tools.answers(address, probe)

    def start(self) -> list[Step | Wait]:
        """It runs, executes, answers, and starts with its node."""
        ct, driver = self.ct, self.driver
        return [
            self.step("enable", lambda _: driver.set_disabled(ct, disabled=False), lambda s: driver.has_disabled(s, disabled=False)),
            self.step("start", lambda _: driver.start(ct), lambda s: s.running),
            Wait("exec", self.executes, EXEC_WITHIN),
            Wait("answer", self.reachable, ANSWER_WITHIN, every=timedelta(milliseconds=100)),
            self.step("onboot", lambda _: driver.set_onboot(ct, onboot=True), lambda s: driver.has_onboot(s, onboot=True)),
        ]

    def stop(self, *, fast: bool = False) -> Step:
        """It does not run."""
        return self.step("stop", lambda _: self.driver.stop(self.ct, fast=fast), lambda s: not s.running)

    def flags(self, standing: Standing) -> list[Step]:
        """Who may start it: with its node, by hand, or nobody."""
        ct, driver = self.ct, self.driver
        onboot, disabled = standing is Standing.RUNNING, standing not in (Standing.RUNNING, Standing.STOPPED)
        return [
            self.step("disabled", lambda _: driver.set_disabled(ct, disabled=disabled), lambda s: driver.has_disabled(s, disabled=disabled)),
            self.step("onboot", lambda _: driver.set_onboot(ct, onboot=onboot), lambda s: driver.has_onboot(s, onboot=onboot)),
        ]

    def bring_to(self, standing: Standing, *, fast: bool = False) -> list[Step | Wait]:
        """What shall hold for a container that stands so; a suspended or terminated one cannot be started until that ends."""
        if standing is Standing.RUNNING:
            return self.start()
        return [*self.flags(standing), self.stop(fast=fast)]  # stopped last: nothing can start it behind our back

    def limits(self, limits: Limits) -> Step:
        """It has these limits, live where the node can."""
        return self.step("limits", lambda _: self.driver.set_limits(self.ct, limits), lambda s: self.driver.has_limits(s, limits))

    def limits_again(self, limits: Limits) -> Step:
        """It has these limits whatever its conf says: a `set` that failed half-way changes what runs and not the conf."""
        return self.step("limits", lambda _: self.driver.set_limits(self.ct, limits), None)

    def identity(self, identity: Identity) -> Step:
        """It is called so."""
        return self.step("identity", lambda _: self.driver.set_identity(self.ct, identity), lambda s: self.driver.has_identity(s, identity))

    def has_addresses(self, addresses: Sequence[str], *, called: str = "add-addresses") -> Step:
        """It has all of these addresses; the missing ones are added. `called`: exit_codes tells new addresses from known ones by it."""
        return self.step(
            "addresses",
            lambda s: replace(self.driver.add_addresses(self.ct, holds.lacking(s, addresses)), name=called),
            lambda s: self.driver.has_addresses(s, addresses),
        )

    def has_no_others(self, addresses: Sequence[str]) -> Step:
        """It has none besides these: one that turned out to be somebody else's is taken away again."""
        return self.step(
            "no-others",
            lambda s: self.driver.remove_addresses(self.ct, holds.others(s, addresses)),
            lambda s: not holds.others(s, addresses),
        )

    def lacks_address(self, address: str) -> Step:
        """It does not have this address."""
        return self.step(
            "no-address",
            lambda s: self.driver.remove_addresses(self.ct, holds.spelt(s, address)),
            lambda s: not self.driver.has_addresses(s, [address]),
        )

    def password(self, sealed: str) -> Step:
        """The root password is set; the node cannot show it, so the journaled success is the proof."""
        step = self.step("password", lambda _: self.driver.set_password(self.ct, "root", self.tools.open(sealed)), None)
        return replace(step, locks=False)


def unless_gone(subject: Subject, steps: Sequence[Step]) -> list[Step]:
    """Steps of a way back: where the container is not ours any more there is nothing to put back."""

    def lenient(step: Step) -> Step:
        shows = step.holds
        return step if shows is None else replace(step, holds=lambda s: not (s.whole and subject.is_ours(s)) or shows(s))

    return [lenient(step) for step in steps]


def limits_of(row: Container) -> Limits:
    """What its row sells it."""
    return Limits(row.ram_bytes, row.swap_bytes, row.disk_bytes, row.inodes, row.cpus, row.cpuunits)


def identity_of(row: Container, job: str = "") -> Identity:
    """What its row calls it."""
    description = f"vzq job {job}" if job else ""
    return Identity(row.hostname, row.name, description, tuple(row.nameservers), row.searchdomain)
