"""What the shell offers behind a TAB: names that are there. It never complains: where nothing can be asked nothing is offered."""

from collections.abc import Callable
from contextlib import suppress

from sqlmodel import Session, col, select

from models.fleet import Container, ContainerState, Node
from models.jobs import Job
from producers.cli import door
from producers.cli.screen import short

MOST = 200  # the newest
Offered = list[tuple[str, str]]  # a word, and what it stands for


def nodes(incomplete: str) -> Offered:
    """Names of nodes, each with its state."""
    return _offer(incomplete, lambda session: [(node.name, str(node.state)) for node in session.exec(select(Node).order_by(col(Node.name))).all()])


def containers(incomplete: str) -> Offered:
    """Ids of containers, each with its host name."""
    query = select(Container).where(Container.state == ContainerState.PRESENT).order_by(col(Container.ctid))
    return _offer(incomplete, lambda session: [(str(one.ctid), one.hostname) for one in session.exec(query).all()])


def jobs(incomplete: str) -> Offered:
    """Endings of the newest jobs' ids, each with what it is."""
    query = select(Job).order_by(col(Job.id).desc()).limit(MOST)
    return _offer(incomplete, lambda session: [(short(job.id), f"{job.kind}, {job.state}") for job in session.exec(query).all()])


def _offer(incomplete: str, read: Callable[[Session], Offered]) -> Offered:
    found: Offered = []
    with suppress(Exception), door.database() as database, database.read() as session:
        found = [(word, what) for word, what in read(session) if word.startswith(incomplete)]
    return found
