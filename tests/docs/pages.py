"""The documents as tests read them: pages, tables, and what the code says of itself without being run."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "ops" / "docs"
ROOMS = ("models", "producers", "workers")
CODE = re.compile(r"`([^`]+)`")


def page(name: str) -> str:
    """A document of ours, e.g. "metrics.md"."""
    return (DOCS / name).read_text()


def tables(text: str, first: str) -> list[list[str]]:
    """The rows of all tables whose first column is headed `first`, cells stripped; raises LookupError when there is none."""
    rows: list[list[str]] = []
    found = inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
        if not cells:
            inside = False
        elif cells[0] == first:
            inside = found = True
        elif inside and set(cells[0]) - set("-: "):
            rows.append(cells)
    if not found:
        raise LookupError(f"no table is headed {first!r}")
    return rows


def codes(cell: str) -> list[str]:
    """What stands in backticks."""
    return CODE.findall(cell)


def names(text: str, first: str) -> set[str]:
    """What stands in backticks in the first column of those tables."""
    return {code for row in tables(text, first) for code in codes(row[0])}


def sources(*rooms: str) -> Iterator[tuple[Path, ast.Module]]:
    """Every Python file of these rooms, parsed."""
    for room in rooms or ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path, ast.parse(path.read_text(), str(path))


def calls(*rooms: str) -> Iterator[ast.Call]:
    """Every call in these rooms."""
    for _, tree in sources(*rooms):
        yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def called(call: ast.Call) -> str:
    """The last word of what is called: `Reason` of `admission.Reason(…)`."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""


def first_text(call: ast.Call) -> str:
    """The first argument when it is a plain string, else an empty one."""
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
