"""Draws the life of a job from its table. `python -m tests.docs.states` writes it into ops/docs/states.md."""

from collections import defaultdict

from models.lifecycle import EDGES, FINAL, Cause, State
from tests.docs.pages import DOCS, page

BEGIN = "<!-- drawn from models/lifecycle.py by `python -m tests.docs.states`; do not edit -->"
END = "<!-- end of what is drawn -->"
PAGE = "states.md"


def drawing() -> str:
    """Diagram and table, as they stand between the two marks."""
    return "\n".join([*_diagram(), "", *_table()])


def drawn(text: str) -> str:
    """What stands between the marks now; raises ValueError when a mark is missing."""
    return text[text.index(BEGIN) + len(BEGIN) : text.index(END)].strip()


def redrawn(text: str) -> str:
    """The page with the drawing of today."""
    return f"{text[: text.index(BEGIN)]}{BEGIN}\n\n{drawing()}\n\n{text[text.index(END) :]}"


def _diagram() -> list[str]:
    """Moves that stay in their state are left to the table: they would hide the others."""
    between: dict[tuple[State, State], list[Cause]] = defaultdict(list)
    for (start, cause), end in EDGES.items():
        if start != end:
            between[start, end].append(cause)
    arrows = [f"    {start} --> {end}: {', '.join(causes)}" for (start, end), causes in between.items()]
    endings = [f"    {state} --> [*]" for state in State if state in FINAL]
    return ["```mermaid", "stateDiagram-v2", f"    [*] --> {State.QUEUED}: {Cause.ACCEPTED}", *arrows, *endings, "```"]


def _table() -> list[str]:
    rows = [f"| {start} | {cause} | {'(stays)' if start == end else end} |" for (start, cause), end in EDGES.items()]
    return ["| from | because of | to |", "|---|---|---|", *rows]


if __name__ == "__main__":
    (DOCS / PAGE).write_text(redrawn(page(PAGE)))
