"""What a driver promises, and the values that pass between it and a plan. A driver makes Commands and reads
answers; it runs nothing, so every method is pure and the engine decides when and where a command runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from workers.commands import Command, Finished
from workers.openvz.inside import Ended, Script


@dataclass(frozen=True)
class Sight:
    """One container as the node shows it at one moment."""

    ctid: int
    exists: bool  # vzctl's word `exist`: private folder and conf are there. True while a create still works, or died
    mounted: bool
    running: bool  # also while frozen by an unfinished suspend
    suspended: bool
    conf: Mapping[str, str] | None  # CTID.conf, keys in capitals; None if there is none
    private: Literal["none", "empty", "full"]
    half_made: bool  # CTID.tmp is there: a create is at work or was killed
    locked_by: str | None = None  # who holds the lock, e.g. "pid 123, vzctl stop 207"
    stale_lock: bool = False  # the lock's process is dead; vzctl removes such a lock itself, vzmigrate never does
    migrated: bool = False  # CTID.conf.migrated: the copy that `vzmigrate -r no` keeps
    boot_id: str = ""
    aside: str | None = None  # the job that keeps an older container of this id aside, wholly or half put away
    left_by: str | None = None  # where there is no conf: the job whose mark is in CTID.conf.destroyed
    snapshots: tuple[str, ...] = ()  # ids of its ploop snapshots
    current_snapshot: str = ""  # the one its present state rests on
    fresh: bool = False  # seen by a survey only: not whole, and touched within the last hour
    disk_used_bytes: int | None = None  # seen by a survey only, of what is mounted

    @property
    def whole(self) -> bool:
        """A finished container; half true is not true."""
        return self.exists and self.private == "full" and not self.half_made

    @property
    def nothing(self) -> bool:
        """No trace of a container under this id (a `.destroyed` conf is no trace)."""
        return self.conf is None and self.private == "none" and not (self.half_made or self.migrated or self.running or self.aside)

    @property
    def half(self) -> bool:
        """What a killed create leaves: CTID.tmp, an empty private area, or a conf without one."""
        return self.half_made or self.private == "empty" or (self.conf is not None and self.private == "none")

    @property
    def marker(self) -> str | None:
        """The job that planted the conf; proof only together with the ledger."""
        return self._value("X_VZQ_JOB")

    @property
    def layout(self) -> str | None:
        """`simfs` or `ploop`, as far as the conf says."""
        value = self._value("VE_LAYOUT")
        return value.partition(":")[0] if value else None

    @property
    def template(self) -> str | None:
        """The OS template it was made from."""
        return self._value("OSTEMPLATE")

    @property
    def addresses(self) -> tuple[str, ...]:
        """Addresses in the conf, as written there."""
        return tuple((self._value("IP_ADDRESS") or "").split())

    def _value(self, key: str) -> str | None:
        return self.conf.get(key) if self.conf else None


@dataclass(frozen=True)
class Limits:
    """What a plan sells. Disk: soft and hard limit are the same figure, so that simfs and ploop give the same
    and placement's sums are true (ploop takes the hard one, simfs's grace would let a customer have more)."""

    ram_bytes: int
    swap_bytes: int
    disk_bytes: int
    inodes: int | None  # None: the sample's; ploop has no such limit
    cpus: int
    cpuunits: int


@dataclass(frozen=True)
class Identity:
    """What a container is called and whom it asks for names. Empty parts are left as they are, but an empty name is taken away."""

    hostname: str
    name: str | None = None  # "": it has none
    description: str = ""
    nameservers: tuple[str, ...] = ()
    searchdomain: str | None = None


@dataclass(frozen=True)
class Listed:
    """One line of the node's list. Containers without a private folder are not in it: see Abilities.ctids."""

    ctid: int
    status: str  # running, stopped, mounted, suspended
    name: str | None = None
    hostname: str | None = None
    addresses: tuple[str, ...] = ()
    template: str | None = None
    onboot: bool | None = None  # None: as it was before the node went down
    disk_used_bytes: int | None = None  # None: nobody counts while it is not mounted


@dataclass(frozen=True)
class Flow:
    """What passed through a container's own network interfaces (venet, eth) since it was started."""

    life: str  # differs after every start
    in_bytes: int
    out_bytes: int
    by: tuple[str, ...] = ()  # the interfaces; none: there is nothing that could be counted


