"""Commands in many containers at once: one exec-batch a node, and what came of all of them together."""

from sqlmodel import Session, col, select

from models.fleet import Container, ContainerState, Node
from models.inside import Visit
from models.jobs import Job
from models.orders import ExecBatch
from producers.refusals import BadOrder


def prepare(session: Session, order: ExecBatch, job: Job) -> str:
    """Give the job its node and say who is going to be inside; the sentence for its event. Raises BadOrder."""
    node = session.get(Node, order.node)
    if node is None:
        raise BadOrder({"node": f"there is no node {order.node!r}; see `vzq node list`"})
    there = select(Container).where(Container.node == node.name, Container.state == ContainerState.PRESENT, col(Container.ctid).in_(order.ctids))
    missing = sorted(set(order.ctids) - {container.ctid for container in session.exec(there)})
    if missing:
        raise BadOrder({"ctids": f"{_listed(missing)} not in the books of node {node.name}; see `vzq container list --node {node.name}`"})
    job.node, job.site = node.name, node.site
    session.add_all(Visit(id=job.id, ctid=ctid, what="exec", by=job.producer, since=job.accepted_at) for ctid in order.ctids)
    return f"{len(order.ctids)} containers of {node.name}"


def _listed(ctids: list[int]) -> str:
    shown = ", ".join(str(ctid) for ctid in ctids[:5]) + (f" and {len(ctids) - 5} more" if len(ctids) > 5 else "")
    return f"{shown} {'is' if len(ctids) == 1 else 'are'}"
