"""`/rollouts/new`: a roll-out is written, looked at with its rules, and begun; only the last step changes anything."""

import secrets
from typing import Any

from starlette.responses import Response

from models.rollouts import RolloutSpec
from producers.page.door import Refused
from producers.page.guard import Views
from producers.page.visit import Visit
from producers.refusals import BadOrder
from producers.rollouts.files import read_text

views = Views()
EXAMPLE = """name = "security"

[selector]
all = true                      # or labels, nodes, plans, templates, customers, names, ids

[action]
do = "packages"                 # or "script", with interpreter and text

[waves]
canaries = []                   # ids or names: the first wave
sizes = [1, 5, "10%"]           # then so many at a time; the rest is the last wave
soak = "1m"

[at_once]
all = 20
per_node = 2

[budget]
rate = "10%"                    # it stops when more than this share of those that have ended failed
"""
SHOWN = 30  # targets of a rule sheet


@views.get("/rollouts/new")
async def blank(visit: Visit) -> Response:
    """An example to begin with."""
    visit.needs("operate")
    return _show(visit, EXAMPLE)


@views.post("/rollouts/plan")
async def plan(visit: Visit) -> Response:
    """Its rule sheet: whom it reaches, in which waves, when it would stop; nothing is written."""
    text = _text(visit)
    try:
        sheet = await visit.door.post("/v1/rollouts:plan", _body(read_text(text)))
    except (BadOrder, Refused) as wrong:
        return _show(visit, text, problems=_problems(wrong), status=422)
    return _show(visit, text, sheet=sheet, key=f"page-{secrets.token_hex(8)}")


@views.post("/rollouts/start")
async def start(visit: Visit) -> Response:
    """Begin it; the form's key makes a second click the same roll-out."""
    text = _text(visit)
    try:
        begun = await visit.door.post("/v1/rollouts", _body(read_text(text)), because=visit.because, key=visit.form.get("key", ""))
    except (BadOrder, Refused) as wrong:
        return _show(visit, text, problems=_problems(wrong), status=422)
    return visit.go(f"/campaigns/{begun['id']}", "it has begun")


def _show(
    visit: Visit, text: str, *, sheet: dict[str, Any] | None = None, key: str = "", problems: dict[str, str] | None = None, status: int = 200
) -> Response:
    return visit.show("begin.html", text=text, sheet=sheet, key=key, problems=problems or {}, shown=SHOWN, status=status)


def _text(visit: Visit) -> str:
    return visit.form.get("spec", "").replace("\r\n", "\n")  # as browsers send it


def _body(spec: RolloutSpec) -> dict[str, Any]:
    return spec.model_dump(mode="json", exclude_unset=True)


def _problems(wrong: BadOrder | Refused) -> dict[str, str]:
    """Field by field, for whoever wrote it; what is no matter of the specification is not theirs to mend here."""
    if isinstance(wrong, BadOrder):
        return dict(wrong.problems)
    if wrong.status not in {409, 422}:
        raise wrong
    fields = {one["field"]: one["what"] for one in wrong.problem.get("errors", [])}
    return fields or {"roll-out": str(wrong)}
