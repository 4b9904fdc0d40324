"""Whatever is ordered in whatever order, no node is ever overfull."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.placement import DISK_SHARE, Need, Placement, Room, place
from producers.refusals import NoRoom

pytestmark = pytest.mark.quick
sizes = st.integers(1, 64)
needs = st.builds(Need, sizes, sizes, st.sampled_from(["a", "b"]), st.sampled_from([None, None, None, "n1"]))
rooms = st.builds(
    Room,
    node=st.just(""),
    memory_bytes=st.integers(1, 256),
    memory_taken=st.just(0),
    disk_bytes=st.integers(2, 256),
    disk_taken=st.just(0),
    templates=st.sampled_from([frozenset({"a"}), frozenset({"a", "b"}), frozenset()]),
    closed=st.sampled_from(["", "", "draining"]),
)


@given(st.lists(rooms, max_size=5), st.lists(needs, max_size=30))
@settings(max_examples=60, deadline=None)
def test_no_node_is_ever_overfull_and_each_refusal_has_its_reason(found: list[Room], orders: list[Need]) -> None:
    nodes = {f"n{number}": replace(room, node=f"n{number}") for number, room in enumerate(found)}
    for need in orders:
        placed = _placed(need, list(nodes.values()))
        if isinstance(placed, NoRoom):
            assert set(placed.reasons) == set(nodes)
            assert all(placed.reasons.values())
            continue
        assert set(placed.others) == set(nodes) - {placed.node}
        room = nodes[placed.node]
        assert not room.closed
        assert need.template in room.templates
        assert need.node in (None, placed.node)
        room = replace(room, memory_taken=room.memory_taken + need.ram_bytes, disk_taken=room.disk_taken + need.disk_bytes)
        assert room.memory_taken <= room.memory_bytes
        assert room.disk_taken <= room.disk_bytes * DISK_SHARE
        nodes[placed.node] = room


def _placed(need: Need, found: list[Room]) -> Placement | NoRoom:
    try:
        return place(need, found)
    except NoRoom as refused:
        return refused
