"""What operators do with nodes, plans and pools; the same for every face, and audited."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from models.database import Database
from models.fleet import Address, Container, Node, NodeState, Plan, Pool
from models.jobs import Job
from models.kinds import DEFAULT_SLOTS, Load
from models.lifecycle import State
from producers.audit import audit
from producers.bereaved import back_in_fleet
from producers.ranges import checked_probe, given_out, refuse_overlap, resolvers
from producers.refusals import BadOrder, Refusal
from producers.shapes import node_shape
from producers.twins import twins

LEAST_RAM, LEAST_DISK = 1 << 24, 1 << 26  # no container lives on less


def node_shapes(session: Session, nodes: Sequence[Node]) -> list[dict[str, Any]]:
    """The nodes as JSON has them, with what containers and reservations take."""
    sums = select(Container.node, func.count(), func.sum(Container.ram_bytes), func.sum(Container.disk_bytes)).group_by(Container.node)
    if len(nodes) == 1:
        sums = sums.where(Container.node == nodes[0].name)
    taken = {node: (count, int(memory or 0), int(disk or 0)) for node, count, memory, disk in session.execute(sums)}
    shapes = []
    for node in nodes:
        count, memory, disk = taken.get(node.name, (0, 0, 0))
        shapes.append(node_shape(node, containers=count, memory_taken=memory, disk_taken=disk))
    return shapes


def turn(session: Session, node: Node, state: NodeState, *, by: str, because: str, now: datetime) -> Node:
    """Drain or activate a node, or call it lost; an open breaker is closed with activation, for the fault is mended. Raises Refusal."""
    if node.state == NodeState.NEW:
        raise Refusal(f"node {node.name} is not enrolled yet; see `vzq job list --kind enrol-node`, or run `vzq node add` again")
    if node.state is NodeState.LOST and state is not NodeState.LOST:
        _must_be_quiet(session, node)
        back_in_fleet(session, node.name)
    if state is NodeState.LOST and node.state is not NodeState.LOST:
        node.lost_at = now
    node.state = state
    node.bars = node.bars and state is not NodeState.DRAINING  # whoever drains it goes on without knowing what is there
    if state is NodeState.ACTIVE:
        node.broken_until, node.faults, node.finding, node.finding_why = None, 0, "", ""
    session.add(node)
    session.flush()
    audit(session, at=now, by=by, action=f"node {state}", subject=f"node:{node.name}", because=because)
    return node


def _must_be_quiet(session: Session, node: Node) -> None:
    """A node that was lost is only given work after a look at it, and when no copy of what was made anew elsewhere can run there."""
    if node.lost_at is None or node.seen_at is None or node.seen_at < node.lost_at:
        raise Refusal(f"node {node.name} was not seen since it was called lost; `vzq node observe {node.name}` looks when it answers")
    loud = [ctid for ctid, job in twins(session, node) if job is None or job.state != State.DONE]
    if loud:
        raise Refusal(f"containers {', '.join(map(str, loud))} were made anew elsewhere and are not quiet on {node.name} yet; see `vzq finding list`")


def change_node(session: Session, node: Node, wanted: dict[str, Any], *, by: str, because: str, now: datetime) -> None:
    """State, labels, failure domain, mirror proxy, most containers, slots; what is not in `wanted` stays. Raises Refusal."""
    if "state" in wanted:
        turn(session, node, NodeState(wanted["state"]), by=by, because=because, now=now)
    described = {name: wanted[name] for name in ("labels", "domain", "proxy", "containers_max", "slots") if name in wanted}
    if "containers_max" in described:
        described["containers_max"] = described["containers_max"] or None
    if "slots" in described:
        described["slots"] = {load: most for load, most in (node.slots | described["slots"]).items() if most not in (None, DEFAULT_SLOTS[Load(load)])}
    if described:
        was = {name: getattr(node, name) for name in described}
        for name, value in described.items():
            setattr(node, name, value)
        session.add(node)
        audit(session, at=now, by=by, action="node describe", subject=f"node:{node.name}", because=because, data={"was": was, "now": described})


def put_plan(session: Session, plan: Plan, *, by: str, because: str, now: datetime) -> tuple[Plan, bool]:
    """Offer a plan, or change what is offered under its name; containers keep their sizes. True when it is new. Raises BadOrder."""
    problems = {}
    if plan.ram_bytes < LEAST_RAM:
        problems["ram_bytes"] = f"no container lives on less than {LEAST_RAM >> 20} MiB"
    if plan.disk_bytes < LEAST_DISK:
        problems["disk_bytes"] = f"no container lives on less than {LEAST_DISK >> 20} MiB"
    if problems:
        raise BadOrder(problems)
    known = session.get(Plan, plan.name, with_for_update=True)
    if known is None or known.model_dump() != plan.model_dump():
        data = {"now": plan.model_dump()} | ({"was": known.model_dump()} if known else {})
        audit(session, at=now, by=by, action="plan put", subject=f"plan:{plan.name}", because=because, data=data)
    return session.merge(plan), known is None


def drop_plan(session: Session, name: str, *, by: str, because: str, now: datetime) -> None:
    """Offer a plan no longer. Containers keep their sizes; orders that still wait for room must have gone before. Raises Refusal."""
    plan = session.get(Plan, name, with_for_update=True)
    if plan is None:
        raise LookupError(name)
    unplaced = select(Job).where(Job.kind == "create-container", Job.state == State.QUEUED, col(Job.ctid).is_(None))
    waiting = [job for job in session.exec(unplaced) if job.order.get("plan") == name]
    if waiting:
        raise Refusal(f"{len(waiting)} orders of plan {name} still wait for room, e.g. {waiting[0].id}; cancel them first")
    session.delete(plan)
    audit(session, at=now, by=by, action="plan delete", subject=f"plan:{name}", because=because, data={"was": plan.model_dump()})


def put_pool(database: Database, session: Session, pool: Pool, *, by: str, because: str, now: datetime) -> tuple[Pool, bool]:
    """Add a pool, or change how it is used; its range only while none of its addresses is in use. True when it is new.

    `first` and `last` may be empty: the whole network. Raises BadOrder or Refusal.
    """
    span = given_out(pool.cidr, pool.first, pool.last)
    pool.cidr, pool.first, pool.last = span.cidr, str(span.first), str(span.last)
    pool.probe, pool.nameservers = checked_probe(pool.probe), resolvers(pool.nameservers)
    database.lock(session, "pools")
    pools = session.exec(select(Pool).with_for_update()).all()
    known = next((other for other in pools if other.name == pool.name), None)
    refuse_overlap(span, [other for other in pools if other.name != pool.name])
    before = known.model_dump() if known else None
    if known is not None:
        moved = [name for name in ("site", "cidr", "first", "last") if getattr(known, name) != getattr(pool, name)]
        used = session.exec(select(func.count()).select_from(Address).where(Address.pool == pool.name)).one() if moved else 0
        if used:
            raise Refusal(f"{used} addresses of pool {pool.name} are in use or at rest; its {', '.join(moved)} cannot change, add another pool")
        pool.cursor = "" if moved else known.cursor
    if before != pool.model_dump():
        data = {"now": pool.model_dump()} | ({"was": before} if before else {})
        audit(session, at=now, by=by, action="pool put", subject=f"pool:{pool.name}", because=because, data=data)
    return session.merge(pool), known is None
