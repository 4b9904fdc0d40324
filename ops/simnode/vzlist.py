"""`vzlist`: which containers it shows, as a table or as its own kind of JSON."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from ops.simnode.calls import Call, Refused
from ops.simnode.conf import Conf
from ops.simnode.vzlist_fields import ALL, BY_NAME, Field, Row

DEFAULT = ["ctid", "numproc", "status", "ip", "hostname"]
WITH_NAMES = ["ctid", "numproc", "status", "ip", "smart_name"]


@dataclass
class Asked:
    """The options of one call."""

    ids: list[int] = field(default_factory=list)
    fields: list[Field] = field(default_factory=list)
    everything: bool = False
    stopped: bool = False
    header: bool = True
    json: bool = False
    trim: bool = True
    sort: str = "ctid"
    patterns: dict[str, str] = field(default_factory=dict)  # conf key → shell pattern


async def vzlist(call: Call) -> int:
    """Run one vzlist command line and return its exit code."""
    if "-L" in call.words or "--list" in call.words:
        await call.print("".join(f"{field.name:<15} {field.header:<15}\n" for field in ALL))
        return 0
    asked = _asked(call)
    if asked.json and (unfit := next((f for f in asked.fields if f.json is None), None)):
        raise Refused(1, f"Field `{unfit.name}' is not available in JSON output")
    await call.phase("begin", "listing")
    rows, hidden = await _rows(call, asked)
    if not rows and not hidden:
        if asked.json:
            await call.print("[]\n")
        else:
            await call.err("Container(s) not found")
        return 1 if asked.ids else 0
    rows = sorted(rows, key=lambda row: _sort_key(row, asked.sort.lstrip("-")), reverse=asked.sort.startswith("-"))
    await call.print(_json(rows, asked.fields or [f for f in ALL if f.json]) if asked.json else _table(rows, asked))
    return 0


def _asked(call: Call) -> Asked:
    asked, names = Asked(), list(DEFAULT)
    flags = {"-a": "everything", "--all": "everything", "-S": "stopped", "--stopped": "stopped", "-j": "json", "--json": "json"}
    takes = {"--output": "-o", "--sort": "-s", "--hostname": "-h", "--name_filter": "-N", "--description": "-d"}
    words = _apart(call.words)
    while words:
        word = takes.get(words[0], words[0])
        words.pop(0)
        if word in flags:
            setattr(asked, flags[word], True)
        elif word in ("-H", "--no-header"):
            asked.header = False
        elif word in ("-t", "--no-trim"):
            asked.trim = False
        elif word in ("-n", "--name"):
            names = list(WITH_NAMES)
        elif word in ("-1", "--ctid"):
            names, asked.header = ["ctid"], False
        elif word in ("-o", "-s", "-h", "-N", "-d"):
            if not words:
                raise Refused(1, f"vzlist: option requires an argument -- '{word[1:]}'")
            value = words.pop(0)
            if word == "-o":
                names = value.split(",")
                asked.fields = [_named(name) for name in names]
            elif word == "-s":
                _named(value.lstrip("-"))
                asked.sort = value
            else:
                asked.patterns[{"-h": "HOSTNAME", "-N": "NAME", "-d": "DESCRIPTION"}[word]] = value
        elif word.startswith("-"):
            raise Refused(1, f"vzlist: invalid option -- '{word.lstrip('-')}'")
        else:
            asked.ids.append(_ctid(call, word))
    if not asked.json and not asked.fields:
        asked.fields = [_named(name) for name in names]
    elif asked.json and names in (["ctid"], WITH_NAMES) and not asked.fields:
        asked.fields = [_named(name) for name in names]
    return asked


def _apart(words: list[str]) -> list[str]:
    """`-aHo a,b` as `-a -H -o a,b`, `--output=x` as `--output x`."""
    apart: list[str] = []
    for word in words:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            apart += [name, value] if equals else [name]
        elif word.startswith("-") and len(word) > 2 and not word[1:].isdigit() and not (apart and apart[-1] == "-s"):
            place = next((n for n, letter in enumerate(word) if letter in "oshNd"), len(word) - 1)
            apart += [f"-{letter}" for letter in word[1 : place + 1]]
            if word[place + 1 :]:
                apart.append(word[place + 1 :])
        else:
            apart.append(word)
    return apart


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
        if not (asked.everything or asked.ids or asked.stopped) and not state.running:
            continue
        await node.warn_of_broken_lines(call, ctid)
        conf = node.conf_of(ctid)
        if conf is None or (not state.running and not node.whole(ctid)) or not _matches(conf, asked):
            hidden = True
            continue
        mounted = state.running or await node.is_mounted(call, ctid)
        suspended = node.sandbox.dump(ctid).exists()
        status = "running" if state.running else "mounted" if mounted else "suspended" if suspended else "stopped"
        if asked.stopped and not asked.everything and status == "running":
            continue
        rows.append(Row(ctid, conf, state, status))
    return rows, hidden


def _matches(conf: Conf, asked: Asked) -> bool:
    return all(fnmatchcase(conf.get(key) or "", pattern) for key, pattern in asked.patterns.items())


def _sort_key(row: Row, name: str) -> tuple[int, float, str]:
    value = BY_NAME[name].text(row)
    return (0, float(value), "") if isinstance(value, int) else (1, 0.0, str(value or ""))


def _table(rows: list[Row], asked: Asked) -> str:
    lines = [[field.header for field in asked.fields]] if asked.header else []
    lines += [[_text(field, row) for field in asked.fields] for row in rows]
    return "".join(f"{_line(cells, asked)}\n" for cells in lines)


def _text(field: Field, row: Row) -> str:
    value = field.text(row)
    return "-" if value is None or value == "" else str(value)


def _line(cells: list[str], asked: Asked) -> str:
    shown = []
    for place, (cell, column) in enumerate(zip(cells, asked.fields, strict=True)):
        last = place == len(cells) - 1
        if column.width > 0:
            shown.append(f"{cell:>{column.width}}")
        elif last:
            shown.append(cell)
        else:
            shown.append(f"{cell[: -column.width] if asked.trim else cell:<{-column.width}}")
    return " ".join(shown)


def _json(rows: list[Row], fields: list[Field]) -> str:
    if not rows:
        return "[\n]\n"
    objects = []
    for row in rows:
        pairs = (f'    "{field.name}": {field.json(row)}' for field in fields if field.json)
        objects.append("  {\n" + ",\n".join(pairs) + "\n  }")
    return "[\n" + ",\n".join(objects) + "\n]\n"
