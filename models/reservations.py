"""A place that is kept: the container row of a job that has no container yet, and how it is given back."""

from datetime import datetime

from sqlalchemy import delete
from sqlmodel import Session, col, select

from models.fleet import Address, Container, ContainerState
from models.jobs import Job


def reservation(session: Session, job: Job) -> tuple[Container, list[str]]:
    """The container reserved for `job` and its addresses, IPv4 first; raises LookupError when it holds none."""
    container = session.get(Container, job.ctid) if job.ctid is not None else None
    if container is None or container.job_id != job.id:
        raise LookupError(f"job {job.id} holds no reservation")
    addresses = session.exec(select(Address.address).where(Address.ctid == container.ctid)).all()
    return container, sorted(addresses, key=lambda address: (":" in address, address))


def hand_over(session: Session, job: Job, *, now: datetime) -> None:
    """The node shows the container: the reservation becomes a container of the fleet."""
    container, _ = reservation(session, job)
    container.state, container.since = ContainerState.PRESENT, now
    session.add(container)


def give_back(session: Session, job: Job, *, now: datetime, foreign: bool = False) -> None:
    """Free what was reserved for `job`; with `foreign` the id stays barred, because somebody else has it on the node. Safe to repeat."""
    container = session.get(Container, job.ctid) if job.ctid is not None else None
    if container is None or container.job_id != job.id:
        return
    session.execute(delete(Address).where(col(Address.ctid) == container.ctid))
    session.delete(container)
    if foreign:
        session.flush()
        session.add(Container(ctid=container.ctid, node=container.node, site=container.site, state=ContainerState.FOREIGN, since=now))
