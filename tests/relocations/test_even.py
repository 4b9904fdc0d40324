"""Which moves even a fleet out: properties of the pure function."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.relocations.even import Movable, Move, Share, even_out

pytestmark = pytest.mark.quick
GIB = 2**30
SIZES = st.lists(st.integers(1, 64), min_size=2, max_size=6)
CONTAINERS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 16)), max_size=25)


def fleet(sizes: list[int], there: list[tuple[int, int]]) -> tuple[list[Share], list[Movable]]:
    containers = [Movable(1001 + index, f"n{place % len(sizes)}", ram * GIB) for index, (place, ram) in enumerate(there)]
    taken = {f"n{place}": sum(one.ram_bytes for one in containers if one.node == f"n{place}") for place in range(len(sizes))}
    return [Share(name, sizes[place] * GIB, taken[name]) for place, name in enumerate(taken)], containers


def parts(nodes: list[Share], containers: list[Movable], moves: list[Move]) -> list[float]:
    """How full each node is afterwards."""
    ram = {one.ctid: one.ram_bytes for one in containers}
    taken = {share.node: share.taken_bytes for share in nodes}
    for move in moves:
        taken[move.source] -= ram[move.ctid]
        taken[move.target] += ram[move.ctid]
    return [taken[share.node] / share.memory_bytes for share in nodes]


@given(SIZES, CONTAINERS, st.integers(0, 20))
def test_each_moves_once_from_where_it_is_and_at_most_so_many(sizes: list[int], there: list[tuple[int, int]], most: int) -> None:
    nodes, containers = fleet(sizes, there)
    moves = even_out(nodes, containers, margin=0.0, most=most)
    at = {one.ctid: one.node for one in containers}
    assert len(moves) <= most
    assert len({move.ctid for move in moves}) == len(moves)
    assert all(move.source == at[move.ctid] != move.target for move in moves)


@given(SIZES, CONTAINERS)
def test_no_move_makes_the_fullest_fuller_or_the_emptiest_emptier(sizes: list[int], there: list[tuple[int, int]]) -> None:
    nodes, containers = fleet(sizes, there)
    moves = even_out(nodes, containers, margin=0.0, most=100)
    for number in range(len(moves)):
        before, after = parts(nodes, containers, moves[:number]), parts(nodes, containers, moves[: number + 1])
        source, target = ([share.node for share in nodes].index(node) for node in (moves[number].source, moves[number].target))
        assert (before[source], before[target]) == (max(before), min(before))
        assert abs(after[source] - after[target]) < before[source] - before[target]


@given(SIZES, CONTAINERS, st.floats(0.01, 1.0))
def test_within_the_margin_nothing_moves(sizes: list[int], there: list[tuple[int, int]], margin: float) -> None:
    nodes, containers = fleet(sizes, there)
    full = parts(nodes, containers, [])
    moves = even_out(nodes, containers, margin=margin, most=100)
    assert bool(moves) is False or max(full) - min(full) > margin


def test_equal_nodes_end_within_the_margin_where_small_containers_allow_it() -> None:
    nodes, containers = fleet([32, 32, 32], [(0, 1)] * 12)
    moves = even_out(nodes, containers, margin=0.04, most=100)
    after = parts(nodes, containers, moves)
    assert max(after) - min(after) <= 0.04
    assert len(moves) == 8


def test_one_large_container_that_would_only_change_places_stays() -> None:
    nodes, containers = fleet([32, 32], [(0, 16)])
    assert even_out(nodes, containers, margin=0.1, most=10) == []
