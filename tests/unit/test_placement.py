"""Which node, and why not the others."""

from typing import Any

import pytest

from producers.placement import Need, Room, place
from producers.refusals import NoRoom

pytestmark = pytest.mark.quick
GIB = 1 << 30
NEED = Need(1 * GIB, 10 * GIB, "debian")


def room(name: str = "n1", **given: Any) -> Room:
    fields: dict[str, Any] = {
        "memory_bytes": 16 * GIB,
        "memory_taken": 0,
        "disk_bytes": 100 * GIB,
        "disk_taken": 0,
        "templates": frozenset({"debian"}),
    }
    return Room(name, **(fields | given))


@pytest.mark.parametrize(
    ("refusing", "sentence"),
    [
        (room(closed="draining"), "draining"),
        (room(templates=frozenset()), "has no template debian"),
        (room(memory_taken=16 * GIB - 1), "memory: 0 MiB free, 1024 MiB needed"),
        (room(disk_taken=86 * GIB), "disk: 9216 MiB free, 10240 MiB needed"),
    ],
)
def test_a_node_that_cannot_take_it_says_why(refusing: Room, sentence: str) -> None:
    with pytest.raises(NoRoom) as refused:
        place(NEED, [refusing])
    assert refused.value.reasons == {"n1": sentence}
    assert place(NEED, [refusing, room("n2")]).others == {"n1": sentence}


def test_the_least_full_node_takes_it_and_the_scarcer_of_both_counts() -> None:
    chosen = place(NEED, [room("a", memory_taken=8 * GIB), room("b", disk_taken=80 * GIB), room("c", memory_taken=2 * GIB)])
    assert chosen.node == "c"
    assert set(chosen.others) == {"a", "b"}
    assert all(why.startswith("fuller (") for why in chosen.others.values())


def test_equal_nodes_are_taken_by_name_so_that_two_looks_agree() -> None:
    assert place(NEED, [room("b"), room("a")]).node == "a"


def test_the_last_byte_may_be_used() -> None:
    assert place(Need(16 * GIB, 95 * GIB, "debian"), [room()]).node == "n1"


def test_an_order_that_names_a_node_gets_that_one_or_none() -> None:
    named = Need(1 * GIB, 10 * GIB, "debian", node="b")
    assert place(named, [room("a"), room("b", memory_taken=14 * GIB)]).node == "b"
    with pytest.raises(NoRoom):
        place(named, [room("a")])


def test_a_site_without_nodes_says_how_to_add_one() -> None:
    with pytest.raises(NoRoom, match="vzq node add"):
        place(NEED, [])
