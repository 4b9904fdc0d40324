"""Who should do the work but does not answer: said once to whoever waits, instead of letting them wait in silence."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from models.fleet import Node
from models.house import Beat, Worker
from models.jobs import Job

SERVICE_SILENT = timedelta(seconds=15)
WORKER_SILENT = timedelta(seconds=20)


def silence(session: Session, waiting: Iterable[Job], *, now: datetime) -> list[str]:
    """A sentence for the service, each site and family that nobody serves, and each node that is ill; empty when all are well."""
    jobs = list(waiting)
    sentences = [ill(f"node {node.name}: {node.finding}") for node in _broken(session, jobs)]
    lanes = sorted({(job.site, job.family) for job in jobs if job.worker is None})
    if not lanes:
        return sentences
    beat = session.get(Beat, "dispatcher", populate_existing=True)
    if beat is None or beat.at < now - SERVICE_SILENT:
        sentences.append("no service is alive, so nothing is sent to workers; start one with `vzq service` (or everything with `vzq up`)")
    alive = session.exec(select(Worker).where(col(Worker.seen_at) >= now - WORKER_SILENT)).all()
    for site, family in lanes:
        here = [worker for worker in alive if worker.site == site]
        if not here:
            sentences.append(f"no worker of site {site} is alive; start one with `vzq worker --site {site}`")
        elif not any(worker.slots.get(family, 0) for worker in here):
            sentences.append(f"no worker of site {site} takes {family} jobs; start one with `vzq worker --site {site}`")
    return list(dict.fromkeys(sentences))


def ill(what: str) -> str:
    """Of a node that was told to be so."""
    return f"{what}; its jobs wait, it is tried again and again"


def _broken(session: Session, jobs: Iterable[Job]) -> Sequence[Node]:
    names = {name for job in jobs for name in (job.node, job.to_node) if name}
    query = select(Node).where(col(Node.name).in_(names), col(Node.broken_until).is_not(None)).order_by(Node.name)
    return session.exec(query, execution_options={"populate_existing": True}).all() if names else []
