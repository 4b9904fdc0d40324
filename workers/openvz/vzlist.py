"""Reads `vzlist -j`, whose strings are not escaped: one line a field, and never the document as a whole.

A JSON parser would fail on a description with a quote, and believe one that reads `x", "ctid": 1, "y": "`.
vzlist writes each field on its own line and its strings have no line ends (a conf is read by lines), so lines
can be trusted where quotes cannot.
"""

import json
import re
from collections.abc import Iterator

from workers.commands import Finished
from workers.openvz.driver import Listed

FIELDS = ("ctid", "status", "diskspace", "ip", "onboot", "ostemplate", "name", "hostname")  # ours first, what customers choose last
_FIELD = re.compile(r'"([a-z_.]+)": (.*)')
_STATUS = frozenset({"running", "stopped", "mounted", "suspended", "paused"})


def read_json(answer: Finished) -> list[Listed]:
    """The containers of a JSON listing; a field that cannot be read is None, an entry without id and status is left out."""
    found: dict[int, Listed] = {}
    for entry in _entries(answer.out):
        listed = _listed(entry)
        if listed is not None:
            found.setdefault(listed.ctid, listed)
    return list(found.values())


def read_columns(answer: Finished) -> list[Listed]:
    """The containers of `vzlist -a -H -o ctid,status`, for a vzctl older than 4.0."""
    lines = (line.split() for line in answer.out.split("\n"))
    return [Listed(int(words[0]), words[1]) for words in lines if len(words) == 2 and _is_id(words[0]) and words[1] in _STATUS]


def _entries(text: str) -> Iterator[dict[str, object]]:
    entry: dict[str, object] = {}
    outer = ""
    depth = 0  # 1 inside an entry, more inside a nested object such as diskspace
    for line in (line.strip(" \t\r") for line in text.split("\n")):
        if line == "{":
            entry, depth = {}, 1
        elif line in ("}", "},"):
            depth -= 1
            if depth == 0:
                yield entry
        elif depth and (match := _FIELD.fullmatch(line)):
            name, value = match.groups()
            if value == "{":
                depth, outer = depth + 1, name
            elif depth == 1:
                entry.setdefault(name, _value(value))
            elif depth == 2:
                entry.setdefault(f"{outer}.{name}", _value(value))


def _value(text: str) -> object:
    text = text.removesuffix(",")
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return _string(text)
    return value


def _string(text: str) -> str | None:
    """A string with unescaped quotes or backslashes in it, as it is in the conf."""
    return text[1:-1] if len(text) >= 2 and text.startswith('"') and text.endswith('"') else None


def _listed(entry: dict[str, object]) -> Listed | None:
    ctid, status, addresses, onboot = (entry.get(name) for name in ("ctid", "status", "ip", "onboot"))
    if isinstance(ctid, str) and _is_id(ctid):
        ctid = int(ctid)
    if not isinstance(ctid, int) or isinstance(ctid, bool) or ctid <= 0 or not isinstance(status, str) or status not in _STATUS:
        return None
    return Listed(
        ctid=ctid,
        status=status,
        name=_text(entry.get("name")),
        hostname=_text(entry.get("hostname")),
        addresses=tuple(a for a in addresses if isinstance(a, str)) if isinstance(addresses, list) else (),
        template=_text(entry.get("ostemplate")),
        onboot=onboot if isinstance(onboot, bool) else None,
        disk_used_bytes=_used(entry.get("diskspace.usage")),
    )


def _used(kib: object) -> int | None:
    """Vzlist says 0 where nothing counts, e.g. for a ploop that is not mounted; no container's files take nothing."""
    return kib * 1024 if isinstance(kib, int) and not isinstance(kib, bool) and kib > 0 else None


def _text(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # a name of digits only comes as a number
    return value if isinstance(value, str) and value != "-" else None


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < len(text) <= 10
