"""An order that moves a container to another node: may it go there, and what is kept for it there."""

from dataclasses import replace
from datetime import datetime

from sqlmodel import Session, col, select

from models.database import Database
from models.findings import Finding
from models.fleet import Container, ContainerState, Hold, Node, NodeState
from models.jobs import Job
from models.orders import CheckMigration, MigrateContainer
from models.standing import Standing
from producers import budgets
from producers.chart import Chart, chart
from producers.placement import Need, Placement, Room, place
from producers.refusals import BadOrder, Refusal
from producers.verbs import OPEN, expected

TRACES = ("unknown-container", "twin", "debris")  # findings by which an id is taken on a node; others may be left of when it was there
TOLD = 5  # nodes that were not chosen whose reason the job's first event tells


def prepare(database: Database, session: Session, order: MigrateContainer | CheckMigration, job: Job, *, now: datetime) -> str:
    """Give the job both its nodes and keep room on the second; the sentence for its event.

    Raises BadOrder, Refusal or NoRoom. What only the nodes know is found out by the preflight, before anything is touched.
    """
    open_jobs = select(Job).where(Job.ctid == order.ctid, col(Job.state).in_(OPEN)).order_by(Job.id).with_for_update()
    session.exec(open_jobs).all()  # jobs are locked before their container, as workers do it
    container = session.get(Container, order.ctid, with_for_update=True)
    if container is None or container.state == ContainerState.FOREIGN:
        raise BadOrder({"ctid": f"there is no container {order.ctid}; see `vzq container list`"})
    waiting = list(session.exec(open_jobs.execution_options(populate_existing=True)).all())
    _may_move(order, container, waiting)
    target = _target(session, order, container)
    here = chart(database, session, container.site)
    rooms = _rooms(here, order, container, now=now)
    if target is None:
        rooms = _without_traces(session, rooms, container)
    chosen = place(Need(container.ram_bytes, container.disk_bytes, container.template, target), rooms)
    over = budgets.check(session, order, job, container, now=now)
    job.node, job.to_node, job.site, job.customer = container.node, chosen.node, container.site, container.customer
    if isinstance(order, CheckMigration):
        return f"container {order.ctid} from {container.node} to {chosen.node}, only looked at"  # it stands in nobody's way: no ctid
    job.ctid, job.target = container.ctid, {}
    opens = order.opens_at(now)
    if opens is not None:
        job.due_at, job.deadline = opens, opens + job.rules.deadline
    hold = Hold(job_id=job.id, node=chosen.node, site=container.site, ram_bytes=container.ram_bytes, disk_bytes=container.disk_bytes)
    here.hold(hold)
    session.add(hold)
    why = f"container {container.ctid} from {container.node} to {chosen.node}: {_because(chosen, named=target is not None)}"
    return f"{why}; {over}" if over else why


def _may_move(order: MigrateContainer | CheckMigration, container: Container, waiting: list[Job]) -> None:
    if container.state == ContainerState.RESERVED:
        raise Refusal(f"container {order.ctid} is still being made; wait for job {container.job_id}")
    moving = next((other for other in waiting if other.kind == "migrate-container"), None)
    if moving is not None:
        raise Refusal(f"job {moving.id} moves container {order.ctid} to {moving.to_node} already; wait for its end or cancel it")
    standing = expected(container, waiting)
    if standing is not Standing.RUNNING and order.mode == "online":
        raise Refusal(f"container {order.ctid} is {standing}; only one that runs can be moved online: order it offline")


def _target(session: Session, order: MigrateContainer | CheckMigration, container: Container) -> str | None:
    """The node that the order names, if it can be one at all."""
    if order.to is None:
        return None
    node = session.get(Node, order.to)
    if node is None:
        raise BadOrder({"to": f"there is no node {order.to!r}; see `vzq node list`"})
    if node.name == container.node:
        raise Refusal(f"container {container.ctid} is on {node.name} already")
    if node.site != container.site:
        raise Refusal(f"node {node.name} is at site {node.site} and container {container.ctid} at {container.site}; it can only move within its site")
    return node.name


def _rooms(here: Chart, order: MigrateContainer | CheckMigration, container: Container, *, now: datetime) -> list[Room]:
    """The site's nodes as this container sees them: its files come along, so no template is asked for."""
    nodes = {node.name: node for node in here.nodes}
    source = nodes.get(container.node)
    if source is None or source.state is NodeState.NEW:
        raise Refusal(f"node {container.node}, on which container {container.ctid} is, is not enrolled; see `vzq node list`")
    return [
        replace(room, templates=frozenset({container.template}), closed=room.closed or _unfit(source, nodes[room.node], order))
        for room in here.rooms(now=now, customer=container.customer)
    ]


def _without_traces(session: Session, rooms: list[Room], container: Container) -> list[Room]:
    """Where something of the same id was found nobody sends it unasked: the preflight would refuse it, and another node may do."""
    seen = select(Finding).where(
        Finding.subject == str(container.ctid), Finding.node != container.node, col(Finding.kind).in_(TRACES), col(Finding.gone_at).is_(None)
    )
    traces = {finding.node: finding for finding in session.exec(seen).all()}
    return [replace(room, closed=room.closed or f"has a {traces[room.node].kind} of that id") if room.node in traces else room for room in rooms]


def _unfit(source: Node, target: Node, order: MigrateContainer | CheckMigration) -> str:
    """What the last looks at both nodes say; the preflight asks them again, and for more."""
    if target.name == source.name:
        return "it is there now"
    old, new = source.abilities, target.abilities
    if order.mode == "online" and not new.get("checkpointing", True):
        return "cannot restore a checkpoint (no /proc/rst, no criu)"
    if old.get("arch") and new.get("arch") and old["arch"] != new["arch"]:
        return f"is {new['arch']}, the container's node {old['arch']}"
    return ""


def _because(chosen: Placement, *, named: bool) -> str:
    if named:
        return "as ordered"
    others = [f"{node}: {why}" for node, why in sorted(chosen.others.items()) if why != "it is there now"]
    more = f"; {len(others) - TOLD} more" if len(others) > TOLD else ""
    return chosen.because + (f" (not {'; not '.join(others[:TOLD])}{more})" if others else "")
