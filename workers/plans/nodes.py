"""Taking a machine into the fleet, and looking at it again."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from models.clock import Clock
from models.errors import UNREACHABLE, Permanent, Unexpected
from models.fleet import Node, NodeState
from models.house import raise_token
from models.jobs import Job
from models.orders import EnrolNode, ScanHostKey
from workers.node.install import install, release
from workers.node.runner import Runner
from workers.observation import observed, unreadable
from workers.openvz.driver import Abilities, Flow, Listed, Sight
from workers.openvz.rows import abilities_of, row_of
from workers.openvz.vzctl import Vzctl
from workers.plans.inquiry import Inquiry, Means
from workers.transport.ssh import Link, NodeAddress, scan_host_key

SWEEP_WITHIN = timedelta(seconds=60)
SWEEP_DAYS = 30  # a run that is older is looked at anew instead of being attached to (answers as vanished)


def scan(order: ScanHostKey, means: Means) -> Inquiry:
    """Which host key a machine shows; nothing is trusted by it."""

    async def ask() -> dict[str, Any]:
        key = await scan_host_key(order.host, order.port, timeout=means.scan_timeout)
        return {"host": order.host, "port": order.port, "fingerprint": key.fingerprint, "algorithm": key.algorithm, "host_key": key.line}

    return Inquiry(ask)


def enrol(order: EnrolNode, means: Means) -> Inquiry:
    """Pin the key that a person compared, install the node's side, learn what the node can do."""

    async def ask() -> dict[str, Any]:
        key = await scan_host_key(order.host, order.port, timeout=means.scan_timeout)
        if key.fingerprint.rstrip("=") != order.fingerprint.rstrip("="):
            raise Permanent(
                f"{order.host}:{order.port} shows host key {key.fingerprint}, not {order.fingerprint}; "
                "find out why (another machine, a re-installed one, somebody in between) before you pin it"
            )
        link = means.links.to(NodeAddress(order.node, order.host, order.port, order.user, key.line))
        return {"host_key": key.line} | await learn(link, means.clock)

    def keep(session: Session, job: Job, answer: dict[str, Any], now: datetime) -> None:
        node = session.get(Node, order.node, with_for_update=True) or Node(name=order.node, site=job.site, host=order.host)
        node.host, node.port, node.user, node.host_key = order.host, order.port, order.user, answer["host_key"]
        node.state = NodeState.ACTIVE if node.state == NodeState.NEW else node.state
        remember(session, job, node, answer, now)

    return Inquiry(ask, keep)


def observe(node: Node, means: Means, *, moves: Sequence[str] = ()) -> Inquiry:
    """Look at a node of the fleet again, and see to it that its side is up to date and trusts nobody for a move but those in `moves`."""

    async def ask() -> dict[str, Any]:
        link = means.links.to(address_of(node))
        learned = await learn(link, means.clock)
        swept = await link.run(["vzq-mv", "sweep", *moves], timeout=SWEEP_WITHIN)
        return learned | ({"trust_swept": swept.out.split()} if swept.out.strip() else {})

    def keep(session: Session, job: Job, answer: dict[str, Any], now: datetime) -> None:
        row = session.get(Node, node.name, with_for_update=True)
        if row is not None:
            remember(session, job, row, answer, now)

    return Inquiry(ask, keep)


async def learn(link: Link, clock: Clock) -> dict[str, Any]:
    """Install or upgrade the node's side, then ask what the node is; raises Permanent where there is no vzctl."""
    await install(link)
    driver = Vzctl()
    command = driver.facts()
    answer = await link.run(command.argv, timeout=command.timeout)
    driver.judge(command, answer)
    abilities = driver.abilities(answer)
    _usable(abilities)
    runner = Runner(link, clock=clock)
    await runner.sweep(days=SWEEP_DAYS)
    shown, flows = await _shown(link, Vzctl(abilities)), await _flows(link, driver)
    return {"abilities": row_of(abilities) | {"programs": release()}, "highest_token": await runner.highest(), "shown": shown, "flows": flows}


async def _flows(link: Link, driver: Vzctl) -> dict[int, Flow] | str:
    """The traffic of what runs; or why the node could not tell, which is no reason to think worse of it."""
    command = driver.traffic()
    try:
        answer = await link.run(command.argv, timeout=command.timeout)
        driver.judge(command, answer)
        return driver.flows(answer)
    except (Permanent, Unexpected) as error:
        return error.why


async def _shown(link: Link, driver: Vzctl) -> list[Sight] | str:
    """Every container of which there is a trace; or why that could not be read, which is no reason to think worse of the node."""
    survey, listing = driver.survey(), driver.listing()
    try:
        sights, listed = await link.run(survey.argv, timeout=survey.timeout), await link.run(listing.argv, timeout=listing.timeout)
        driver.judge(survey, sights)
        driver.judge(listing, listed)
        lines = {one.ctid: one for one in driver.listed(listed)}
        return [_in_state(sight, lines.get(sight.ctid)) for sight in driver.surveyed(sights)]
    except (Permanent, Unexpected) as error:
        return error.why


def _in_state(sight: Sight, line: Listed | None) -> Sight:
    status, used = (line.status, line.disk_used_bytes) if line is not None else ("", None)
    running = status in ("running", "paused")
    mounted = running or status == "mounted"
    return replace(sight, running=running, mounted=mounted, suspended=status == "suspended", disk_used_bytes=used if mounted else None)


def remember(session: Session, job: Job, node: Node, answer: dict[str, Any], now: datetime) -> None:
    """Keep what was learned, and what of it differs from the rows; the breaker closes, and tokens go on above the highest that the node remembers."""
    abilities = answer.pop("abilities")
    node.abilities, node.dialect = abilities, abilities["dialect"]
    node.memory_bytes, node.disk_bytes = abilities["memory_bytes"], abilities["disk_bytes"]
    if node.finding == UNREACHABLE:
        node.faults = 0  # it answers: that is all there was to prove; any other fault is only disproved by a job (endings.finished)
    node.seen_at, node.broken_until, node.finding, node.finding_why = now, None, "", ""
    if not raise_token(session, answer["highest_token"]):
        node.finding, node.finding_why = "token leap", f"its ledger knows token {answer['highest_token']}, which no house of ours has drawn"
    session.add(node)
    shown: list[Sight] | str = answer.pop("shown")
    flows: dict[int, Flow] | str = answer.pop("flows", "")
    if isinstance(shown, str):
        unreadable(session, node, shown, now=now)  # of a restored database it stays unseen: what is there is still not known
    else:
        node.unseen = node.bars = False
        answer["findings"] = observed(session, node, job, shown, Vzctl(abilities_of(abilities)), now=now, flows=flows)
    answer |= {key: abilities[key] for key in ("dialect", "version", "kernel", "templates", "memory_bytes", "disk_free_bytes")}


def address_of(node: Node) -> NodeAddress:
    """Where and as whom the node is reached, with its pinned key."""
    return NodeAddress(node.name, node.host, node.port, node.user, node.host_key)


def _usable(abilities: Abilities) -> None:
    if not abilities.version:
        raise Permanent("there is no vzctl on this machine; install vzctl 3.0.30 to 4.11, or check the address")
    if abilities.dialect != "vzctl":
        raise Permanent(f"this machine speaks {abilities.dialect} ({abilities.version}); this vzq knows vzctl 3 and 4 only")
