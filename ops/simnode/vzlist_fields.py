"""The fields of vzlist 4.11: header, width, and the value as text and as JSON (which escapes nothing)."""

from collections.abc import Callable
from dataclasses import dataclass

from ops.simnode.conf import Conf
from ops.simnode.node_state import Running
from ops.simnode.options import PAGES, UNLIMITED, amount

PROCESSES = 6  # of a running container, as recorded
UBC_HEADERS = {
    "kmemsize": "KMEMSIZE", "lockedpages": "LOCKEDP", "privvmpages": "PRIVVMP", "shmpages": "SHMP", "numproc": "NPROC",
    "physpages": "PHYSP", "vmguarpages": "VMGUARP", "oomguarpages": "OOMGUARP", "numtcpsock": "NTCPSOCK",
    "numflock": "NFLOCK", "numpty": "NPTY", "numsiginfo": "NSIGINFO", "tcpsndbuf": "TCPSNDB", "tcprcvbuf": "TCPRCVB",
    "othersockbuf": "OTHSOCKB", "dgramrcvbuf": "DGRAMRB", "numothersock": "NOTHSOCK", "dcachesize": "DCACHESZ",
    "numfile": "NFILE", "numiptent": "NIPTENT", "swappages": "SWAPP",
}  # fmt: skip
UBC_PARTS = {"m": "maxheld", "b": "barrier", "l": "limit", "f": "failcnt"}


@dataclass(frozen=True)
class Row:
    """One container as vzlist sees it."""

    ctid: int
    conf: Conf
    state: Running
    status: str

    @property
    def vswap(self) -> bool:
        return bool(self.conf.get("PHYSPAGES"))

    def words(self, key: str) -> list[str]:
        return (self.conf.get(key) or "").split()

    def string(self, key: str) -> str | None:
        value = self.conf.get(key)
        return value.replace("$VEID", str(self.ctid)) if value else None

    def ubc(self, name: str) -> dict[str, int]:
        barrier, limit = _limits(self.conf.get(name.upper()) or "0:0", name)
        held = PROCESSES if name == "numproc" and self.state.running else 0
        return {"held": held, "maxheld": 0, "barrier": barrier, "limit": limit, "failcnt": 0}

    def disk(self, key: str) -> dict[str, int]:
        soft, hard = _limits(self.conf.get(key) or "0:0", key)
        return {"usage": 0, "softlimit": soft, "hardlimit": hard}


def _limits(text: str, name: str) -> tuple[int, int]:
    first, colon, second = text.partition(":")
    return _number(first, name), _number(second if colon else first, name)


def _number(text: str, name: str) -> int:
    """Pages, KiB, bytes or a count, whichever the parameter is counted in."""
    unit = 4096 if name in PAGES else 1024 if name == "DISKSPACE" else 1
    try:
        return UNLIMITED if text == "unlimited" else amount(text, unit=unit) // unit
    except ValueError:
        return 0


@dataclass(frozen=True)
class Field:
    """A column; a negative width is left-aligned. `json` None: not available there."""

    name: str
    header: str
    width: int
    text: Callable[[Row], object]
    json: Callable[[Row], object] | None


def quoted(value: str | None) -> str:
    """A JSON text as vzlist has it: it puts quotes around and escapes nothing."""
    return "null" if value is None else f'"{value}"'


