"""When the moves of a forecast end: slots and pace hold them there as in earnest."""

from datetime import UTC, datetime, timedelta

import pytest

from models.fleet import Node, NodeState
from models.kinds import Load
from producers.pace import Cost
from producers.relocations.roads import Roads, Trip

pytestmark = pytest.mark.quick
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def nodes(*names: str, slots: int = 4, state: NodeState = NodeState.ACTIVE) -> dict[str, Node]:
    some = {Load.MOVE_OUT: slots, Load.MOVE_IN: slots}
    return {name: Node(name=name, site="main", host=name, port=22, state=state, slots=some) for name in names}


def minutes(roads: Roads, trips: list[Trip]) -> list[float]:
    """When each ends, all let go at noon."""
    return [(roads.end(trip, NOON) - NOON) / MINUTE for trip in trips]


def trip(to: str | None = None, cost: Cost | None = None, source: str | None = "n1") -> Trip:
    return Trip(source, to, MINUTE, cost)


def test_a_pair_begins_with_two_at_once() -> None:
    assert minutes(Roads(nodes("n1", "n2"), lambda _: []), [trip()] * 5) == [1, 1, 2, 2, 3]


def test_moves_within_their_budgets_let_the_later_ones_go_faster() -> None:
    cheap = trip(cost=Cost(0.5, 5.0))
    assert minutes(Roads(nodes("n1", "n2"), lambda _: []), [cheap] * 12) == [1, 1, 2, 2, 3, 3, 4, 4, 4, 5, 5, 5]


def test_what_went_over_its_budget_before_holds_them_one_by_one() -> None:
    assert minutes(Roads(nodes("n1", "n2"), lambda _: [Cost(9.0, 5.0)]), [trip()] * 3) == [1, 2, 3]


def test_more_nodes_take_more_up_to_the_slots_of_the_one_that_is_emptied() -> None:
    assert minutes(Roads(nodes("n1", "n2", "n3", "n4"), lambda _: []), [trip()] * 6) == [1, 1, 1, 1, 2, 2]


def test_nodes_that_take_nothing_are_not_thought_of() -> None:
    there = nodes("n1", "n2", "n3") | nodes("n4", state=NodeState.DRAINING)
    assert minutes(Roads(there, lambda _: [], closed=["n1", "n3"]), [trip()] * 4) == [1, 1, 2, 2]


def test_what_comes_back_from_anywhere_is_held_by_the_node_that_takes_it() -> None:
    assert minutes(Roads(nodes("n1", "n2", slots=2), lambda _: []), [trip("n1", source=None)] * 3) == [1, 1, 2]
