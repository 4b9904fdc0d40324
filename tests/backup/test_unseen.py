"""After a restore: which orders wait for the first look at a node, and what its ledger must not show."""

import pytest

from models.errors import Unexpected
from models.fleet import Node, NodeState
from models.house import RESTORE_LEAP
from models.lifecycle import State
from models.orders import ObserveNode
from producers.fleet import turn
from producers.refusals import NoRoom
from producers.why import why
from tests.engine.conftest import House, house
from tests.factories import make_job, make_node
from workers.history import refuse_lost
from workers.node.answers import Direction, Ledger, Outcome, Run

__all__ = ["house"]
LOST = 100


def unseen(house: House, *names: str) -> None:
    with house.database.write() as session:
        for name in names:
            node = session.get(Node, name) or make_node(name)
            node.unseen = node.bars = True
            session.add(node)


def test_a_node_that_was_not_looked_at_gets_nothing_but_the_look(house: House) -> None:
    job = house.order()
    unseen(house, "n1")
    look = house.submit(ObserveNode(node="n1")).job
    house.worker()
    house.dispatcher.go_round()
    with house.database.read() as session:
        assert session.get_one(type(job), look.id).state == State.DISPATCHED
        waiting = session.get_one(type(job), job.id)
        assert waiting.state == State.QUEUED
        assert [reason.code for reason in why(house.database, session, waiting)] == ["unseen"]


def test_no_address_is_given_out_before_every_node_was_seen_or_somebody_goes_on_without_it(house: House) -> None:
    unseen(house, "n2")
    with pytest.raises(NoRoom, match="vzq node drain n2"):
        house.order()
    with house.database.write() as session:
        turn(session, session.get_one(Node, "n2"), NodeState.DRAINING, by="operator", because="burnt down", now=house.database.now(session))
    assert house.order().node == "n1"


@pytest.mark.quick
@pytest.mark.parametrize(
    ("runs", "highest", "doubtful"),
    [
        ([], 0, False),
        ([("mine", 90)], 90, False),
        ([("mine", 105)], 105, False),  # it went on by itself: its results are handed back
        ([("mine", 105), ("other", 99)], 105, False),  # that one the database knows
        ([("mine", 105), ("other", 106)], 106, True),
        ([("mine", 105)], 107, True),  # somebody asked, and found nothing to do
        ([("mine", 105), ("other", LOST + RESTORE_LEAP + 1)], LOST + RESTORE_LEAP + 1, False),  # of the time after the restore
    ],
)
def test_a_job_of_the_backup_goes_on_unless_others_worked_on_its_container_since(runs: list[tuple[str, int]], highest: int, doubtful: bool) -> None:
    job = make_job("stop-container", lost_above=LOST, ctid=1001)
    listed = tuple(Run(job.id if whose == "mine" else "01OTHER", "stop", Direction.DO, 1, token, Outcome.DONE, 0) for whose, token in runs)
    if not doubtful:
        refuse_lost(Ledger(highest, listed), job, "n1")
        return
    with pytest.raises(Unexpected, match="after the backup"):
        refuse_lost(Ledger(highest, listed), job, "n1")
