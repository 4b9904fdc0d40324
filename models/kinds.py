"""What each kind of order is for the queue: who runs it, what it loads, how urgent it is, how often it may be tried."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum, auto
from typing import Annotated

from pydantic import AfterValidator, Field


class Rank(StrEnum):
    """Priority classes, most urgent first; they share by WEIGHT, none ever starves."""

    URGENT = auto()  # suspensions
    ORDER = auto()  # what a customer waits for
    MOVE = auto()  # migrations
    ROLLOUT = auto()  # updates of many
    UPKEEP = auto()  # observation, clean-up


WEIGHT: dict[Rank, int] = {Rank.URGENT: 16, Rank.ORDER: 8, Rank.MOVE: 4, Rank.ROLLOUT: 2, Rank.UPKEEP: 1}


class Load(StrEnum):
    """What a job costs the node it runs on; slots are counted per node and load."""

    CREATE = auto()  # unpacks or removes an image: heavy on the disk
    EXEC = auto()  # runs something in containers
    UPDATE = auto()  # upgrades packages or runs a script inside, for minutes
    LOOK = auto()  # reads
    MOVE_OUT = auto()  # a container leaves: reads its disk, fills the network
    MOVE_IN = auto()  # a container comes: writes its disk
    NONE = auto()  # touches no enrolled node


# A node's own row may say otherwise.
DEFAULT_SLOTS: dict[Load, int] = {Load.CREATE: 2, Load.EXEC: 8, Load.UPDATE: 8, Load.LOOK: 2, Load.MOVE_OUT: 4, Load.MOVE_IN: 4}


def _slotted(wanted: dict[str, int | None]) -> dict[str, int | None]:
    strange = sorted(set(wanted) - set(DEFAULT_SLOTS))
    if strange:
        raise ValueError(f"{strange[0][:40]!r} is no load; there are {', '.join(DEFAULT_SLOTS)}")
    if wanted.get(Load.LOOK) == 0:
        raise ValueError("without a slot for look vzq can tell nothing of a node any more; give it 1")
    return wanted


# What is to change of a node's slots: load → jobs at once (0: none is let go), None for the default.
Slots = Annotated[dict[str, Annotated[int, Field(strict=True, ge=0, le=256)] | None], AfterValidator(_slotted)]


# At so many dead workers a job counts as poison. Deaths that nobody saw (power, memory) are forgiven for long; when a
# worker sees the process die that had nothing but this job in hand, that counts for all but one of them.
CRASHES_OF_POISON = 5


@dataclass(frozen=True)
class Kind:
    """The queue's view of one kind of order."""

    family: str  # picks queue and actor: `SITE.FAMILY`
    load: Load
    rank: Rank
    attempts: int  # runs that may end in a Retryable; waits for an ill node are not counted
    deadline: timedelta  # from acceptance; then undone, or stuck past the pivot
    placed: bool = False  # a node, an id and addresses are reserved for it
    interrupts: bool = False  # may take a running container from its visitors without being asked to: its downtime is measured
    load_there: Load | None = None  # what it costs a second node, which must be free together with the first
    undisturbed: bool = False  # does not begin while somebody is inside the container: freezing it would end his command


def _verb(load: Load, rank: Rank = Rank.ORDER, *, interrupts: bool = False) -> Kind:
    return Kind("provision", load, rank, attempts=8, deadline=timedelta(hours=6), interrupts=interrupts)


KINDS: dict[str, Kind] = {
    "create-container": Kind("provision", Load.CREATE, Rank.ORDER, attempts=8, deadline=timedelta(hours=6), placed=True),
    "start-container": _verb(Load.EXEC),
    "stop-container": _verb(Load.EXEC),
    "restart-container": _verb(Load.EXEC, interrupts=True),
    "suspend-container": _verb(Load.EXEC, Rank.URGENT),
    "unsuspend-container": _verb(Load.EXEC, Rank.URGENT),
    "resize-container": _verb(Load.EXEC, interrupts=True),
    "reinstall-container": _verb(Load.CREATE, interrupts=True),
    "set-password": _verb(Load.EXEC),
    "set-hostname": _verb(Load.EXEC),
    "set-nameservers": _verb(Load.EXEC),
    "rename-container": _verb(Load.EXEC),
    "add-address": _verb(Load.EXEC),
    "remove-address": _verb(Load.EXEC),
    "terminate-container": _verb(Load.EXEC, Rank.URGENT),
    "revive-container": _verb(Load.EXEC),
    "purge-container": _verb(Load.CREATE, Rank.UPKEEP),
    "migrate-container": Kind(
        "migrate", Load.MOVE_OUT, Rank.MOVE, attempts=8, deadline=timedelta(hours=24), load_there=Load.MOVE_IN, interrupts=True, undisturbed=True
    ),
    "update-container": Kind("update", Load.UPDATE, Rank.ROLLOUT, attempts=3, deadline=timedelta(hours=24), interrupts=True),
    "adopt-container": Kind("provision", Load.EXEC, Rank.UPKEEP, attempts=3, deadline=timedelta(hours=1)),
    "clear-debris": Kind("provision", Load.CREATE, Rank.UPKEEP, attempts=3, deadline=timedelta(hours=1)),
    "exec-batch": Kind("exec", Load.EXEC, Rank.ORDER, attempts=20, deadline=timedelta(days=1)),  # tries to get through; it runs once
    "quarantine-container": _verb(Load.EXEC, Rank.URGENT),
    "reboot-node": Kind("inspect", Load.LOOK, Rank.MOVE, attempts=20, deadline=timedelta(hours=2)),
    "scan-host-key": Kind("inspect", Load.NONE, Rank.ORDER, attempts=1, deadline=timedelta(minutes=2)),
    "enrol-node": Kind("inspect", Load.NONE, Rank.ORDER, attempts=1, deadline=timedelta(minutes=10)),
    "observe-node": Kind("inspect", Load.LOOK, Rank.UPKEEP, attempts=3, deadline=timedelta(minutes=30)),
    "check-migration": Kind("inspect", Load.LOOK, Rank.ORDER, attempts=3, deadline=timedelta(minutes=10)),
    "check-update": Kind("inspect", Load.EXEC, Rank.ORDER, attempts=3, deadline=timedelta(hours=1)),
    "look-at-container": Kind("inspect", Load.LOOK, Rank.ORDER, attempts=3, deadline=timedelta(minutes=10)),
    "check-queue": Kind("inspect", Load.NONE, Rank.UPKEEP, attempts=1, deadline=timedelta(hours=1)),
}
FAMILIES = tuple(sorted({kind.family for kind in KINDS.values()}))
