"""A house of real processes with three nodes, and `vzq` as an operator types it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import col, select

from models.campaigns import Campaign, Target
from models.fleet import Container, ContainerState, Node, NodeState
from models.lifecycle import State
from models.orders import TerminateContainer
from models.standing import Standing
from producers.fleet import turn
from tests.stories.place import Place


class Fleet(Place):
    """Three nodes; containers are put where the test says."""

    def put(self, number: int, node: str, plan: str = "small") -> set[int]:
        """So many new containers on this node."""
        jobs = self.containers(number, node=node, plan=plan)
        self.each_is_there_once(jobs)
        return {job.ctid for job in self.jobs(jobs) if job.ctid is not None}

    def empty(self) -> None:
        """What earlier stories left is of no concern: every node is active again, and nothing runs on any."""
        with self.house.database.write() as session:
            rows = session.exec(select(Container).where(Container.state == ContainerState.PRESENT, Container.standing != Standing.TERMINATED)).all()
        for node in self.nodes:
            self.ctl(node.name, "clear")
            with self.house.database.write() as session:
                row = session.get_one(Node, node.name)
                turn(session, row, NodeState.ACTIVE, by="test", because="", now=self.house.clock.now())
        ends = [TerminateContainer(ctid=row.ctid, grace_hours=0.0) for row in rows]
        assert {job.state for job in self.ended(*self.order(*ends))} <= {State.DONE}
        self.until(self._nothing_there, "the purge of what was terminated")

    def _nothing_there(self) -> bool:
        with self.house.database.read() as session:
            return session.exec(select(Container).where(Container.state == ContainerState.PRESENT)).first() is None

    def on(self, node: str) -> set[int]:
        """What runs there, as the node has it."""
        return {row["ctid"] for row in self.ctl(node, "list") if row["running"]}

    def once(self, ctids: set[int]) -> bool:
        """Each of them runs on one node, which is the one of the books."""
        running = self.running()
        with self.house.database.read() as session:
            rows = session.exec(select(Container).where(col(Container.ctid).in_(ctids))).all()
        return {ctid: running[ctid] for ctid in ctids} == dict.fromkeys(ctids, 1) and all(row.ctid in self.on(row.node) for row in rows)

    def node(self, name: str) -> Node:
        with self.house.database.read() as session:
            return session.get_one(Node, name)

    def campaign(self) -> Campaign:
        """The newest one."""
        with self.house.database.read() as session:
            return session.exec(select(Campaign).order_by(col(Campaign.id).desc())).all()[0]

    def targets(self) -> list[Target]:
        """Of the newest campaign."""
        with self.house.database.read() as session:
            return list(session.exec(select(Target).where(Target.campaign_id == self.campaign().id).order_by(col(Target.place))).all())

    def boot(self, name: str) -> str:
        """Under which boot a node runs, by its own word."""
        root = next(node.root for node in self.nodes if node.name == name)
        return next(Path(root, "proc").rglob("boot_id")).read_text()


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with tempfile.TemporaryDirectory(prefix="vzqr-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        fleet = Fleet(Path(folder), "")
        try:
            fleet.open()
            yield fleet
        finally:
            fleet.close()
