"""The preflight of a move: asks both nodes, changes nothing. An order of its own, and the first step of every move."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from models.clock import Clock
from models.errors import Permanent, fault_of
from models.fleet import Container, Node
from models.orders import ORDER, CheckMigration, MigrateContainer
from models.standing import Standing
from workers.claims import Claim
from workers.commands import Command, Finished
from workers.openvz.driver import Sight
from workers.openvz.preflight import NodeFacts, Refusal, Wish, as_json, read_caps_fit, read_facts, refusals
from workers.openvz.vzctl import Vzctl
from workers.plans.inquiry import Inquiry, Means
from workers.plans.nodes import address_of
from workers.together import all_of
from workers.tools import Roads, known_abilities
from workers.transport.ssh import Link

PATIENCE = timedelta(seconds=60)
COUNTING = timedelta(minutes=10)  # du over some millions of files


def check_migration(claim: Claim, means: Means) -> Inquiry:
    """All that is in the way, as the job's result."""
    source, target, container = ends_of(claim)
    order = ORDER.validate_python(claim.job.order)
    assert isinstance(order, CheckMigration)  # noqa: S101 - the table of inquiries says so

    async def ask() -> dict[str, Any]:
        preflight = Preflight(source, target, container, means.links, means.clock)
        found = await preflight.refusals(online=order.mode == "online")
        mode = order.mode
        if mode == "online-else-offline":
            mode = "offline" if await preflight.refusals(online=True) != found else "online"
        return {"source": source.name, "target": target.name, "mode": mode, "refusals": as_json(found)}

    return Inquiry(ask)


def ends_of(claim: Claim) -> tuple[Node, Node, Container]:
    """Both nodes and the container; raises Permanent when one of them has gone since the order was accepted."""
    if claim.node is None or claim.there is None:
        raise Permanent(f"node {claim.job.to_node if claim.node else claim.job.node} is no longer enrolled; order again")
    if claim.container is None:
        raise Permanent("the container is not there (any more); see `vzq container list`")
    if claim.node.name == claim.there.name:
        raise Permanent(f"container {claim.container.ctid} is on {claim.there.name} already")
    return claim.node, claim.there, claim.container


def wants_online(order: MigrateContainer, container: Container) -> bool:
    """Online is what is tried first."""
    return order.mode != "offline" and container.standing is Standing.RUNNING


@dataclass
class Preflight:
    """Asks the two nodes of one move."""

    source: Node
    target: Node
    container: Container
    links: Roads
    clock: Clock
    used_bytes: int | None = None  # what its files take, once that was asked

    async def refusals(self, *, online: bool) -> list[Refusal]:
        """Everything in the way now; raises what the looks raise. All is asked at once: each question costs the way there."""
        old, new = self.links.to(address_of(self.source)), self.links.to(address_of(self.target))
        others, there, here, used = await all_of(
            self._survey(new),
            self._facts(self.target, new, "-", "-"),
            self._facts(self.source, old, self.target.host, str(self.target.port)),
            self._usage(old),
        )
        if there.cpu_caps is not None:  # an OpenVZ kernel: the source says whether the container needs more
            here = replace(here, caps_fit=await self._caps_fit(old, there.cpu_caps))
        row = self.container
        self.used_bytes = self._counted(used) if here.sight.whole else None
        wish = Wish(
            ctid=row.ctid,
            online=online,
            running=row.standing is Standing.RUNNING,
            ram_bytes=row.ram_bytes,
            used_bytes=self.used_bytes,
            addresses=here.sight.addresses,
            name=(here.sight.conf or {}).get("NAME"),
            host_key=self.target.host_key,
            user=self.target.user,
        )
        return refusals(here, there, others, wish)

    async def _facts(self, node: Node, link: Link, peer: str, port: str) -> NodeFacts:
        driver = Vzctl(known_abilities(node))

        async def abilities() -> tuple[Finished, float]:
            return await self._run(driver, link, driver.facts()), self.clock.now().timestamp()

        with fault_of(node.name):
            look, (facts, at_s), more = await all_of(
                self._run(driver, link, driver.look(self.container.ctid)), abilities(), self._run(driver, link, self._question(peer, port))
            )
        return read_facts(node.name, driver.sight(look), driver.abilities(facts), more, at_s=at_s)

    def _question(self, peer: str, port: str, caps: str = "-") -> Command:
        return Command("move-facts", ["vzq-mv", "facts", str(self.container.ctid), peer, port, caps], timeout=PATIENCE)

    async def _caps_fit(self, link: Link, caps: int) -> bool | None:
        driver = Vzctl(known_abilities(self.source))
        return read_caps_fit(await self._run(driver, link, self._question("-", "-", str(caps))))

    async def _survey(self, link: Link) -> list[Sight]:
        driver = Vzctl(known_abilities(self.target))
        with fault_of(self.target.name):
            return driver.surveyed(await self._run(driver, link, driver.survey()))

    async def _usage(self, link: Link) -> Finished:
        with fault_of(self.source.name):
            return await link.run(Vzctl().usage(self.container.ctid).argv, timeout=COUNTING)

    def _counted(self, answer: Finished) -> int:
        driver = Vzctl(known_abilities(self.source))
        driver.judge(driver.usage(self.container.ctid), answer)
        return driver.used(answer)

    @staticmethod
    async def _run(driver: Vzctl, link: Link, command: Command) -> Finished:
        answer = await link.run(command.argv, timeout=min(command.timeout, PATIENCE))
        driver.judge(command, answer)
        return answer