def _json_list(words: list[str]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


def _json_object(values: dict[str, int]) -> str:
    return "{\n" + ",\n".join(f'      "{key}": {value}' for key, value in values.items()) + "\n    }"


def _switches(text: str | None) -> str:
    """`nfs:on,sit:off` as an object of booleans."""
    if not text:
        return "null"
    pairs = (word.partition(":") for word in text.split(","))
    return "{\n" + ",\n".join(f'      "{name}": {"true" if value == "on" else "false"}' for name, _, value in pairs) + "\n    }"


def _yes(value: str | None) -> str:
    return "null" if value is None else "true" if value == "yes" else "false"


def _string(name: str, key: str, width: int = -32) -> Field:
    return Field(name, name.upper(), width, lambda row: row.string(key), lambda row: quoted(row.string(key)))


def _number_field(name: str, header: str, key: str, width: int, missing: str = "0") -> Field:
    return Field(name, header, width, lambda row: row.conf.get(key), lambda row: row.conf.get(key) or missing)


def _ubc_fields(name: str) -> list[Field]:
    header = UBC_HEADERS[name]

    def held(row: Row) -> object:
        return row.ubc(name)["held"] if row.state.running else None

    def part(which: str) -> Callable[[Row], object]:
        return lambda row: row.ubc(name)[which] if which in ("barrier", "limit") or row.state.running else None

    fields = [Field(name, header, 10, held, lambda row: _json_object(row.ubc(name)))]
    fields += [Field(f"{name}.{short}", f"{header}.{short.upper()}", 10, part(which), None) for short, which in UBC_PARTS.items()]
    return fields


def _disk_fields(name: str, header: str) -> list[Field]:
    key = name.upper()
    return [
        Field(name, header, 10, lambda _: None, lambda row: _json_object(row.disk(key))),
        Field(f"{name}.s", f"{header}.S", 10, lambda row: row.disk(key)["softlimit"], None),
        Field(f"{name}.h", f"{header}.H", 10, lambda row: row.disk(key)["hardlimit"], None),
    ]


def _smart_json(row: Row) -> str:
    name = row.string("NAME")
    return quoted(name) if name else str(row.ctid)


ALL: list[Field] = [
    *(Field(name, "CTID", 10, lambda row: row.ctid, lambda row: row.ctid) for name in ("ctid", "veid", "vpsid")),
    _string("private", "VE_PRIVATE"),
    _string("root", "VE_ROOT"),
    _string("mount_opts", "MOUNT_OPTS"),
    _string("origin_sample", "ORIGIN_SAMPLE"),
    _string("hostname", "HOSTNAME"),
    _string("name", "NAME"),
    Field("smart_name", "SMARTNAME", -32, lambda row: row.string("NAME") or row.ctid, _smart_json),
    _string("description", "DESCRIPTION"),
    _string("ostemplate", "OSTEMPLATE"),
    Field("ip", "IP_ADDR", -15, lambda row: " ".join(row.words("IP_ADDRESS")), lambda row: _json_list(row.words("IP_ADDRESS"))),
    Field("nameserver", "NAMESERVER", -15, lambda row: " ".join(row.words("NAMESERVER")), lambda row: _json_list(row.words("NAMESERVER"))),
    Field("searchdomain", "SEARCHDOMAIN", -15, lambda row: " ".join(row.words("SEARCHDOMAIN")), lambda row: _json_list(row.words("SEARCHDOMAIN"))),
    Field("status", "STATUS", -9, lambda row: row.status, lambda row: quoted(row.status)),
    *(field for name in UBC_HEADERS for field in _ubc_fields(name)),
    *_disk_fields("diskspace", "DSPACE"),
    *_disk_fields("diskinodes", "DINODES"),
    Field("laverage", "LAVERAGE", 14, lambda _: None, lambda _: "null"),
    Field("uptime", "UPTIME", 15, lambda _: None, lambda _: "0.000"),
    _number_field("cpulimit", "CPULIM", "CPULIMIT", 7),
    _number_field("cpuunits", "CPUUNI", "CPUUNITS", 7, "null"),
    _number_field("cpus", "CPUS", "CPUS", 5),
    _number_field("ioprio", "IOP", "IOPRIO", 3),
    _number_field("iolimit", "IOLIMIT", "IOLIMIT", 10),
    _number_field("iopslimit", "IOPS", "IOPSLIMIT", 10),
    Field("onboot", "ONBOOT", 6, lambda row: row.conf.get("ONBOOT"), lambda row: _yes(row.conf.get("ONBOOT"))),
    _number_field("bootorder", "BOOTORDER", "BOOTORDER", 10, "null"),
    Field("layout", "LAYOUT", -6, lambda row: row.string("VE_LAYOUT") or "simfs", lambda row: quoted(row.string("VE_LAYOUT") or "simfs")),
    Field("features", "FEATURES", -15, lambda row: row.string("FEATURES"), lambda row: _switches(row.conf.get("FEATURES"))),
    Field("vswap", "VSWAP", 5, lambda row: "yes" if row.vswap else "no", lambda row: "true" if row.vswap else "false"),
    Field("disabled", "DISABL", 6, lambda row: row.conf.get("DISABLED") or "no", lambda row: _yes(row.conf.get("DISABLED") or "no")),
    _number_field("vm_overcommit", "VM_OVC", "VM_OVERCOMMIT", 6),
    Field("netfilter", "NETFILTER", -10, lambda row: row.string("NETFILTER"), lambda row: quoted(row.string("NETFILTER"))),
    Field("capability", "CAPABILITY", -15, lambda row: row.string("CAPABILITY"), lambda row: _switches(row.conf.get("CAPABILITY"))),
]  # fmt: skip
BY_NAME = {field.name: field for field in ALL}
