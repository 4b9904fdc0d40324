"""What a container's package manager is asked before anything is upgraded: where that runs, and whether it can."""

from sqlmodel import Session

from models.fleet import Container, ContainerState
from models.jobs import Job
from models.orders import CheckUpdate
from models.standing import Standing
from producers.refusals import BadOrder, Refusal


def prepare(session: Session, order: CheckUpdate, job: Job) -> str:
    """Give the job its node; the sentence for its event. Raises BadOrder or Refusal."""
    container = session.get(Container, order.ctid)
    if container is None or container.state == ContainerState.FOREIGN:
        raise BadOrder({"ctid": f"there is no container {order.ctid}; see `vzq container list`"})
    if container.state == ContainerState.RESERVED:
        raise Refusal(f"container {order.ctid} is still being made; wait for job {container.job_id}")
    if container.standing is not Standing.RUNNING:
        raise Refusal(f"container {order.ctid} is {container.standing}; only one that runs can be asked")
    job.node, job.site, job.customer = container.node, container.site, container.customer
    return f"container {order.ctid} on {container.node}, only asked"  # it stands in nobody's way: no ctid
