"""Orders that go inside containers: may they, and who stands in the way."""

from collections.abc import Iterable

from sqlmodel import Session, col, select

from models.database import Database
from models.fleet import Container, ContainerState, Node
from models.inside import Visit
from models.jobs import Job
from models.lifecycle import LEASED
from models.orders import ExecBatch
from producers.refusals import BadOrder, Refusal


def prepare(database: Database, session: Session, order: ExecBatch, job: Job) -> str:
    """Give the job its node and say who is going to be inside; the sentence for its event. Raises BadOrder or Refusal."""
    node = session.get(Node, order.node)
    if node is None:
        raise BadOrder({"node": f"there is no node {order.node!r}; see `vzq node list`"})
    there = select(Container).where(Container.node == node.name, Container.state == ContainerState.PRESENT, col(Container.ctid).in_(order.ctids))
    missing = sorted(set(order.ctids) - {container.ctid for container in session.exec(there)})
    if missing:
        raise BadOrder({"ctids": f"{_listed(missing)} not in the books of node {node.name}; see `vzq container list --node {node.name}`"})
    database.lock(session, "dispatch")  # so that no move begins between this look and our commit
    moving = moves(session, order.ctids)
    if moving:
        raise Refusal(
            f"{_listed(sorted(moving))} being moved, which a command inside would break (job {next(iter(moving.values()))}); order again later"
        )
    job.node, job.site = node.name, node.site
    session.add_all(Visit(id=job.id, ctid=ctid, what="exec", by=job.producer, since=job.accepted_at) for ctid in order.ctids)
    return f"{len(order.ctids)} containers of {node.name}"


def moves(session: Session, ctids: Iterable[int]) -> dict[int, str]:
    """Those of the containers that are being moved at this moment, and by which job (index job_container)."""
    under_way = select(Job).where(col(Job.ctid).in_(ctids), col(Job.state).in_(LEASED), Job.kind == "migrate-container")
    return {job.ctid: job.id for job in session.exec(under_way).all() if job.ctid is not None}


def _listed(ctids: list[int]) -> str:
    shown = ", ".join(str(ctid) for ctid in ctids[:5]) + (f" and {len(ctids) - 5} more" if len(ctids) > 5 else "")
    return f"{shown} {'is' if len(ctids) == 1 else 'are'}"
