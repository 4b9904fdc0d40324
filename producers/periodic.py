"""Orders that repeat: look at every node now and then, and at one that is ill as soon as its breaker lets the look go."""

from contextlib import suppress
from datetime import timedelta

from sqlalchemy import or_
from sqlmodel import col, select

from models.database import Database
from models.fleet import Container, Node, NodeState
from models.jobs import Job
from models.lifecycle import FINAL, State
from models.orders import ObserveNode, PurgeContainer
from models.standing import Standing
from producers.intake import Intake
from producers.refusals import Refusal

OBSERVE_EVERY = timedelta(minutes=5)


class Observation:
    """Orders a look at each node that was not seen for a while; at most one such order is open for a node."""

    def __init__(self, database: Database, intake: Intake) -> None:
        self._database = database
        self._intake = intake

    def run_once(self) -> int:
        """How many looks were ordered."""
        with self._database.write() as session:
            self._database.lock(session, "observation")
            now = self._database.now(session)
            open_looks = select(Job.node).where(Job.kind == "observe-node", col(Job.state).in_([state for state in State if state not in FINAL]))
            query = select(Node).where(
                col(Node.state) != NodeState.NEW,
                or_(col(Node.seen_at).is_(None), col(Node.seen_at) < now - OBSERVE_EVERY, col(Node.broken_until).is_not(None)),
                col(Node.name).not_in(open_looks.where(col(Job.node).is_not(None))),
            )
            nodes = session.exec(query.order_by(Node.name).limit(200)).all()
            for node in nodes:
                self._intake.submit(session, ObserveNode(node=node.name, site=node.site), by="vzq", because="periodic look")
            return len(nodes)


class Purges:
    """Orders the purge of each terminated container whose grace is over; the key makes it one order however often this runs."""

    def __init__(self, database: Database, intake: Intake) -> None:
        self._database = database
        self._intake = intake

    def run_once(self) -> int:
        """How many containers are due."""
        with self._database.write() as session:
            now = self._database.now(session)
            query = select(Container).where(Container.standing == Standing.TERMINATED, col(Container.purge_at) <= now).order_by(col(Container.ctid))
            due = session.exec(query.limit(100)).all()
            for container in due:
                key = f"purge:{container.job_id}:{container.purge_at}"
                with suppress(Refusal):  # e.g. it is being revived this moment
                    self._intake.submit(session, PurgeContainer(ctid=container.ctid), by="vzq", because="its grace is over", key=key)
            return len(due)
