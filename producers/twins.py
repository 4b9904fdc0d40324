"""Copies, on a node that was lost and is back, of what was made anew elsewhere: found by the look, stopped before anything else runs there."""

from contextlib import suppress

from sqlmodel import Session, col, select

from models.database import Database
from models.findings import Finding
from models.fleet import Container, ContainerState, Node, NodeState
from models.jobs import Job
from models.orders import QuarantineContainer
from producers.intake import Intake
from producers.refusals import Refusal

SHOWN_AS = ("twin", "unknown-container")  # a whole container whose row is another node's, or that is not in the books


def twins(session: Session, node: Node) -> list[tuple[int, Job | None]]:
    """Their ids, each with the order that keeps it quiet. What strangers made there is none of them: it has no row at all."""
    shown = (Finding.node == node.name, col(Finding.kind).in_(SHOWN_AS), col(Finding.gone_at).is_(None))
    ids = {int(subject) for subject in session.exec(select(Finding.subject).where(*shown)) if subject.isdigit()}
    rows = session.exec(select(Container).where(col(Container.ctid).in_(ids)).order_by(col(Container.ctid))).all()
    copies = [row.ctid for row in rows if row.node != node.name or (row.state == ContainerState.FOREIGN and row.job_id is not None)]
    return [(ctid, session.exec(select(Job).where(Job.key == _key(node, ctid))).first()) for ctid in copies]


class Quarantine:
    """Orders that each of them is stopped and kept from starting; the key makes it one order for each time the node was lost."""

    def __init__(self, database: Database, intake: Intake) -> None:
        self._database = database
        self._intake = intake

    def run_once(self) -> int:
        """How many were ordered now."""
        ordered = 0
        with self._database.write() as session:
            for node in session.exec(select(Node).where(Node.state == NodeState.LOST, col(Node.seen_at) >= col(Node.lost_at)).order_by(Node.name)):
                for ctid, job in twins(session, node):
                    if job is None:
                        order = QuarantineContainer(node=node.name, ctid=ctid, site=node.site)
                        with suppress(Refusal):
                            why = f"node {node.name} is back, and the container was made anew elsewhere"
                            self._intake.submit(session, order, by="vzq", because=why, key=_key(node, ctid))
                            ordered += 1
        return ordered


def _key(node: Node, ctid: int) -> str:
    return f"quarantine:{node.name}:{ctid}:{node.lost_at}"
