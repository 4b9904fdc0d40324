"""Is a container already as asked? Read from its conf; pure."""

from collections.abc import Sequence
from ipaddress import ip_address

from workers.openvz.conf import PAGE, barrier_of, limit_of
from workers.openvz.driver import Identity, Limits, Sight

KIB = 1024
MOST_BYTES = 1 << 50  # what no node has is no limit
MOST_CPUS, MOST_CPUUNITS = 4096, 500_000


def pages(size_bytes: int) -> int:
    """Bytes as whole pages, rounded up as vzctl does."""
    return -(-size_bytes // PAGE)


def kib(size_bytes: int) -> int:
    """Bytes as whole KiB, rounded up."""
    return -(-size_bytes // KIB)


def has_limits(sight: Sight, limits: Limits, *, vswap: bool) -> bool:
    """The conf carries these limits."""
    conf = sight.conf or {}
    if vswap:
        memory = limit_of(conf, "PHYSPAGES", unit=PAGE) == pages(limits.ram_bytes) * PAGE
        memory = memory and limit_of(conf, "SWAPPAGES", unit=PAGE) == pages(limits.swap_bytes) * PAGE
    else:
        memory = barrier_of(conf, "VMGUARPAGES", unit=PAGE) == pages(limits.ram_bytes) * PAGE
        memory = memory and limit_of(conf, "PRIVVMPAGES", unit=PAGE) == pages(limits.ram_bytes + limits.swap_bytes) * PAGE
    disk = limit_of(conf, "DISKSPACE", unit=KIB) == kib(limits.disk_bytes) * KIB
    inodes = limits.inodes is None or sight.layout == "ploop" or limit_of(conf, "DISKINODES") == limits.inodes
    return memory and disk and inodes and conf.get("CPUS") == str(limits.cpus) and conf.get("CPUUNITS") == str(limits.cpuunits)


def limits_of(sight: Sight, *, vswap: bool) -> Limits:
    """What the conf gives it; 0 stands for no limit, or for one that cannot be read. A conf with PHYSPAGES is a vswap one on any node."""
    conf = sight.conf or {}
    ram, swap = limit_of(conf, "PHYSPAGES", unit=PAGE), limit_of(conf, "SWAPPAGES", unit=PAGE)
    if not vswap or _bounded(ram) == 0:
        ram = barrier_of(conf, "VMGUARPAGES", unit=PAGE)
        both = _bounded(limit_of(conf, "PRIVVMPAGES", unit=PAGE))
        swap = max(0, both - _bounded(ram)) if both else 0
    return Limits(
        ram_bytes=_bounded(ram),
        swap_bytes=_bounded(swap),
        disk_bytes=_bounded(limit_of(conf, "DISKSPACE", unit=KIB)),
        inodes=_bounded(limit_of(conf, "DISKINODES")) or None,
        cpus=_bounded(limit_of(conf, "CPUS"), most=MOST_CPUS),
        cpuunits=_bounded(limit_of(conf, "CPUUNITS"), most=MOST_CPUUNITS),
    )


def _bounded(amount: int | None, *, most: int = MOST_BYTES) -> int:
    """The amount, or 0 for one that is no limit: whatever a node shows, sums over it must stay sums."""
    return amount if amount is not None and 0 < amount <= most else 0


def has_identity(sight: Sight, identity: Identity) -> bool:
    """The conf carries these names; parts that the identity leaves empty do not count."""
    conf = sight.conf or {}
    wanted = {
        "HOSTNAME": identity.hostname,
        "NAME": identity.name,
        "DESCRIPTION": identity.description,
        "SEARCHDOMAIN": identity.searchdomain,
    }
    same = all(not value or conf.get(key) == value for key, value in wanted.items())
    same = same and (identity.name != "" or not conf.get("NAME"))
    servers = [_plain(server) for server in conf.get("NAMESERVER", "").split()]
    return same and (not identity.nameservers or servers == [_plain(server) for server in identity.nameservers])


def has_addresses(sight: Sight, addresses: Sequence[str]) -> bool:
    """All these addresses are in the conf; others may be there too."""
    return not lacking(sight, addresses)


def lacking(sight: Sight, addresses: Sequence[str]) -> list[str]:
    """Those of the addresses that the conf does not have in any spelling."""
    there = {_plain(a) for a in sight.addresses}
    return [address for address in addresses if _plain(address) not in there]


def others(sight: Sight, addresses: Sequence[str]) -> list[str]:
    """What the conf has besides these addresses, as it spells it."""
    wanted = {_plain(address) for address in addresses}
    return [there for there in sight.addresses if _plain(there) not in wanted]


def spelt(sight: Sight, address: str) -> list[str]:
    """The address as the conf spells it, which is how vzctl finds it; empty if it is not there."""
    return [there for there in sight.addresses if _plain(there) == _plain(address)]


def has_onboot(sight: Sight, *, onboot: bool) -> bool:
    """The conf says outright whether it starts with the node."""
    return (sight.conf or {}).get("ONBOOT") == ("yes" if onboot else "no")


def has_disabled(sight: Sight, *, disabled: bool) -> bool:
    """Whether vzctl refuses to start it; a conf without the key says no."""
    return ((sight.conf or {}).get("DISABLED") == "yes") is disabled


def _plain(address: str) -> str:
    """One spelling for an address: no prefix length, IPv6 shortened."""
    bare = address.partition("/")[0]
    try:
        return str(ip_address(bare))
    except ValueError:
        return bare
