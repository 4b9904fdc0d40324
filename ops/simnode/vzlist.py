"""`vzlist`: which containers it shows, as a table or as its own kind of JSON."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from getopt import GetoptError, gnu_getopt

from ops.simnode.calls import Call, Refused
from ops.simnode.conf import Conf
from ops.simnode.vzlist_fields import ALL, BY_NAME, Field, Row

DEFAULT = ["ctid", "numproc", "status", "ip", "hostname"]
WITH_NAMES = ["ctid", "numproc", "status", "ip", "smart_name"]


SHORT = "aSHjtn1Lo:s:h:N:d:"
LONG = {  # long name → short one
    "all": "-a", "stopped": "-S", "no-header": "-H", "json": "-j", "no-trim": "-t", "name": "-n", "ctid": "-1", "list": "-L",
    "output=": "-o", "sort=": "-s", "hostname=": "-h", "name_filter=": "-N", "description=": "-d",
}  # fmt: skip
PATTERNS = {"-h": "HOSTNAME", "-N": "NAME", "-d": "DESCRIPTION"}


@dataclass(frozen=True)
class Asked:
    """The options of one call."""

    ids: list[int]
    given: dict[str, str]  # short option → its last value

    def has(self, option: str) -> bool:
        return option in self.given

    @property
    def fields(self) -> list[Field]:
        """The columns; all there are for JSON without a choice."""
        if self.has("-o"):
            return [_named(name) for name in self.given["-o"].split(",")]
        if self.has("-1"):
            return [_named("ctid")]
        if self.has("-j") and not self.has("-n"):
            return [field for field in ALL if field.json]
        return [_named(name) for name in (WITH_NAMES if self.has("-n") else DEFAULT)]

    @property
    def header(self) -> bool:
        return not (self.has("-H") or self.has("-1"))

    @property
    def wants_down(self) -> bool:
        """Containers that do not run are looked at too."""
        return self.has("-a") or self.has("-S") or bool(self.ids)

    def matches(self, conf: Conf) -> bool:
        return all(fnmatchcase(conf.get(key) or "", self.given[option]) for option, key in PATTERNS.items() if self.has(option))


async def vzlist(call: Call) -> int:
    """Run one vzlist command line and return its exit code."""
    asked = _asked(call)
    if asked.has("-L"):
        await call.print("".join(f"{field.name:<15} {field.header:<15}\n" for field in ALL))
        return 0
    fields, sort = asked.fields, asked.given.get("-s", "ctid")
    column = _named(sort.removeprefix("-"))
    if asked.has("-j") and (unfit := next((field for field in fields if field.json is None), None)):
        raise Refused(1, f"Field `{unfit.name}' is not available in JSON output")
    await call.phase("begin", "listing")
    rows, hidden = await _rows(call, asked)
    if not rows and not hidden:
        if asked.has("-j"):
            await call.print("[]\n")
        else:
            await call.err("Container(s) not found")
        return 1 if asked.ids else 0
    rows = sorted(rows, key=lambda row: _sort_key(row, column), reverse=sort.startswith("-"))
    await call.print(_json(rows, fields) if asked.has("-j") else _table(rows, fields, header=asked.header, trim=not asked.has("-t")))
    return 0


def _asked(call: Call) -> Asked:
    try:
        options, words = gnu_getopt(call.words, SHORT, list(LONG))
    except GetoptError as error:
        raise Refused(1, f"vzlist: {error.msg}") from None
    long = {f"--{name.removesuffix('=')}": short for name, short in LONG.items()}
    return Asked([_ctid(call, word) for word in words], {long.get(option, option): value for option, value in options})


def _named(name: str) -> Field:
    if name not in BY_NAME:
        raise Refused(1, f"Unknown field: {name}")
    return BY_NAME[name]


def _ctid(call: Call, word: str) -> int:
    link = call.node.sandbox.names_dir / word
    if word.isdigit():
        return int(word)
    if "/" not in word and link.is_symlink():
        return int(link.readlink().name.removesuffix(".conf"))
    raise Refused(1, f"Invalid CT ID: {word}")


async def _rows(call: Call, asked: Asked) -> tuple[list[Row], bool]:
    """What is shown, and whether something was found but hidden (a conf without its private area)."""
    node = call.node
    rows, hidden = [], False
    for ctid in node.sandbox.ctids():
        state = node.state(ctid)
        if asked.ids and ctid not in asked.ids:
            continue
        if not (asked.wants_down or state.running):
            continue
        await node.warn_of_broken_lines(call, ctid)
        conf = node.conf_of(ctid)
        if conf is None or (not state.running and not node.whole(ctid)) or not asked.matches(conf):
            hidden = True
            continue
        if asked.has("-S") and not asked.has("-a") and state.running:
            continue
        mounted = state.running or await node.is_mounted(call, ctid)
        suspended = node.sandbox.dump(ctid).exists()
        status = "running" if state.running else "mounted" if mounted else "suspended" if suspended else "stopped"
        rows.append(Row(ctid, conf, state, status))
    return rows, hidden


def _sort_key(row: Row, column: Field) -> tuple[int, float, str]:
    value = column.text(row)
    return (0, float(value), "") if isinstance(value, int) else (1, 0.0, str(value or ""))


def _table(rows: list[Row], fields: list[Field], *, header: bool, trim: bool) -> str:
    lines = [[field.header for field in fields]] if header else []
    lines += [[_text(field, row) for field in fields] for row in rows]
    return "".join(f"{_line(cells, fields, trim=trim)}\n" for cells in lines)


def _text(field: Field, row: Row) -> str:
    value = field.text(row)
    return "-" if value is None or value == "" else str(value)


def _line(cells: list[str], fields: list[Field], *, trim: bool) -> str:
    shown = []
    for cell, column in zip(cells[:-1], fields[:-1], strict=True):
        if column.width > 0:
            shown.append(f"{cell:>{column.width}}")
        else:
            shown.append(f"{cell[: -column.width] if trim else cell:<{-column.width}}")
    width = fields[-1].width  # the last column is never cut, and padded only on its left
    return " ".join([*shown, f"{cells[-1]:>{width}}" if width > 0 else cells[-1]])


def _json(rows: list[Row], fields: list[Field]) -> str:
    if not rows:
        return "[\n]\n"
    objects = []
    for row in rows:
        pairs = (f'    "{field.name}": {field.json(row)}' for field in fields if field.json)
        objects.append("  {\n" + ",\n".join(pairs) + "\n  }")
    return "[\n" + ",\n".join(objects) + "\n]\n"
