"""Keep a place for an order: node, container id, name and addresses, all in the transaction that accepts it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from models.database import Database
from models.fleet import Address, Container, ContainerState, Plan, Pool
from models.orders import CreateContainer
from models.reservations import sizes_of
from producers.chart import Chart, chart
from producers.placement import Need, Placement, place
from producers.refusals import BadOrder, NoRoom


@dataclass(frozen=True)
class Reserved:
    """What is kept for the order, and why this node."""

    container: Container
    addresses: list[str]
    placement: Placement


def check(session: Session, order: CreateContainer, site: Chart) -> Plan:
    """The plan it names; raises BadOrder for what can never work, whatever room there is."""
    problems: dict[str, str] = {}
    plan = session.get(Plan, order.plan)
    if plan is None:
        problems["plan"] = f"there is no plan {order.plan!r}; {_known(session.exec(select(Plan.name)).all(), 'vzq plan add')}"
    templates = {template for known in site.templates.values() for template in known}
    if site.nodes and order.template not in templates:
        problems["template"] = f"no node of site {site.site} has template {order.template!r}; {_known(sorted(templates), 'vzq node show')}"
    if order.node is not None and order.node not in site.templates:
        problems["node"] = f"site {site.site} has no node {order.node!r}; {_known(site.templates, 'vzq node add')}"
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
    here = chart(database, session, site)
    plan = check(session, order, here)
    need = Need(plan.ram_bytes, plan.disk_bytes, order.template, order.node, require=order.require, spread=order.spread)
    placement = place(need, here.rooms(now=now, customer=order.customer))
    pool, addresses = pick_addresses(session, here, order.pool, now=now)
    container = Container(
        ctid=order.ctid or here.next_ctid(),
        node=placement.node,
        site=site,
        state=ContainerState.RESERVED,
        name=order.name,
        hostname=order.hostname,
        customer=order.customer,
        plan=plan.name,
        template=order.template,
        nameservers=list(order.nameservers) or pool.nameservers,
        searchdomain=order.searchdomain,
        probe=pool.probe,
        job_id=job_id,
        labels=dict(order.labels),
        since=now,
        **sizes_of(plan),
    )
    here.take(container)
    session.add(container)
    session.add_all(Address(address=address, pool=pool.name, ctid=container.ctid, since=now) for address in addresses)
    return Reserved(container, addresses, placement)


def pick_addresses(session: Session, here: Chart, wanted: str | None, *, now: datetime) -> tuple[Pool, list[str]]:
    """One free address of the wanted pool, or of the site's pool with the highest rank that has one; raises NoRoom."""
    named = select(Pool).where(Pool.name == wanted)
    ranked = select(Pool).where(Pool.site == here.site).order_by(col(Pool.rank).desc(), Pool.name)
    pools = session.exec((named if wanted else ranked).with_for_update()).all()
    for pool in pools:
        address = here.next_address(pool, now=now)
        if address is not None:
            pool.cursor = address
            session.add(pool)
            return pool, [address]
    if not pools:
        raise NoRoom(f"site {here.site} has no address pool; add one with `vzq pool add`", {})
    raise NoRoom("no free address", {pool.name: f"all of {pool.first}-{pool.last} are in use or at rest" for pool in pools})


def _known(names: Iterable[str], otherwise: str) -> str:
    known = ", ".join(list(names)[:8])
    return f"known: {known}" if known else f"there is none yet, see `{otherwise}`"
