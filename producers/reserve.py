"""Keep a place for an order: node, container id, name and addresses, all in the transaction that accepts it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from itertools import chain, islice

from sqlalchemy import func
from sqlmodel import Session, col, select

from models.database import Database
from models.fleet import Address, Container, ContainerState, Node, NodeState, Plan, Pool
from models.house import Counter
from models.orders import CreateContainer
from producers.placement import Need, Placement, Room, place
from producers.refusals import BadOrder, NoRoom

FIRST_CTID = 1001  # below are the ids that administrators like to give by hand


@dataclass(frozen=True)
class Reserved:
    """What is kept for the order, and why this node."""

    container: Container
    addresses: list[str]
    placement: Placement


def check(session: Session, order: CreateContainer, *, site: str) -> Plan:
    """The plan it names; raises BadOrder for what can never work, whatever room there is."""
    problems: dict[str, str] = {}
    plan = session.get(Plan, order.plan)
    if plan is None:
        problems["plan"] = f"there is no plan {order.plan!r}; {_known(session.exec(select(Plan.name)).all(), 'vzq plan add')}"
    nodes = session.exec(select(Node).where(Node.site == site)).all()
    templates = {template for node in nodes for template in node.abilities.get("templates", [])}
    if nodes and order.template not in templates:
        problems["template"] = f"no node of site {site} has template {order.template!r}; {_known(sorted(templates), 'vzq node show')}"
    if order.node is not None and order.node not in {node.name for node in nodes}:
        problems["node"] = f"site {site} has no node {order.node!r}; {_known([node.name for node in nodes], 'vzq node add')}"
    if order.pool is not None and session.get(Pool, order.pool) is None:
        problems["pool"] = f"there is no pool {order.pool!r}; {_known(session.exec(select(Pool.name)).all(), 'vzq pool add')}"
    if order.name is not None and session.exec(select(Container.ctid).where(Container.name == order.name)).first() is not None:
        problems["name"] = f"a container named {order.name!r} exists already"
    if order.ctid is not None and session.get(Container, order.ctid) is not None:
        problems["ctid"] = f"container {order.ctid} exists already or is being made"
    if problems or plan is None:
        raise BadOrder(problems)
    return plan


def reserve(database: Database, session: Session, order: CreateContainer, *, job_id: str, site: str, now: datetime) -> Reserved:
    """Keep node, id and addresses for the job; raises BadOrder, or NoRoom with the reasons."""
    database.lock(session, "placement")  # two orders must not see the same room as free
    plan = check(session, order, site=site)
    need = Need(plan.ram_bytes, plan.disk_bytes, order.template, order.node)
    placement = place(need, rooms(session, site, now=now))
    pool, addresses = pick_addresses(session, order.pool, site, now=now)
    ctid = order.ctid or _next_ctid(session)
    container = Container(
        ctid=ctid,
        node=placement.node,
        site=site,
        state=ContainerState.RESERVED,
        name=order.name,
        hostname=order.hostname,
        customer=order.customer,
        plan=plan.name,
        template=order.template,
        ram_bytes=plan.ram_bytes,
        swap_bytes=plan.swap_bytes,
        disk_bytes=plan.disk_bytes,
        inodes=plan.inodes,
        cpus=plan.cpus,
        cpuunits=plan.cpuunits,
        nameservers=list(order.nameservers) or pool.nameservers,
        searchdomain=order.searchdomain,
        probe=pool.probe,
        job_id=job_id,
        since=now,
    )
    session.add(container)
    session.add_all(Address(address=address, pool=pool.name, ctid=ctid, since=now) for address in addresses)
    return Reserved(container, addresses, placement)


def rooms(session: Session, site: str, *, now: datetime) -> list[Room]:
    """Every node of the site with what is taken of it."""
    taken = {
        node: (memory, disk)
        for node, memory, disk in session.execute(
            select(Container.node, func.sum(Container.ram_bytes), func.sum(Container.disk_bytes))
            .where(Container.site == site)
            .group_by(Container.node)
        )
    }
    return [
        Room(
            node=node.name,
            memory_bytes=node.memory_bytes,
            memory_taken=taken.get(node.name, (0, 0))[0],
            disk_bytes=node.disk_bytes,
            disk_taken=taken.get(node.name, (0, 0))[1],
            templates=frozenset(node.abilities.get("templates", [])),
            closed=_closed(node, now),
        )
        for node in session.exec(select(Node).where(Node.site == site).order_by(Node.name)).all()
    ]


def _closed(node: Node, now: datetime) -> str:
    if node.state is not NodeState.ACTIVE:
        return "still being enrolled" if node.state == NodeState.NEW else str(node.state)
    if node.broken_until is not None and node.broken_until > now:
        return f"broken ({node.finding})"
    return ""


def _next_ctid(session: Session) -> int:
    """The next id that no row has and that no node showed when it was last looked at."""
    counter = session.get(Counter, "ctid", with_for_update=True) or Counter(name="ctid", value=FIRST_CTID - 1)
    seen = {int(ctid) for node in session.exec(select(Node)).all() for ctid in node.abilities.get("ctids", [])}
    while True:
        counter.value += 1
        if counter.value not in seen and session.get(Container, counter.value) is None:
            session.add(counter)
            return counter.value


def templates_of(session: Session, node: str) -> frozenset[str]:
    """The OS templates of a node, as it was last looked at."""
    row = session.get(Node, node)
    return frozenset(row.abilities.get("templates", [])) if row is not None else frozenset()


def pick_addresses(session: Session, wanted: str | None, site: str, *, now: datetime) -> tuple[Pool, list[str]]:
    """One free address of the wanted pool, or of the site's pool with the highest rank that has one; raises NoRoom."""
    query = select(Pool).where(Pool.name == wanted) if wanted else select(Pool).where(Pool.site == site).order_by(col(Pool.rank).desc(), Pool.name)
    pools = session.exec(query.with_for_update()).all()
    for pool in pools:
        address = _next_address(session, pool, now=now)
        if address is not None:
            pool.cursor = address
            session.add(pool)
            return pool, [address]
    if not pools:
        raise NoRoom(f"site {site} has no address pool; add one with `vzq pool add`", {})
    raise NoRoom("no free address", {pool.name: f"all of {pool.first}-{pool.last} are in use" for pool in pools})


def _next_address(session: Session, pool: Pool, *, now: datetime) -> str | None:
    """The first free address behind the one given out last, going round once."""
    first, last = ip_address(pool.first), ip_address(pool.last)
    begin = int(ip_address(pool.cursor)) + 1 if pool.cursor else int(first)
    make = type(first)
    round_trip: Iterable[int] = chain(range(begin, int(last) + 1), range(int(first), begin))
    walk = iter(round_trip)
    while numbers := list(islice(walk, 64)):
        candidates = [str(make(number)) for number in numbers]
        rows = {row.address: row for row in session.exec(select(Address).where(col(Address.address).in_(candidates))).all()}
        for candidate in candidates:
            row = rows.get(candidate)
            if row is None:
                return candidate
            if row.ctid is None and row.free_at is not None and row.free_at <= now:  # it has rested
                session.delete(row)
                session.flush()
                return candidate
    return None


def _known(names: Iterable[str], otherwise: str) -> str:
    known = ", ".join(list(names)[:8])
    return f"known: {known}" if known else f"there is none yet, see `{otherwise}`"
