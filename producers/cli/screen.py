"""What the command line prints. Nothing that came from a node, an order or the database reaches a terminal uncleaned:

rich gets `Text` and never markup, and what does not print (escape sequences, line ends, bidirectional marks) is shown as an escape.
"""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

from models.clock import stamp
from models.lifecycle import State

COLOUR: dict[str, str] = {
    State.QUEUED: "yellow",
    State.DISPATCHED: "cyan",
    State.RUNNING: "cyan",
    State.UNDOING: "magenta",
    State.DONE: "green",
    State.FAILED: "red",
    State.CANCELLED: "dim",
    State.STUCK: "bold red",
    "active": "green",
    "draining": "yellow",
    "new": "yellow",
    "present": "green",
    "reserved": "yellow",
}
STATE_COLUMN = "state"
SHORT = 8  # letters of a job id that are shown; every command takes them


def clean(value: object) -> str:
    """One line that a terminal only prints."""
    text = "" if value is None else str(value)
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode() for letter in text)


def say(text: object) -> None:
    """One line to standard output."""
    print(clean(text), flush=True)


def say_line(text: str) -> None:
    """A line of what a program printed: as `say`, but with its tabs."""
    print("\t".join(clean(part) for part in text.split("\t")), flush=True)


def warn(text: object) -> None:
    """One line to standard error; where that cannot be written either, the exit code has to do."""
    try:
        print(f"vzq: {clean(text)}", file=sys.stderr, flush=True)
    except OSError:
        _drop(sys.stderr)


def drop_output() -> None:
    """Whatever is still to be printed goes nowhere: its reader has gone, or the disk is full. Else Python tries once more at its end."""
    _drop(sys.stdout)


def _drop(stream: TextIO) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def as_json(value: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """JSON on standard output; ASCII only, so that it is safe on a terminal too."""
    print(json.dumps(value, indent=2, default=_jsonable), flush=True)


def json_line(value: Any) -> None:  # noqa: ANN401 - as above
    """JSON on one line, for streams."""
    print(json.dumps(value, default=_jsonable), flush=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str, right: Sequence[str] = ()) -> None:
    """Rows under headings, made to fit 80 columns; `empty` is said when there are none."""
    from rich import box  # noqa: PLC0415 - `--json` need not pay for rich
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    listed = list(rows)
    if not listed:
        say(empty)
        return
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True, padding=(0, 1, 0, 0), header_style="bold")
    for column in columns:
        drawn.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in listed:
        cells = [clean(cell) for cell in row]
        drawn.add_row(*(Text(cell, COLOUR.get(cell, "") if column == STATE_COLUMN else "") for column, cell in zip(columns, cells, strict=True)))
    console = Console(highlight=False)
    console.on_broken_pipe = _reader_gone  # type: ignore[method-assign]  # rich ends with 1, which would mean that a job failed
    console.print(drawn)


def facts(pairs: Iterable[tuple[str, object]]) -> None:
    """Names and values below each other; those without a value are left out."""
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    drawn = Table.grid(padding=(0, 2))
    drawn.add_column(style="bold", no_wrap=True)
    drawn.add_column(overflow="fold")
    for name, value in pairs:
        text = clean(value)
        if text:
            drawn.add_row(Text(clean(name)), Text(text, COLOUR.get(text, "") if name == STATE_COLUMN else ""))
    console = Console(highlight=False)
    console.on_broken_pipe = _reader_gone  # type: ignore[method-assign]  # rich ends with 1, which would mean that a job failed
    console.print(drawn)


def _reader_gone() -> None:
    raise BrokenPipeError


def short(job_id: str | None) -> str:
    """The ending by which people name a job."""
    return job_id[-SHORT:] if job_id else ""


def clock_time(at: datetime | None) -> str:
    """Local time of day, with the date when it is not today's."""
    if at is None:
        return ""
    local = at.astimezone()
    return local.strftime("%H:%M:%S") if local.date() == datetime.now(UTC).astimezone().date() else local.strftime("%Y-%m-%d %H:%M:%S")


def span(length: timedelta) -> str:
    """A length of time in one unit that fits it."""
    seconds = length.total_seconds()
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{max(seconds, 0):.1f} s"


def _jsonable(value: object) -> object:
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    raise TypeError(type(value).__name__)
