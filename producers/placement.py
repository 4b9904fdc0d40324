"""Which node takes a new container, and why not the others. Pure: no database, no clock."""

from collections.abc import Iterable
from dataclasses import dataclass

from producers.refusals import NoRoom

DISK_SHARE = 0.95  # of /vz: simfs needs some room of its own


@dataclass(frozen=True)
class Need:
    """What a container asks of a node."""

    ram_bytes: int
    disk_bytes: int
    template: str
    node: str | None = None  # this one and no other


@dataclass(frozen=True)
class Room:
    """A node as placement sees it; `taken` counts reservations too."""

    node: str
    memory_bytes: int
    memory_taken: int
    disk_bytes: int
    disk_taken: int
    templates: frozenset[str]
    closed: str = ""  # why it takes nothing new: "draining", "broken: disk full" …


@dataclass(frozen=True)
class Placement:
    """The node chosen, and for each other node why not that one."""

    node: str
    because: str
    others: dict[str, str]


def place(need: Need, rooms: Iterable[Room]) -> Placement:
    """The node that is least full after taking it; raises NoRoom with a reason for each node."""
    refused: dict[str, str] = {}
    fitting: list[tuple[float, str]] = []
    for room in rooms:
        why = objection(need, room)
        if why:
            refused[room.node] = why
        else:
            fitting.append((fullness(need, room), room.node))
    if not fitting:
        if not refused:
            raise NoRoom("no node is enrolled at this site; add one with `vzq node add`", {})
        raise NoRoom("no node can take it", refused)
    fitting.sort()
    share, node = fitting[0]
    for other_share, other in fitting[1:]:
        refused[other] = f"fuller ({other_share:.0%} after taking it)"
    return Placement(node, f"least full ({share:.0%} after taking it)", refused)


def objection(need: Need, room: Room) -> str:
    """Why this node cannot take it, or an empty string."""
    if need.node is not None and need.node != room.node:
        return f"the order names {need.node}"
    if room.closed:
        return room.closed
    if need.template not in room.templates:
        return f"has no template {need.template}"
    if room.memory_taken + need.ram_bytes > room.memory_bytes:
        return f"memory: {_mib(room.memory_bytes - room.memory_taken)} MiB free, {_mib(need.ram_bytes)} MiB needed"
    free_disk = int(room.disk_bytes * DISK_SHARE) - room.disk_taken
    if need.disk_bytes > free_disk:
        return f"disk: {_mib(free_disk)} MiB free, {_mib(need.disk_bytes)} MiB needed"
    return ""


def fullness(need: Need, room: Room) -> float:
    """The scarcer of memory and disk after taking it, 0 empty, 1 full."""
    return max(
        (room.memory_taken + need.ram_bytes) / room.memory_bytes,
        (room.disk_taken + need.disk_bytes) / (room.disk_bytes * DISK_SHARE),
    )


def _mib(count: int) -> int:
    return max(0, count) >> 20
