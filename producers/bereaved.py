"""What becomes of jobs on a node that is lost for good: new containers are placed elsewhere, the rest ends; nothing waits for ever."""

from datetime import datetime

from sqlalchemy import or_, update
from sqlmodel import Session, col, select

from models.fleet import Address, Container, ContainerState, Node, NodeState
from models.house import erase_secrets
from models.jobs import Begun, Job
from models.kinds import Load
from models.lifecycle import Cause, State
from models.reservations import give_back
from producers.snapshot import waits

AT_ONCE = 100
LEFT = "node lost"  # outcome of a try that nobody will ask for any more


def leave_lost_nodes(session: Session, now: datetime) -> int:
    """End or place anew what waits for lost nodes; how many jobs. What a worker still has in hand comes here once it is postponed."""
    lost = session.exec(select(Node.name).where(Node.state == NodeState.LOST)).all()
    if not lost:
        return 0
    moving = col(Job.to_node).is_not(None) & col(Job.begun)  # which of its two copies is whole only a person can say
    stays = moving | or_(
        col(Job.load).in_((Load.LOOK, Load.NONE)), col(Job.kind) == "quarantine-container"
    )  # how vzq sees that it is back, and keeps it quiet
    query = select(Job).where(or_(waits, col(Job.state) == State.STUCK), col(Job.node).in_(lost), ~stays).order_by(col(Job.id)).limit(AT_ONCE)
    jobs = session.exec(query.with_for_update(skip_locked=True)).all()
    for job in jobs:
        _leave(session, job, now)
        session.add(job)
    return len(jobs)


def _leave(session: Session, job: Job, now: datetime) -> None:
    """The place was kept for it until a person said that its node is gone (DESIGN: resolve --node-lost)."""
    why = f"node {job.node} is lost for good"
    free = job.order.get("node") is None and job.order.get("ctid") is None
    if job.rules.placed and free and not job.cancel_asked and job.state in (State.QUEUED, State.STUCK):
        _keep_out(session, job, now) if job.begun else give_back(session, job, now=now)
        here = (col(Begun.job_id) == job.id, col(Begun.node) == job.node)
        session.execute(update(Begun).where(*here).values(outcome=LEFT, ended_at=now))  # no proof of anything at its new place
        session.add(job.move(Cause.DISPLACED, now=now, why=f"{why}; placed anew", ctid=job.ctid, node=job.node))
        job.node, job.ctid, job.begun, job.past_pivot, job.step, job.progress = None, None, False, False, "", 0.0
        job.due_at, job.attempts, job.error, job.error_class = now, 0, "", ""
        job.deadline = max(job.deadline, now + job.rules.deadline)
        return
    said = f"{why}; order again for another one"
    job.error, job.error_class = said, "NodeLost"
    taken_back = job.state == State.UNDOING and job.cancel_asked
    session.add(job.move(Cause.WITHDRAWN if taken_back else Cause.NODE_LOST, now=now, why=why))
    if job.rules.placed and job.begun:
        _keep_out(session, job, now)
    else:
        give_back(session, job, now=now)
    erase_secrets(session, job.id)


def _keep_out(session: Session, job: Job, now: datetime) -> None:
    """What was begun there may come up with the node: its id and its addresses are given to nobody until somebody has looked."""
    row = session.get(Container, job.ctid) if job.ctid is not None else None
    if row is None or row.job_id != job.id or row.state != ContainerState.RESERVED:
        return
    row.state, row.name, row.customer, row.since = ContainerState.FOREIGN, None, None, now
    row.ram_bytes = row.swap_bytes = row.disk_bytes = 0
    session.add(row)


def back_in_fleet(session: Session, node: str) -> None:
    """The node takes work again: addresses that were kept out with what was begun there are free, unless the node shows them."""
    rows = session.exec(select(Container.ctid).where(Container.node == node, Container.state == ContainerState.FOREIGN)).all()
    for address in session.exec(select(Address).where(col(Address.ctid).in_(rows))).all():
        session.delete(address)
