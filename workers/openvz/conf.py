"""CTID.conf as vzctl reads it: a line a key, nothing escaped. The text is only ever read, never run."""

from collections.abc import Mapping

_UNIT_BYTES = {"T": 1 << 40, "G": 1 << 30, "M": 1 << 20, "K": 1 << 10, "P": 4096, "B": 1}
UNLIMITED = (1 << 63) - 1  # LONG_MAX, as a 64-bit vzctl writes it
PAGE = 4096


def parse_conf(text: str) -> dict[str, str]:
    """The keys and values of a conf; lines that vzctl skips are skipped, of a repeated key the first counts."""
    values: dict[str, str] = {}
    for raw in text.split("\n"):  # not splitlines: vzctl knows no other line end
        line = _unescaped(raw).strip(" \t\r\f\v")
        if not line or line.startswith("#") or "=" not in line:
            continue
        key, _, value = line.partition("=")
        if value.startswith('"'):
            inside, closing, _ = value[1:].rpartition('"')
            if not closing:
                continue  # "unmatched quotes"
            value = inside
        values.setdefault(key, value)
    return values


def _unescaped(text: str) -> str:
    out, escaped = [], False
    for char in text:
        if char == "\\" and not escaped:
            escaped = True
            continue
        out.append(char)
        escaped = False
    return "".join(out)


def limit_of(conf: Mapping[str, str], key: str, *, unit: int = 1) -> int | None:
    """The limit (second number) of a `barrier:limit` value, in bytes or items; None if absent or unreadable.
    `unit` is what a bare number counts in: PAGE for *PAGES, 1024 for DISKSPACE."""
    return _amount(conf.get(key, "").rpartition(":")[2], unit)


def barrier_of(conf: Mapping[str, str], key: str, *, unit: int = 1) -> int | None:
    """The barrier (first number) of a `barrier:limit` value; else as `limit_of`."""
    return _amount(conf.get(key, "").partition(":")[0], unit)


def _amount(text: str, unit: int) -> int | None:
    text = text.strip()
    if text == "unlimited":
        return UNLIMITED
    number, factor = text, unit
    if text[-1:].upper() in _UNIT_BYTES:
        number, factor = text[:-1], _UNIT_BYTES[text[-1:].upper()]
    whole, point, part = number.partition(".")  # vzctl's own samples say 2.2G
    if not (whole.isascii() and whole.isdigit() and (not point or (part.isascii() and part.isdigit()))):
        return None
    return int(whole) * factor + (int(part) * factor // 10 ** len(part) if part else 0)
