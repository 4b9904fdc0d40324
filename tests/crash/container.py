"""What the stand-in node keeps of one container id: its files, what the kernel runs of it, and what `vzq-ct look` tells of that."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import count

from tests.crash.copies import Copies

SAMPLE = {"CPUUNITS": "1000", "PHYSPAGES": "0:65536", "SWAPPAGES": "0:65536", "DISKSPACE": "2G:2.2G"}
MARK = "X_VZQ_JOB"
LIVE = ("PHYSPAGES", "SWAPPAGES", "CPUUNITS", "CPUS", "HOSTNAME", "IP_ADDRESS")  # what a running container takes at once, before the conf is written
_memories = count(1)


@dataclass
class Area:
    """A private area: one unpacked system, with what is in it."""

    number: int  # which unpacking under this id
    full: bool = False
    password: str = ""
    keys: str = ""
    complete: bool = True  # a copy: all of its files came over, while nobody wrote
    state: int = 0  # grows whenever it has been awake


@dataclass(frozen=True)
class Dump:
    """What vzmigrate has dumped of a running container."""

    memory: int
    live: dict[str, str]


@dataclass
class Kept:
    """An older system of the id, put aside for a reinstall."""

    job: str
    area: Area | None = None
    conf: dict[str, str] | None = None


@dataclass
class Container:
    """The files and the kernel's view of one id."""

    ctid: int
    conf: dict[str, str] | None = None
    destroyed: dict[str, str] | None = None  # CTID.conf.destroyed
    area: Area | None = None
    half_made: bool = False  # CTID.tmp
    mounted: bool = False
    running: bool = False
    frozen: bool = False  # it runs, and none of its processes does
    memory: int = 0  # which processes: another figure after every boot
    dump: Dump | None = None
    migrated: dict[str, str] | None = None  # CTID.conf.migrated
    copies: Copies = field(default_factory=Copies, repr=False)  # of all nodes
    live: dict[str, str] = field(default_factory=dict)  # what it runs with
    lock: object | None = None  # the process that holds it
    stale_lock: bool = False
    kept: Kept | None = None
    touched: bool = True  # something of it changed within the last hour
    made: int = 0  # systems that were ever unpacked under this id
    effects: Counter[str] = field(default_factory=Counter)  # what really happened, since the order was given
    history: list[str] = field(default_factory=list)  # what was started on it, in order
    strangers_from: int | None = None  # how much of the history there was when it became a stranger's

    def history_after_stranger(self) -> list[str]:
        """What may be asked of a stranger's container: nothing but questions and our own first claim, which is refused."""
        since = self.history[self.strangers_from or 0 :]
        return [word for word in since if word not in ("plant", "clean", "unplant", "back", "authorize", "revoke")]

    @property
    def awake(self) -> bool:
        """Its processes run."""
        return self.running and not self.frozen

    @property
    def private(self) -> str:
        return "none" if self.area is None else "full" if self.area.full else "empty"

    @property
    def nothing(self) -> bool:
        parts = (self.conf, self.area, self.kept, self.migrated, self.dump)
        return all(part is None for part in parts) and not (self.half_made or self.mounted or self.running)

    @property
    def owner(self) -> str | None:
        """Whose mark vzq-ct sees; "" when there is a conf without one."""
        if self.conf is not None:
            return self.conf.get(MARK, "")
        return self.destroyed.get(MARK) if self.destroyed else None

    @property
    def belongs_to(self) -> set[str]:
        """All jobs of whose work something is left under this id."""
        marks = {(self.conf or {}).get(MARK), (self.destroyed or {}).get(MARK), self.kept.job if self.kept else None}
        return {mark for mark in marks if mark}

    def boots(self) -> None:
        """The kernel starts it with what its conf says."""
        self.mounted = self.running = True
        self.frozen, self.memory = False, next(_memories)
        self.live = {key: (self.conf or {}).get(key, "") for key in LIVE}
        self.copies.woke(self)

    def halts(self) -> None:
        self.running, self.frozen, self.live = False, False, {}


def sight(c: Container, boot_id: str) -> str:
    """What `vzq-ct look` prints."""
    status = (
        "exist" if c.conf is not None and c.area is not None else "deleted",
        "mounted" if c.mounted else "unmounted",
        "running" if c.running else "down",
    )
    lock = "live" if c.lock is not None else "stale" if c.stale_lock else "none"
    left_by = c.destroyed.get(MARK, "") if c.conf is None and c.destroyed else ""
    lines = [
        f"vzq-ct1 look ctid={c.ctid}", f"status={' '.join(status)}", "status_rc=0", f"private={c.private}",
        f"half_made={'yes' if c.half_made else 'no'}",
        f"migrated={'yes' if c.migrated is not None else 'no'}", f"lock={lock}", "lock_pid=4711", f"lock_by=vzctl something {c.ctid}",
        f"boot_id={boot_id}", f"aside={c.kept.job if c.kept else ''}", f"left_by={left_by}", f"conf={'yes' if c.conf is not None else 'no'}",
    ]  # fmt: skip
    return "\n".join([*lines, *(f'|{key}="{value}"' for key, value in (c.conf or {}).items()), "end", ""])
