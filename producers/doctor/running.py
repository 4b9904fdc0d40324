"""What runs: service, workers, nodes, and whether nodes and workers are of one release."""

import socket
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from models.fleet import Node, NodeState
from models.house import Beat, Worker
from producers.doctor.check import Check, fault, look, ok, some
from producers.periodic import OBSERVE_EVERY
from producers.snapshot import WORKER_SILENT

UNSEEN_FOR = 3 * OBSERVE_EVERY  # three looks in a row did not happen


def worker_here(session: Session, now: datetime) -> bool:
    """A worker lives on this host."""
    return any(worker.host == socket.gethostname() for worker in _alive(session, now))


def service(session: Session, now: datetime) -> Check:
    """Somebody goes round."""
    beat = session.get(Beat, "dispatcher")
    do = "start one (`vzq up`, `vzq service`, systemctl start vzq-service) and read the end of its log; orders are accepted meanwhile and wait"
    if beat is None:
        return fault("service", "no service ever went round on this database", do)
    age = now - beat.at
    if age > WORKER_SILENT:
        return fault("service", f"no service has gone round for {_span(age)}", do)
    return ok("service", f"went round {max(0.0, age.total_seconds()):.1f} s ago")


def workers(session: Session, site: str, now: datetime) -> Check:
    """Each site with nodes has one, and so has the site of orders that name none."""
    sites = set(session.exec(select(Node.site).where(Node.state != NodeState.LOST).distinct()).all()) | {site}
    alive: dict[str, int] = {}
    for worker in _alive(session, now):
        alive[worker.site] = alive.get(worker.site, 0) + 1
    without = sorted(sites - alive.keys())
    if without:
        do = f"start one on a management host of the site (`vzq worker --site {without[0]}`); if one seems to run, its log says what it waits for"
        return fault("workers", f"no worker is alive at site {some(without)}", do)
    return ok("workers", ", ".join(f"{count} at {name}" for name, count in sorted(alive.items())))


def nodes(session: Session, now: datetime) -> Check:
    """Reached at the last look, breaker closed; the doctor itself asks no node."""
    rows = session.exec(select(Node).where(Node.state != NodeState.LOST).order_by(Node.name)).all()
    if not rows:
        return look("nodes", "there are no nodes", "take one into the fleet: `vzq node add NAME --host HOST`")
    ill = [
        f"{node.name} ({node.finding or 'broken'})" for node in rows if node.finding or (node.broken_until is not None and node.broken_until > now)
    ]
    new = [node.name for node in rows if node.state == NodeState.NEW]
    old = [node.name for node in rows if node.state != NodeState.NEW and (node.unseen or node.seen_at is None or node.seen_at < now - UNSEEN_FOR)]
    told = "; ".join(f"{what}: {some(names)}" for what, names in (("ill", ill), ("not looked at", old), ("not enrolled yet", new)) if names)
    what = f"{told} (of {len(rows)})"
    if ill:
        return fault(
            "nodes",
            what,
            f"`vzq node show {ill[0].partition(' ')[0]}` says what is wrong and what to do; what was only away is taken up again by itself",
        )
    if old:
        return fault("nodes", what, f"`vzq job list --node {old[0]} --kind observe-node`, then `vzq job why` tells what keeps the look")
    return (
        look("nodes", what, f"`vzq job list --kind enrol-node` tells how far that is; else `vzq node remove {new[0]}`")
        if new
        else _all_well(len(rows))
    )


def programs(session: Session, now: datetime) -> Check:
    """The programs on the nodes are those that the workers bring along."""
    brought: dict[str, set[str]] = {}
    for worker in _alive(session, now):
        brought.setdefault(worker.site, set()).add(worker.programs)
    several = [site for site, releases in sorted(brought.items()) if len(releases) > 1]
    if several:
        return look("programs", f"workers of site {some(several)} are of different releases", "finish the upgrade: install and restart each of them")
    enrolled = session.exec(select(Node).where(col(Node.state).in_([NodeState.ACTIVE, NodeState.DRAINING])).order_by(Node.name)).all()
    old = [node.name for node in enrolled if node.site in brought and node.abilities.get("programs") not in brought[node.site]]
    if old:
        what = f"programs of another release are on {some(old)}"
        return look("programs", what, f"they are renewed at the next look; at once with `vzq node observe {old[0]}`")
    return ok("programs", "as the workers bring them" if enrolled and brought else "nothing to compare")


def _alive(session: Session, now: datetime) -> list[Worker]:
    return list(session.exec(select(Worker).where(col(Worker.seen_at) > now - WORKER_SILENT)).all())


def _all_well(count: int) -> Check:
    return ok("nodes", "the only one answers" if count == 1 else f"all {count} answer")


def _span(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
