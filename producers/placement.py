"""Which node takes a new container, and why not the others. Pure: no database, no clock."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from producers.refusals import NoRoom

DISK_SHARE = 0.95  # of /vz: simfs needs some room of its own


@dataclass(frozen=True)
class Need:
    """What a container asks of a node."""

    ram_bytes: int
    disk_bytes: int
    template: str
    node: str | None = None  # this one and no other
    require: Mapping[str, str] = field(default_factory=dict)  # labels the node must have
    kernel: str = ""  # what the node's kernel release must begin with
    dialect: str = ""  # whose tools it must have
    spread: bool = False  # on no node with another container of the customer; away from its failure domains if possible


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
    labels: Mapping[str, str] = field(default_factory=dict)
    containers: int = 0
    containers_max: int | None = None
    kernel: str = ""
    dialect: str = ""
    same_customer: int = 0  # containers of the order's customer on this node
    same_domain: int = 0  # and in its failure domain


@dataclass(frozen=True)
class Placement:
    """The node chosen, and for each other node why not that one."""

    node: str
    because: str
    others: dict[str, str]


def place(need: Need, rooms: Iterable[Room]) -> Placement:
    """The node that is least full after taking it, and farthest from the customer's others; raises NoRoom with a reason for each node."""
    refused: dict[str, str] = {}
    fitting: list[tuple[int, float, str]] = []
    for room in rooms:
        why = objection(need, room)
        if why:
            refused[room.node] = why
        else:
            fitting.append((room.same_domain if need.spread else 0, fullness(need, room), room.node))
    if not fitting:
        if not refused:
            raise NoRoom("no node is enrolled at this site; add one with `vzq node add`", {})
        raise NoRoom("no node can take it", refused)
    fitting.sort()
    near, share, node = fitting[0]
    for other_near, other_share, other in fitting[1:]:
        closer = f"nearer to {other_near} of the customer's others"
        refused[other] = closer if other_near > near else f"fuller ({other_share:.0%} after taking it)"
    return Placement(node, f"least full ({share:.0%} after taking it)", refused)


def objection(need: Need, room: Room) -> str:
    """The first reason why this node cannot take it, or an empty string."""
    return next(_objections(need, room), "")


def _objections(need: Need, room: Room) -> Iterator[str]:
    if need.node is not None and need.node != room.node:
        yield f"the order names {need.node}"
    if room.closed:
        yield room.closed
    yield from _wrong_machine(need, room)
    if need.spread and room.same_customer:
        yield f"has {room.same_customer} of the customer's containers already"
    if room.containers_max is not None and room.containers >= room.containers_max:
        yield f"has its {room.containers_max} containers"
    if need.template not in room.templates:
        yield f"has no template {need.template}"
    if room.memory_taken + need.ram_bytes > room.memory_bytes:
        yield f"memory: {_mib(room.memory_bytes - room.memory_taken)} MiB free, {_mib(need.ram_bytes)} MiB needed"
    free_disk = int(room.disk_bytes * DISK_SHARE) - room.disk_taken
    if need.disk_bytes > free_disk:
        yield f"disk: {_mib(free_disk)} MiB free, {_mib(need.disk_bytes)} MiB needed"


def _wrong_machine(need: Need, room: Room) -> Iterator[str]:
    lacking = [f"{key}={value}" for key, value in need.require.items() if room.labels.get(key) != value]
    if lacking:
        yield f"is not labelled {', '.join(lacking)}"
    if need.dialect and room.dialect != need.dialect:
        yield f"has the tools of {room.dialect or 'nobody knows whom'}, the order wants {need.dialect}"
    if need.kernel and not _begins(room.kernel, need.kernel):
        yield f"runs kernel {room.kernel or 'nobody knows which'}, the order wants {need.kernel}"


def fullness(need: Need, room: Room) -> float:
    """The scarcer of memory and disk after taking it, 0 empty, 1 full."""
    return max(
        (room.memory_taken + need.ram_bytes) / room.memory_bytes,
        (room.disk_taken + need.disk_bytes) / (room.disk_bytes * DISK_SHARE),
    )


def _begins(release: str, wanted: str) -> bool:
    """2.6.3 is no beginning of 2.6.32."""
    return release.startswith(wanted) and not (wanted[-1:].isdigit() and release[len(wanted) : len(wanted) + 1].isdigit())


def _mib(count: int) -> int:
    return max(0, count) >> 20
