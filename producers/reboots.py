"""Orders that reboot a node: may they."""

from sqlmodel import Session

from models.fleet import Node, NodeState
from models.jobs import Job
from models.orders import RebootNode
from producers.refusals import BadOrder, Refusal


def prepare(session: Session, order: RebootNode, job: Job) -> str:
    """Give the job its node; the sentence for its event. Raises BadOrder, or Refusal for a node that takes work."""
    node = session.get(Node, order.node)
    if node is None:
        raise BadOrder({"node": f"there is no node {order.node!r}; see `vzq node list`"})
    if node.state is not NodeState.DRAINING:
        raise Refusal(f"node {node.name} is {node.state}; evacuate it first: `vzq node evacuate {node.name}`")
    job.node, job.site, job.target = node.name, node.site, {}
    return f"node {node.name}, once nothing runs on it"
