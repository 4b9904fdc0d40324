"""May this container go there so? Pure: what both nodes show in, everything that is in the way out, each with its name.

vzmigrate checks some of it itself, but not space, memory, stopped containers, leftovers, mounts or clocks (facts §5.4),
and what it finds late costs a frozen container.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address

from workers.commands import Finished
from workers.openvz.driver import Abilities, Sight
from workers.openvz.sights import Answer

CLOCKS = timedelta(seconds=5)  # processes see the time leap by so much
DISK_SPARE = 1 << 30  # what the target's file system keeps free
INODES_SPARE = 10_000
DUMP_SHARE = 1.2  # an image of memory is a little larger than what is in it
PASSING = frozenset({"locked", "session"})  # these pass by themselves: a move waits for them, a check names them


@dataclass(frozen=True)
class Refusal:
    """One thing in the way: a code for machines, a sentence that says what to do."""

    code: str
    why: str


@dataclass(frozen=True)
class NodeFacts:
    """What one node shows, as far as the move is concerned."""

    name: str
    sight: Sight
    abilities: Abilities
    cpt_version: int | None = None
    cpu_caps: int | None = None
    caps_fit: bool | None = None  # asked on the source with the target's figure
    service: str = "unknown"
    vzmigrate: bool = True
    dump_free_bytes: int | None = None
    memory_bytes: int | None = None  # what the container's processes hold
    sessions: tuple[str, ...] = ()  # pids of exec and enter
    mounts: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    snapshots: int = 0
    traces: tuple[str, ...] = ()  # files of this id
    peer_keys: tuple[str, ...] = ()  # host keys that the other node shows to this one; empty: it does not answer
    at_s: float = 0.0  # when the answer came, by our clock


@dataclass(frozen=True)
class Wish:
    """What is asked for."""

    ctid: int
    online: bool
    running: bool  # it should run, by the books
    ram_bytes: int
    used_bytes: int | None  # of disk; None: nobody counted
    addresses: Sequence[str]
    name: str | None
    host_key: str  # the target's, as it is pinned
    user: str = "root"  # as whom the target is reached


def refusals(source: NodeFacts, target: NodeFacts, others: Sequence[Sight], wish: Wish) -> list[Refusal]:
    """Everything that is in the way; `others` are the containers on the target, running or not."""
    found = [*_of_source(source, wish), *_of_target(target, wish), *_conflicts(target, others, wish), *_between(source, target, wish)]
    return [*found, *_online(source, target, wish)] if wish.online else found


def _of_source(source: NodeFacts, wish: Wish) -> Iterator[Refusal]:
    ct, at, sight = wish.ctid, source.name, source.sight
    if not sight.whole:
        yield Refusal("not-whole", f"container {ct} is not whole on {at}; see `vzq finding list`")
    if sight.locked_by is not None:
        yield Refusal("locked", f"container {ct} is locked on {at} by {sight.locked_by}; wait for its end")
    if sight.aside is not None:
        yield Refusal("aside", f"job {sight.aside} keeps an older system of container {ct} aside on {at}; resolve that job first")
    if wish.running and not sight.running and not sight.suspended:
        yield Refusal("not-running", f"container {ct} should run and does not on {at}; start or stop it first (`vzq container start {ct}`)")
    if not source.vzmigrate:
        yield Refusal("no-vzmigrate", f"there is no vzmigrate on {at}; install it")
    if source.mounts:
        yield Refusal("mount", f"{', '.join(source.mounts[:3])} is mounted inside container {ct} on {at} and cannot move; unmount it first")
    if source.scripts:
        listed = ", ".join(source.scripts)
        yield Refusal("script", f"{listed} on {at} may mount what {ct} does not find elsewhere; take them away, or move it by hand")
    if source.snapshots:
        yield Refusal("snapshot", f"container {ct} has {source.snapshots} snapshots on {at}; delete them first (vzctl snapshot-delete)")
    if source.sessions:
        yield Refusal("session", f"{len(source.sessions)} exec or enter sessions are open in container {ct} on {at}; they would die with it")


def _of_target(target: NodeFacts, wish: Wish) -> Iterator[Refusal]:
    at, has = target.name, target.abilities
    if wish.user != "root":
        yield Refusal("user", f"{at} is reached as {wish.user}, and vzmigrate logs in as root only; enrol the node as root")
    if target.service == "stopped":
        yield Refusal("service", f"the vz service does not run on {at}; start it (/etc/init.d/vz start)")
    if wish.used_bytes is not None and has.disk_free_bytes < wish.used_bytes + DISK_SPARE:
        yield Refusal("disk", f"{at} has {_mib(has.disk_free_bytes)} MiB of disk free, {_mib(wish.used_bytes + DISK_SPARE)} are needed; free some")
    if has.inodes_free is not None and has.inodes_free < INODES_SPARE:
        yield Refusal("inodes", f"{at} has only {has.inodes_free} inodes free; remove small files there, or choose another node")
    if has.memory_free_bytes is not None and wish.running and has.memory_free_bytes < wish.ram_bytes // 4:
        yield Refusal("memory", f"{at} has {_mib(has.memory_free_bytes)} MiB of memory free now, too little for {_mib(wish.ram_bytes)}")


def _conflicts(target: NodeFacts, others: Sequence[Sight], wish: Wish) -> Iterator[Refusal]:
    at = target.name
    if target.traces:
        listed = ", ".join(target.traces[:4])
        yield Refusal("id", f"{listed} is on {at} already: the id {wish.ctid} is taken there; look at it, then remove or rename it")
    mine = {_plain(address) for address in wish.addresses}
    for other in others:
        if other.ctid == wish.ctid:
            continue
        shared = sorted(mine & {_plain(address) for address in other.addresses})
        if shared:
            yield Refusal("address", f"container {other.ctid} on {at} has {', '.join(shared)} too; take it away there (vzctl set --ipdel)")
        if wish.name and (other.conf or {}).get("NAME") == wish.name:
            yield Refusal("name", f"container {other.ctid} on {at} is named {wish.name} too; rename one of them")


def _between(source: NodeFacts, target: NodeFacts, wish: Wish) -> Iterator[Refusal]:
    old, new = source.abilities, target.abilities
    where = f"{source.name} and {target.name}"
    if old.openvz != new.openvz:
        yield Refusal("kernel", f"only one of {where} has an OpenVZ kernel ({old.kernel}, {new.kernel}); choose another node")
    if old.arch != new.arch:
        yield Refusal("machine", f"{source.name} is {old.arch} and {target.name} {new.arch}; choose another node")
    if source.sight.layout == "ploop" and not new.ploop:
        yield Refusal("layout", f"container {wish.ctid} is on ploop, which {target.name} does not know; choose another node")
    if old.vswap and not new.vswap:
        yield Refusal("vswap", f"{target.name} has no vswap and container {wish.ctid} is set up for it; choose another node")
    apart = abs((old.time_s - source.at_s) - (new.time_s - target.at_s))
    if old.time_s and new.time_s and apart > CLOCKS.total_seconds():
        yield Refusal("clock", f"the clocks of {where} are {apart:.0f} s apart; set them right (ntpd, chrony)")
    if not source.peer_keys:
        yield Refusal("ssh", f"{source.name} does not reach the sshd of {target.name}; see address, port and firewall between them")
    elif not _same_key(wish.host_key, source.peer_keys):
        yield Refusal("host-key", f"{source.name} is shown another host key than the one pinned for {target.name}; find out who answers there")


def _online(source: NodeFacts, target: NodeFacts, wish: Wish) -> Iterator[Refusal]:
    old, new = source.abilities, target.abilities
    for facts in (source, target):
        if not facts.abilities.checkpointing:
            lacks = "/proc/cpt or /proc/rst" if facts.abilities.openvz else "criu"
            yield Refusal("checkpoint", f"{facts.name} cannot checkpoint ({lacks} is missing); order it offline")
    if source.sight.suspended:
        yield Refusal("suspended", f"container {wish.ctid} is suspended on {source.name}; it moves offline and stays suspended")
    if source.cpt_version is not None and target.cpt_version is not None and source.cpt_version > target.cpt_version:
        yield Refusal("cpt-version", f"{target.name} ({new.kernel}) reads no checkpoints of {old.kernel}; choose another node or offline")
    if source.caps_fit is False:
        yield Refusal("cpu", f"container {wish.ctid} uses features of its processor that {target.name} lacks; choose another node or offline")
    missing = sorted(set(old.cpu_flags) - set(new.cpu_flags)) if source.caps_fit is None and old.cpu_flags and new.cpu_flags else []
    if missing:
        yield Refusal("cpu", f"the processor of {target.name} lacks {', '.join(missing[:6])}; choose another node or order it offline")
    need = int((source.memory_bytes if source.memory_bytes is not None else 0) * DUMP_SHARE)
    for facts in (source, target):
        if facts.dump_free_bytes is not None and facts.dump_free_bytes < need:
            has = f"{_mib(facts.dump_free_bytes)} MiB"
            yield Refusal("dump-space", f"DUMPDIR of {facts.name} has {has} free, its memory needs {_mib(need)} MiB; free some or order it offline")


def read_facts(name: str, sight: Sight, abilities: Abilities, answer: Finished, *, at_s: float) -> NodeFacts:
    """What `vzq-mv facts` printed, with what was learned beside it."""
    said = Answer("vzq-mv1 facts", answer)

    def size(key: str) -> int | None:
        kib = said.number(key)
        return None if kib is None else kib * 1024

    return NodeFacts(
        name=name,
        sight=sight,
        abilities=abilities,
        cpt_version=said.number("cpt_version"),
        cpu_caps=said.number("cpu_caps"),
        caps_fit=_caps_fit(said),
        service=said.text("service"),
        vzmigrate=said.flag("vzmigrate"),
        dump_free_bytes=size("dump_free_kib"),
        memory_bytes=size("memory_kib"),
        sessions=tuple(said.all("session")),
        mounts=tuple(said.all("mount")),
        scripts=tuple(said.all("script")),
        snapshots=said.number("snapshots") or 0,
        traces=tuple(said.all("trace")),
        peer_keys=tuple(said.all("peer_key")),
        at_s=at_s,
    )


def read_caps_fit(answer: Finished) -> bool | None:
    """Whether the container makes do with the figure that was asked about; None where the node cannot tell."""
    return _caps_fit(Answer("vzq-mv1 facts", answer))


def _caps_fit(said: Answer) -> bool | None:
    return {"yes": True, "no": False}.get(said.text("caps_fit"))


def as_json(found: Sequence[Refusal]) -> list[Mapping[str, str]]:
    """For a job's result."""
    return [{"code": refusal.code, "why": refusal.why} for refusal in found]


def _same_key(pinned: str, shown: Sequence[str]) -> bool:
    return pinned.split()[:2] in [key.split()[:2] for key in shown]


def _plain(address: str) -> str:
    try:
        return str(ip_address(address.partition("/")[0]))
    except ValueError:
        return address


def _mib(size: int) -> int:
    return size >> 20
