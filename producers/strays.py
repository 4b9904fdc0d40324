"""Orders about what is on a node and not in the books: may it be adopted, may it be cleared."""

from sqlmodel import Session, col, select

from models.fleet import Container, ContainerState, Node, NodeState
from models.jobs import Job
from models.lifecycle import FINAL
from models.orders import AdoptContainer, ClearDebris, QuarantineContainer
from producers.refusals import BadOrder, Refusal


def prepare(session: Session, order: AdoptContainer | ClearDebris | QuarantineContainer, job: Job) -> str:
    """Give the job its node; the sentence for its event. Raises BadOrder or Refusal. What the node shows is checked when the job runs."""
    node = session.get(Node, order.node)
    if node is None:
        raise BadOrder({"node": f"there is no node {order.node!r}; see `vzq node list`"})
    job.node, job.ctid, job.site, job.target = node.name, order.ctid, node.site, {}
    row = session.get(Container, order.ctid)
    if row is not None and row.state == ContainerState.RESERVED:
        raise Refusal(f"id {order.ctid} is kept for job {row.job_id}; see `vzq job show {row.job_id}`")
    if isinstance(order, QuarantineContainer):
        return _quarantine(order, node, row)
    if isinstance(order, AdoptContainer):
        return _adoption(order, row)
    return _clearing(session, order, row)


def _adoption(order: AdoptContainer, row: Container | None) -> str:
    if row is not None and row.state == ContainerState.PRESENT:
        if row.node != order.node:
            raise Refusal(f"container {order.ctid} is {row.node}'s in the books; two containers cannot have one id: see `vzq finding list`")
        return f"container {order.ctid} on {order.node} is in the books; it is taken for the right one"
    return f"container {order.ctid} on {order.node}, as it is there"


def _quarantine(order: QuarantineContainer, node: Node, row: Container | None) -> str:
    if node.state is not NodeState.LOST:
        raise Refusal(f"node {order.node} is {node.state}, not lost; suspend or terminate the container instead")
    if row is not None and row.node == order.node and row.state != ContainerState.FOREIGN:
        raise Refusal(f"container {order.ctid} is {order.node}'s in the books; nothing was made anew elsewhere")
    return f"the copy of container {order.ctid} on {order.node} must not run"


def _clearing(session: Session, order: ClearDebris, row: Container | None) -> str:
    maker = session.get(Job, order.of) if order.of is not None else None
    if maker is not None and maker.state not in FINAL:
        raise Refusal(f"job {maker.id} is {maker.state} and may still need what it left; decide with `vzq job resolve`, or wait for its end")
    if order.of is not None:
        owns = session.exec(select(Container.ctid).where(Container.job_id == order.of, col(Container.ctid) == order.ctid)).first()
        if owns is not None and row is not None and row.node == order.node:
            raise Refusal(f"job {order.of} made container {order.ctid}, which is in the books; purge it instead")
    whose = f"what job {order.of} left" if order.of is not None else "what bears nobody's mark"
    return f"{whose} of container {order.ctid} on {order.node}"