@dataclass(frozen=True)
class Abilities:
    """What a node can do and has, learned by `facts`. Figures are of the moment they were read."""

    dialect: str  # "vzctl" or "prlctl"
    version: str
    openvz: bool  # an OpenVZ kernel; else vzctl on name spaces and cgroups
    vswap: bool  # --ram and --swap are understood
    ploop: bool
    checkpointing: bool  # what suspend and online migration need
    kernel: str
    arch: str
    cpus: int
    memory_bytes: int
    swap_bytes: int
    disk_bytes: int  # of the file system of the private areas
    disk_free_bytes: int
    inodes_free: int | None  # None: the file system does not say
    memory_free_bytes: int | None = None  # None: kernels before 3.14 do not say
    hostname: str = ""
    boot_id: str = ""
    time_s: int = 0  # the node's clock, seconds since 1970; compare it with the time of the answer
    default_layout: str = ""
    ssh_mux: bool = False  # its vzmigrate can keep one ssh connection open, which halves the freeze (facts §11)
    cpu_flags: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()
    ctids: tuple[int, ...] = field(default=())  # every id with a conf, a private area or leftovers: none may be given out

    @property
    def layouts(self) -> tuple[str, ...]:
        """Layouts that work here."""
        return ("simfs", "ploop") if self.ploop else ("simfs",)

    @property
    def layout(self) -> str:
        """The layout to make containers with: the node's default if it works, else simfs."""
        default = self.default_layout or "ploop"  # vzctl's own default since 4.0
        return default if default in self.layouts else "simfs"

    @property
    def sample(self) -> str | None:
        """The sample to plant a conf from: one that carries what this kernel asks for; None if there is none."""
        first = sorted(self.samples, key=lambda name: name not in ("vswap-256m", "vswap-512m", "basic"))
        vswap = [name for name in first if name.startswith("vswap")]
        plain = [name for name in first if name in ("basic", "light")]
        liked = vswap + plain if self.vswap else plain + vswap  # without vswap a start needs all beancounters (28)
        return next(iter([*liked, *first]), None)


class Driver(Protocol):
    """One dialect. Commands that change a container must only be sent after a look: `set` of a missing one writes
    a stray conf and says 0, and several commands say 0 and did nothing (facts §11), so look again afterwards.
    Methods that make a Command raise Permanent if a word is not on the whitelist."""

    def look(self, ctid: int) -> Command: ...
    def sight(self, answer: Finished) -> Sight: ...
    def facts(self) -> Command: ...
    def abilities(self, answer: Finished) -> Abilities: ...
    def listing(self) -> Command: ...
    def listed(self, answer: Finished) -> list[Listed]: ...
    def survey(self) -> Command: ...
    def surveyed(self, answer: Finished) -> list[Sight]: ...
    def traffic(self) -> Command: ...
    def flows(self, answer: Finished) -> dict[int, Flow]: ...

    def plant(self, ctid: int, job: str, *, sample: str, layout: str) -> Command: ...
    def clean(self, ctid: int, job: str) -> Command: ...
    def unplant(self, ctid: int, job: str) -> Command: ...
    def adopt(self, ctid: int, job: str) -> Command: ...
    def disown(self, ctid: int, job: str) -> Command: ...
    def unlock(self, ctid: int) -> Command: ...
    def sweep(self, ctid: int) -> Command: ...
    def create(self, ctid: int, *, template: str, layout: str, limits: Limits) -> Command: ...
    def destroy(self, ctid: int) -> Command: ...

    def aside(self, ctid: int, job: str, owner: str) -> Command: ...
    def back(self, ctid: int, job: str) -> Command: ...
    def drop(self, ctid: int, job: str) -> Command: ...
    def keys(self, ctid: int, job: str) -> Command: ...
    def usage(self, ctid: int) -> Command: ...
    def used(self, answer: Finished) -> int: ...

    def set_limits(self, ctid: int, limits: Limits) -> Command: ...
    def set_identity(self, ctid: int, identity: Identity) -> Command: ...
    def add_addresses(self, ctid: int, addresses: Sequence[str]) -> Command: ...
    def remove_addresses(self, ctid: int, addresses: Sequence[str]) -> Command: ...
    def set_onboot(self, ctid: int, *, onboot: bool) -> Command: ...
    def set_disabled(self, ctid: int, *, disabled: bool) -> Command: ...
    def set_password(self, ctid: int, user: str, password: str) -> Command: ...

    def start(self, ctid: int) -> Command: ...
    def stop(self, ctid: int, *, fast: bool = False) -> Command: ...
    def umount(self, ctid: int) -> Command: ...
    def snapshot(self, ctid: int, name: str) -> Command: ...
    def snapshot_switch(self, ctid: int, name: str) -> Command: ...
    def snapshot_delete(self, ctid: int, name: str) -> Command: ...
    def exec_true(self, ctid: int) -> Command: ...
    def run_script(self, ctid: int, script: Script, job: str) -> Command: ...
    def told(self, answer: Finished) -> Ended: ...

    def judge(self, command: Command, answer: Finished) -> None: ...

    def limits(self, sight: Sight) -> Limits: ...
    def has_limits(self, sight: Sight, limits: Limits) -> bool: ...
    def has_identity(self, sight: Sight, identity: Identity) -> bool: ...
    def has_addresses(self, sight: Sight, addresses: Sequence[str]) -> bool: ...
    def has_onboot(self, sight: Sight, *, onboot: bool) -> bool: ...
    def has_disabled(self, sight: Sight, *, disabled: bool) -> bool: ...
