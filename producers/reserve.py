"""Keep a place for an order: node, container id, name and addresses, all in the transaction that accepts it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, select

from models.database import Database
from models.fleet import Address, Container, ContainerState, Plan
from models.orders import CreateContainer
from models.reservations import sizes_of
from producers.addresses import Wish, check_pools, pick
from producers.chart import Chart, chart
from producers.placement import Need, Placement, place
from producers.ranges import MOST_NAMESERVERS
from producers.refusals import BadOrder


@dataclass(frozen=True)
class Reserved:
    """What is kept for the order, and why this node."""

    container: Container
    addresses: list[str]
    placement: Placement


def check(session: Session, order: CreateContainer, site: Chart) -> Plan:
    """The plan it names; raises BadOrder for what can never work, whatever room there is."""
    problems: dict[str, str] = {}
    plan = site.plan(order.plan)
    if plan is None:
        problems["plan"] = f"there is no plan {order.plan!r}; {_known(session.exec(select(Plan.name)).all(), 'vzq plan add')}"
    templates = {template for known in site.templates.values() for template in known}
    if site.nodes and order.template not in templates:
        problems["template"] = f"no node of site {site.site} has template {order.template!r}; {_known(sorted(templates), 'vzq node show')}"
    if order.node is not None and order.node not in site.templates:
        problems["node"] = f"site {site.site} has no node {order.node!r}; {_known(site.templates, 'vzq node add')}"
    for field, named in (("pool", [order.pool] if order.pool else []), ("pools", list(order.pools))):
        if named and (wrong := check_pools(session, site.site, named)):
            problems[field] = wrong
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
    placement = place(_need(order, plan), here.rooms(now=now, customer=order.customer))
    picked = pick(session, here, _wish(order), now=now)
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
        nameservers=list(order.nameservers) or list(dict.fromkeys(server for one in picked for server in one.pool.nameservers))[:MOST_NAMESERVERS],
        searchdomain=order.searchdomain,
        probe=picked[0].pool.probe,
        job_id=job_id,
        labels=dict(order.labels),
        since=now,
        **sizes_of(plan),
    )
    here.take(container)
    session.add(container)
    session.add_all(Address(address=one.address, pool=one.pool.name, ctid=container.ctid, since=now) for one in picked)
    return Reserved(container, [one.address for one in picked], placement)


def _need(order: CreateContainer, plan: Plan) -> Need:
    return Need(
        plan.ram_bytes, plan.disk_bytes, order.template, order.node,
        require=order.require, kernel=order.kernel or "", dialect=order.dialect or "", spread=order.spread,
    )  # fmt: skip


def _wish(order: CreateContainer) -> Wish:
    pools = [order.pool] if order.pool else list(order.pools)
    counted = order.ipv4 is not None or order.ipv6 is not None
    return Wish(pools, (("ipv4", order.ipv4 or 0), ("ipv6", order.ipv6 or 0)) if counted else ())


def _known(names: Iterable[str], otherwise: str) -> str:
    known = ", ".join(list(names)[:8])
    return f"known: {known}" if known else f"there is none yet, see `{otherwise}`"
