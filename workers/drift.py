"""Where a node differs from the rows. Pure: what the node shows and what the rows say in, differences out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from models.fleet import Container, ContainerState
from models.standing import Standing
from models.whitelist import JOB_ID
from workers.openvz.driver import Driver, Identity, Limits, Sight

STANDS = {Standing.RUNNING: "start-container", Standing.STOPPED: "stop-container", Standing.SUSPENDED: "suspend-container"}
STANDS |= {Standing.TERMINATED: "terminate-container"}
PAGE = 4096


@dataclass(frozen=True)
class Difference:
    """One thing that is not as the rows say, and the order that would mend it."""

    kind: str
    subject: str
    why: str  # a sentence for the operator
    repair: dict[str, Any] = field(default_factory=dict)  # empty: a person must look
    mark: str | None = None  # of an unknown container, where it is one of ours


@dataclass(frozen=True)
class Books:
    """What the rows say, as far as one node is concerned."""

    node: str
    containers: Mapping[int, Container] = field(default_factory=dict)  # of this node; reservations and barred ids too
    addresses: Mapping[int, Sequence[str]] = field(default_factory=dict)  # of those containers
    elsewhere: Mapping[int, str] = field(default_factory=dict)  # id → another node that has it, by its row or by its last look
    holders: Mapping[str, int] = field(default_factory=dict)  # address → whose it is by the rows, on whatever node
    strangers: Mapping[str, str] = field(default_factory=dict)  # address → another node on which a container has it that by the rows has not
    ended: Mapping[str, bool] = field(default_factory=dict)  # job whose mark was seen → has it ended; others this database does not know
    busy: frozenset[int] = frozenset()  # a job is at work on them, or was since the node was asked
    pooled: Callable[[str], bool] = lambda _address: False  # is it an address that we give out?


@dataclass(frozen=True)
class Strangers:
    """What is on the node without a row: it takes room. Taken are its addresses, and those that others have beyond what their rows say."""

    count: int
    ram_bytes: int
    disk_bytes: int
    addresses: tuple[str, ...]


def compare(sights: Sequence[Sight], books: Books, driver: Driver) -> list[Difference]:
    """All differences, by container; what a job is at work on is left out."""
    shown = {sight.ctid: sight for sight in sights}
    found: list[Difference] = []
    for ctid in sorted({*shown, *books.containers} - books.busy):
        found += _container(ctid, shown.get(ctid), books, driver)
    return [*found, *_shared(sights, books)]


def strangers(sights: Sequence[Sight], books: Books, driver: Driver) -> Strangers:
    """The sum over what has no row on this node; unlimited ones count as far as their limits can be read."""
    unknown = [sight for sight in sights if sight.exists and not _known(books.containers.get(sight.ctid))]
    limits = [driver.limits(sight) for sight in unknown]
    shown = {(address, sight.ctid) for sight in sights if sight.exists for address in plain_addresses(sight)}
    addresses = sorted({address for address, ctid in shown if books.holders.get(address) != ctid})
    return Strangers(len(unknown), sum(one.ram_bytes for one in limits), sum(one.disk_bytes for one in limits), tuple(addresses))


def plain_addresses(sight: Sight) -> list[str]:
    """The addresses of its conf in one spelling; what is no address is left out."""
    return [plain for address in sight.addresses if (plain := _plain(address)) is not None]


def _plain(address: str) -> str | None:
    bare = address.partition("/")[0]
    try:
        return None if "%" in bare else str(ip_address(bare))
    except ValueError:
        return None


def _known(row: Container | None) -> bool:
    return row is not None and row.state != ContainerState.FOREIGN


def _container(ctid: int, sight: Sight | None, books: Books, driver: Driver) -> Iterator[Difference]:
    row = books.containers.get(ctid)
    if row is not None and row.state == ContainerState.RESERVED:
        return
    if sight is not None and sight.stale_lock and not sight.half:  # debris is cleared with its lock
        yield _stale_lock(ctid, books)
    if _known(row) and row is not None:
        yield from _of_row(row, sight, books, driver)
    elif sight is not None and sight.whole:
        yield _unknown(sight, books, driver)
    elif sight is not None and not sight.nothing:
        yield _debris(sight, books)
    if sight is not None and sight.whole and ctid in books.elsewhere:
        other = books.elsewhere[ctid]
        yield Difference("twin", str(ctid), f"container {ctid} is on {books.node} and on {other}; destroy the wrong copy by hand")


def _stale_lock(ctid: int, books: Books) -> Difference:
    why = f"the lock of container {ctid} on {books.node} belongs to a dead process: vzctl takes it away with its next command, vzmigrate refuses (20)"
    return Difference("stale-lock", str(ctid), why, {"kind": "clear-debris", "node": books.node, "ctid": ctid})


_ENDED = {True: "has ended", False: "is still open", None: "this database does not know: it was restored, or another installation made it"}


def _unknown(sight: Sight, books: Books, driver: Driver) -> Difference:
    ct, limits = sight.ctid, driver.limits(sight)
    what = f"container {ct} ({'running' if sight.running else 'stopped'}, {limits.ram_bytes >> 20} MiB) is on {books.node} and not in the books"
    mark = sight.marker if sight.marker is not None and JOB_ID.fullmatch(sight.marker) else None
    if sight.marker is not None:
        what += f"; it carries the mark of job {_shown(sight.marker)}, which {_ENDED[books.ended.get(sight.marker)]}"
    if ct in books.elsewhere:
        return Difference("unknown-container", str(ct), f"{what}; {books.elsewhere[ct]} has the same id, so it cannot be adopted", mark=mark)
    return Difference("unknown-container", str(ct), what, {"kind": "adopt-container", "node": books.node, "ctid": ct}, mark)


def _debris(sight: Sight, books: Books) -> Difference:
    """What is left of a container; cleared by order only when it is proven whose it was, or when nobody touched it for an hour."""
    ct, mark = sight.ctid, sight.marker or sight.left_by
    repair = {"kind": "clear-debris", "node": books.node, "ctid": ct}
    look = "a person must look at it there"
    if sight.aside:
        what, repair = f"job {sight.aside} keeps an older system of container {ct} aside; {look}", {}
    elif sight.migrated:
        what, repair = f"the copy of container {ct} that `vzmigrate -r no` keeps; {look}", {}
    elif sight.private == "full":
        what, repair = f"files of a container {ct} without {'an end' if sight.conf is not None else 'a configuration'}; {look}", {}
    elif mark is not None and not JOB_ID.fullmatch(mark):
        what, repair = f"leftovers of container {ct} with the mark {_shown(mark)}, which is none of ours; {look}", {}
    elif mark is not None:
        what = f"what job {_shown(mark)} left of container {ct}"
        repair |= {"of": mark}
        if not books.ended.get(mark, not sight.fresh):
            what, repair = f"{what}; not to be cleared yet: the job is open, or was somebody else's within the last hour", {}
    elif sight.conf is not None:
        what, repair = f"a configuration of container {ct} without its files and without our mark; {look}", {}
    else:
        what = f"leftovers of container {ct} that bear nobody's mark"
        if sight.fresh:
            what, repair = f"{what}; touched within the last hour, so not to be cleared yet", {}
    return Difference("debris", str(ct), f"{what} (on {books.node})", repair)


def _of_row(row: Container, sight: Sight | None, books: Books, driver: Driver) -> Iterator[Difference]:
    ct, subject = row.ctid, str(row.ctid)
    if sight is None or not sight.exists or sight.private == "empty":
        purge = {"kind": "purge-container", "ctid": ct} if row.standing is Standing.TERMINATED and (sight is None or sight.nothing) else {}
        left = "nothing of it is there" if sight is None or sight.nothing else "only leftovers of it are there"
        now = "order the purge to close its row" if purge else "find its files or restore a backup, or terminate and purge it"
        yield Difference("missing-container", subject, f"container {ct} is not on {row.node}: {left}; {now}", purge)
    elif not sight.whole:
        yield Difference("debris", subject, f"CTID.tmp stands beside container {ct} on {row.node}: a create was killed there; a person must look")
    elif sight.marker != row.job_id:
        told = f"the mark of job {_shown(sight.marker)}" if sight.marker else "no mark of ours"
        why = f"container {ct} on {row.node} carries {told}: somebody made it anew, or the database was restored; adopt it if it is the right one"
        yield Difference("wrong-mark", subject, why, {"kind": "adopt-container", "node": row.node, "ctid": ct})
    else:
        yield from _addresses(row, sight, books, driver)  # first: a container answers only at an address that it has
        yield from _limits(row, sight, driver)
        yield from _names(row, sight, driver)
        yield from _standing(row, sight, driver)


def _standing(row: Container, sight: Sight, driver: Driver) -> Iterator[Difference]:
    """As the verbs bring it about (workers/plans/container.py): running or not, and who may start it."""
    disabled, onboot = driver.has_disabled(sight, disabled=True), driver.has_onboot(sight, onboot=True)
    kind, what = "wrong-standing", ""
    if row.standing is Standing.RUNNING:
        if not sight.running:
            what = "does not run"
        elif disabled:
            kind, what = "disabled-but-running", "runs, but is disabled: once stopped it cannot be started"
        elif not onboot:
            what = "runs, but will not start with its node"
    elif sight.running:
        what = "runs"
    elif onboot:
        what = "would start with its node"
    elif disabled is (row.standing is Standing.STOPPED):
        what = "is disabled" if disabled else "can be started"
    if what:
        why = f"container {row.ctid} on {row.node} {what}; it should be {row.standing}"
        yield Difference(kind, str(row.ctid), why, {"kind": STANDS[row.standing], "ctid": row.ctid})


def _limits(row: Container, sight: Sight, driver: Driver) -> Iterator[Difference]:
    """Sizes that the row does not know (0) are the node's own business."""
    wanted = Limits(row.ram_bytes, row.swap_bytes, row.disk_bytes, row.inodes, row.cpus, row.cpuunits)
    if driver.has_limits(sight, wanted):
        return
    has = driver.limits(sight)
    inodes = 0 if sight.layout == "ploop" else wanted.inodes
    pairs = [
        ("RAM", wanted.ram_bytes, has.ram_bytes, PAGE),
        ("swap", wanted.swap_bytes, has.swap_bytes, PAGE),
        ("disk", wanted.disk_bytes, has.disk_bytes, 1024),
        ("inodes", inodes or 0, has.inodes or 0, 1),
        ("cpus", wanted.cpus, has.cpus, 1),
        ("cpuunits", wanted.cpuunits, has.cpuunits, 1),
    ]
    wrong = [
        f"{name} {_size(there, unit)} instead of {_size(sold, unit)}"
        for name, sold, there, unit in pairs
        if (sold or (name == "swap" and there)) and -(-sold // unit) != -(-there // unit)
    ]
    if wrong:
        complete = all((row.ram_bytes, row.disk_bytes, row.cpus, row.cpuunits))
        repair: dict[str, Any] = {"kind": "resize-container", "ctid": row.ctid, "again": True} if complete else {}
        now = "" if complete else "; its row does not know all sizes, resize it to a plan"
        yield Difference("wrong-limits", str(row.ctid), f"container {row.ctid} on {row.node} has {', '.join(wrong)}{now}", repair)


def _size(amount: int, unit: int) -> str:
    return str(amount) if unit == 1 else f"{amount >> 20} MiB" if amount % (1 << 20) == 0 else f"{amount >> 10} KiB"


def _names(row: Container, sight: Sight, driver: Driver) -> Iterator[Difference]:
    conf = sight.conf or {}
    where = f"container {row.ctid} on {row.node}"
    if row.name and not driver.has_identity(sight, Identity("", name=row.name)):
        repair: dict[str, Any] = {"kind": "rename-container", "ctid": row.ctid, "name": row.name}
        yield Difference("wrong-name", str(row.ctid), f"{where} is named {_shown(conf.get('NAME'))} instead of {row.name}", repair)
    if row.hostname and not driver.has_identity(sight, Identity(row.hostname)):
        repair = {"kind": "set-hostname", "ctid": row.ctid, "hostname": row.hostname}
        yield Difference("wrong-hostname", str(row.ctid), f"{where} has host name {_shown(conf.get('HOSTNAME'))} instead of {row.hostname}", repair)
    if row.nameservers and not driver.has_identity(sight, Identity("", nameservers=tuple(row.nameservers))):
        repair = {"kind": "set-nameservers", "ctid": row.ctid, "nameservers": list(row.nameservers)}
        repair |= {"searchdomain": row.searchdomain} if row.searchdomain else {}
        why = f"{where} asks {_shown(conf.get('NAMESERVER'))} for names instead of {' '.join(row.nameservers)}"
        yield Difference("wrong-nameservers", str(row.ctid), why, repair)


def _addresses(row: Container, sight: Sight, books: Books, driver: Driver) -> Iterator[Difference]:
    """Addresses outside our pools are the customer's own business."""
    wanted = books.addresses.get(row.ctid, ())
    lacking = [address for address in wanted if not driver.has_addresses(sight, [address])]
    extra = [address for address in plain_addresses(sight) if address not in wanted and books.pooled(address)]
    what = [f"lacks {', '.join(lacking)}"] if lacking else []
    what += [f"has {', '.join(extra)}, not its own: take it away with `vzctl set {row.ctid} --ipdel ADDRESS --save`"] if extra else []
    if what:
        repair: dict[str, Any] = {"kind": "add-address", "ctid": row.ctid, "address": lacking[0]} if lacking else {}
        yield Difference("wrong-addresses", str(row.ctid), f"container {row.ctid} on {row.node} {' and '.join(what)}", repair)


def _shared(sights: Sequence[Sight], books: Books) -> Iterator[Difference]:
    users: dict[str, list[int]] = {}
    for sight in sights:
        for address in plain_addresses(sight) if sight.whole else ():
            users.setdefault(address, []).append(sight.ctid)
    shared: dict[int, list[str]] = {}
    for address, here in users.items():
        holder = books.holders.get(address)
        everyone = {*here, *({holder} if holder is not None else ())}
        for ctid in set(here):
            others = [f"container {other}" for other in sorted(everyone - {ctid})]
            if address in books.strangers and ctid not in books.elsewhere:
                others.append(f"a container on {books.strangers[address]} that has it without the books' knowing")
            if others and not everyone & books.busy:
                shared.setdefault(ctid, []).append(f"{address} with {', '.join(others)}")
    for ctid, what in sorted(shared.items()):
        why = f"container {ctid} on {books.node} shares {'; '.join(what)}: take the address away from the one whose it is not"
        yield Difference("shared-address", str(ctid), why)


def _shown(text: str | None) -> str:
    """What a node says, fit for a sentence: it may be anything."""
    if not text:
        return "nothing"
    plain = "".join(letter if letter.isprintable() and letter.isascii() else "?" for letter in text)
    return plain if len(plain) <= 60 else plain[:57] + "..."
