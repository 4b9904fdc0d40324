"""Which moves even a fleet out. Pure: nodes and containers in, moves out; the fewest and smallest that bring all within the margin."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """A node and how much of its memory is sold."""

    node: str
    memory_bytes: int
    taken_bytes: int


@dataclass(frozen=True)
class Movable:
    """A container that may move."""

    ctid: int
    node: str
    ram_bytes: int


@dataclass(frozen=True)
class Move:
    """One container from one node to another."""

    ctid: int
    source: str
    target: str


def even_out(nodes: Sequence[Share], containers: Sequence[Movable], *, margin: float, most: int) -> list[Move]:
    """Move from the fullest to the emptiest until all are within `margin` of each other (a part of 1), each container once, at most `most`.

    A move that would not bring the two nearer to each other is never made, so it ends.
    """
    taken = {share.node: share.taken_bytes for share in nodes}
    size = {share.node: share.memory_bytes for share in nodes if share.memory_bytes > 0}
    left = {one.ctid: one for one in containers}
    moves: list[Move] = []
    while len(size) > 1 and len(moves) < most:
        full = max(size, key=lambda node: (taken[node] / size[node], node))
        empty = min(size, key=lambda node: (taken[node] / size[node], node))
        spread = taken[full] / size[full] - taken[empty] / size[empty]
        best = min(
            (one for one in left.values() if one.node == full and one.ram_bytes > 0),
            key=lambda one: (abs(_spread_after(one, taken, size, full, empty)), one.ram_bytes, one.ctid),
            default=None,
        )
        if spread <= margin or best is None or abs(_spread_after(best, taken, size, full, empty)) >= spread:
            break
        moves.append(Move(best.ctid, full, empty))
        taken[full] -= best.ram_bytes
        taken[empty] += best.ram_bytes
        del left[best.ctid]
    return moves


def _spread_after(one: Movable, taken: dict[str, int], size: dict[str, int], full: str, empty: str) -> float:
    return (taken[full] - one.ram_bytes) / size[full] - (taken[empty] + one.ram_bytes) / size[empty]
