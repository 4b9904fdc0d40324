"""What `vzctl set` and `vzctl create` accept: each option, how its value is checked and how CTID.conf keeps it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import ip_interface

from ops.simnode.calls import Refused

PAGE = 4096
UNLIMITED = 9_223_372_036_854_775_807
UNITS = {"B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": PAGE}
NUMBER = re.compile(r"(\d+(?:\.\d+)?)([BKMGTP]?)", re.IGNORECASE)
NAME = re.compile(r"[A-Za-z0-9 _+.-]{1,64}")

PAGES = ("lockedpages", "privvmpages", "shmpages", "physpages", "vmguarpages", "oomguarpages", "swappages")
BYTES = ("kmemsize", "tcpsndbuf", "tcprcvbuf", "othersockbuf", "dgramrcvbuf", "dcachesize")
COUNTS = ("numproc", "numtcpsock", "numflock", "numpty", "numsiginfo", "numothersock", "numfile", "numiptent", "avnumproc")

Check = Callable[[str], str]  # the text for CTID.conf; ValueError: not acceptable


def amount(text: str, *, unit: int) -> int:
    """Bytes of `1.5G`; a bare number counts in `unit` bytes."""
    found = NUMBER.fullmatch(text)
    if not found:
        raise ValueError(text)
    return int(Decimal(found[1]) * (UNITS[found[2].upper()] if found[2] else unit))  # a float would round the largest


def _pages(text: str) -> int:
    if text == "unlimited":
        return UNLIMITED
    return -(-amount(text, unit=PAGE) // PAGE)


def _bytes(text: str) -> int:
    return UNLIMITED if text == "unlimited" else amount(text, unit=1)


def _count(text: str) -> int:
    return UNLIMITED if text == "unlimited" else int(text)


def _kib(text: str) -> int:
    return UNLIMITED if text == "unlimited" else amount(text, unit=1024) // 1024


def pair(one: Callable[[str], int]) -> Check:
    """`a[:b]`, where one value stands for both."""

    def check(text: str) -> str:
        first, colon, second = text.partition(":")
        return f"{one(first)}:{one(second) if colon else one(first)}"

    return check


def memory(text: str) -> str:
    return f"0:{-(-amount(text, unit=1) // PAGE)}"


def whole(low: int = 0, high: int = 1 << 31) -> Check:
    def check(text: str) -> str:
        if not low <= int(text) <= high:
            raise ValueError(text)
        return text

    return check


def one_of(*words: str) -> Check:
    def check(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return check


def matching(pattern: str) -> Check:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text, re.DOTALL):
            raise ValueError(text)
        return text

    return check


def address(text: str) -> str:
    ip_interface(text)
    return text


def address_or_all(text: str) -> str:
    return text if text == "all" else address(text)


def io_limit(text: str) -> str:
    return "0" if text == "unlimited" else str(amount(text, unit=1 << 20))


anything = matching(".*")
switches = matching(r"[a-z_0-9]+:(on|off)(,[a-z_0-9]+:(on|off))*")


@dataclass(frozen=True)
class Option:
    """One option; `key` is its line in CTID.conf, empty where it has none."""

    check: Check | None  # None: a flag without a value
    key: str = ""
    many: bool = False  # repeated ones add up
    restart: bool = False  # a running container cannot take it


FLAG = Option(None)
CREATE_OPTIONS: Mapping[str, Option] = {
    "--ostemplate": Option(anything),
    "--config": Option(anything),
    "--layout": Option(matching("(simfs|ploop)(:(expanded|plain|raw))?")),
    "--diskspace": Option(pair(_kib)),
    "--diskinodes": Option(pair(_count)),
    "--private": Option(anything),
    "--root": Option(anything),
    "--ipadd": Option(address, many=True),
    "--hostname": Option(anything),
    "--name": Option(matching(NAME.pattern)),
    "--description": Option(anything),
    "--local_uid": Option(whole()),
    "--local_gid": Option(whole()),
}
SET_OPTIONS: Mapping[str, Option] = {
    **dict.fromkeys(("--save", "--force", "--reset_ub", "--offline-resize"), FLAG),
    "--private": Option(anything, "VE_PRIVATE"),
    "--root": Option(anything, "VE_ROOT"),
    "--setmode": Option(one_of("restart", "ignore")),
    "--ram": Option(memory, "PHYSPAGES"),
    "--swap": Option(memory, "SWAPPAGES"),
    "--vm_overcommit": Option(matching(r"\d+(\.\d+)?"), "VM_OVERCOMMIT"),
    **{f"--{name}": Option(pair(_pages), name.upper()) for name in PAGES},
    **{f"--{name}": Option(pair(_bytes), name.upper()) for name in BYTES},
    **{f"--{name}": Option(pair(_count), name.upper()) for name in COUNTS},
    "--diskspace": Option(pair(_kib), "DISKSPACE"),
    "--diskinodes": Option(pair(_count), "DISKINODES"),
    "--quotatime": Option(whole(), "QUOTATIME"),
    "--quotaugidlimit": Option(whole(), "QUOTAUGIDLIMIT", restart=True),
    "--diskquota": Option(one_of("yes", "no"), "DISK_QUOTA", restart=True),
    "--ipadd": Option(address, many=True),
    "--ipdel": Option(address_or_all, many=True),
    "--hostname": Option(anything, "HOSTNAME"),
    "--description": Option(anything, "DESCRIPTION"),
    "--nameserver": Option(lambda text: text if text == "inherit" else address(text), "NAMESERVER", many=True),
    "--searchdomain": Option(anything, "SEARCHDOMAIN", many=True),
    "--userpasswd": Option(matching("[^:]+:.+")),
    "--cpus": Option(whole(1), "CPUS"),
    "--cpulimit": Option(matching(r"\d+%?"), "CPULIMIT"),
    "--cpuunits": Option(whole(8, 500_000), "CPUUNITS"),
    "--cpumask": Option(matching(r"(all|auto|[\d,-]+)"), "CPUMASK"),
    "--nodemask": Option(matching(r"(all|[\d,-]+)"), "NODEMASK"),
    "--ioprio": Option(whole(0, 7), "IOPRIO"),
    "--iolimit": Option(io_limit, "IOLIMIT"),
    "--iopslimit": Option(whole(), "IOPSLIMIT"),
    "--onboot": Option(one_of("yes", "no"), "ONBOOT"),
    "--bootorder": Option(whole(), "BOOTORDER"),
    "--disabled": Option(one_of("yes", "no"), "DISABLED"),
    "--stop-timeout": Option(whole(), "STOP_TIMEOUT"),
    "--features": Option(switches, "FEATURES", restart=True),
    "--capability": Option(switches, "CAPABILITY", restart=True),
    "--netfilter": Option(one_of("disabled", "stateless", "stateful", "full"), "NETFILTER", restart=True),
    "--iptables": Option(anything, "IPTABLES", restart=True),
    "--mount_opts": Option(anything, "MOUNT_OPTS", restart=True),
    "--devnodes": Option(matching(r"[\w/.-]+:(none|[rwq]+)"), "DEVNODES"),
    "--devices": Option(matching(r"[bc]:\d+:(\d+|all)(:(none|[rwq]+))?"), "DEVICES"),
    "--netif_add": Option(anything, "NETIF"),
    "--netif_del": Option(anything),
    "--ostemplate": Option(anything, "OSTEMPLATE"),
    "--applyconfig": Option(anything),
    "--name": Option(matching(f"({NAME.pattern})?"), "NAME"),
}  # fmt: skip

# Where a key that is not in the file yet goes: vzctl writes new ones in this order.
SAVE_ORDER = (
    "VE_ROOT", "VE_PRIVATE",
    *(name.upper() for name in (*BYTES, *PAGES, *COUNTS)), "VM_OVERCOMMIT", "DISKSPACE", "DISKINODES", "QUOTATIME",
    "QUOTAUGIDLIMIT", "DISK_QUOTA", "OSTEMPLATE", "IP_ADDRESS", "HOSTNAME", "DESCRIPTION", "NAMESERVER", "SEARCHDOMAIN",
    "CPULIMIT", "CPUUNITS", "CPUS", "CPUMASK", "NODEMASK", "IOPRIO", "IOLIMIT", "IOPSLIMIT", "ONBOOT", "BOOTORDER",
    "FEATURES", "CAPABILITY", "NETFILTER", "IPTABLES", "MOUNT_OPTS", "DEVNODES", "DEVICES", "NETIF", "DISABLED",
    "STOP_TIMEOUT", "NAME",
)  # fmt: skip


def parsed(words: list[str], options: Mapping[str, Option]) -> dict[str, list[str]]:
    """Option → checked values in order (flags: one empty text); raises Refused 21 at the first that is wrong."""
    found: dict[str, list[str]] = {}
    rest = list(words)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        option = options.get(name)
        if option is None:
            raise Refused(21, f"vzctl: unrecognized option '{name}'" if name.startswith("-") else f"Invalid parameter: {name}")
        if option.check is None:
            found[name] = [""]
            continue
        if not equals:
            if not rest:
                raise Refused(21, f"vzctl: option '{name}' requires an argument")
            value = rest.pop(0)
        try:
            found.setdefault(name, []).append(option.check(value))
        except ValueError:
            raise Refused(21, f"Bad parameter for {name}: {value}") from None
    return found
