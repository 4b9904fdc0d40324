"""`/relocations/new`: nodes are emptied, filled again, evened out or rebooted; who moves is shown before anything begins."""

import secrets
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from producers.page.door import Refused
from producers.page.guard import Views
from producers.page.visit import Visit

views = Views()
SHOWN = 30  # moves of a plan
KINDS = {  # what it is called, and what it does
    "evacuation": ("Empty", "All containers of these nodes go to others; the nodes take nothing new and stay drained."),
    "return": ("Bring back", "What the last evacuation took away from these nodes comes back; the nodes become active."),
    "rebalance": ("Even out", "From full nodes to empty ones, until they differ by less than the margin."),
    "reboot": ("Reboot in turn", "Each node is emptied, rebooted, looked at, and filled again; then the next."),
}
FIELDS = {  # of the form: how the API takes it
    "mode": str,
    "at_once": int,
    "per_node": int,
    "failures": int,
    "longest_gap_s": float,
    "timezone": str,
    "margin": float,
    "most": int,
    "together": int,
    "kernel": str,
}
KEPT = ("kind", "nodes", "window", *FIELDS)  # between plan and start


@views.get("/relocations/new")
async def blank(visit: Visit) -> Response:
    """The form; the query may name kind and nodes."""
    visit.needs("operate")
    return await _show(visit, {"kind": visit.asked("kind") or "evacuation", "nodes": visit.asked("nodes")})


@views.post("/relocations/plan")
async def plan(visit: Visit) -> Response:
    """Who would move; nothing is written."""
    try:
        told = await visit.door.post("/v1/relocations:plan", _body(visit.form))
    except Refused as no:
        return await _show(visit, visit.form, problems=_problems(no), status=no.status)
    return await _show(visit, visit.form, told=told, key=f"page-{secrets.token_hex(8)}")


@views.post("/relocations/start")
async def start(visit: Visit) -> Response:
    """Begin it; the form's key makes a second click the same relocation."""
    try:
        begun = await visit.door.post("/v1/relocations", _body(visit.form), because=visit.because, key=visit.form.get("key", ""))
    except Refused as no:
        return await _show(visit, visit.form, problems=_problems(no), status=no.status)
    if begun["campaign"] is None:
        return visit.go(f"/nodes/{begun['plan']['nodes'][0]}", "nothing has to move")
    return visit.go(f"/campaigns/{begun['campaign']['id']}", "it has begun")


async def _show(
    visit: Visit,
    form: Mapping[str, str],
    *,
    told: dict[str, Any] | None = None,
    key: str = "",
    problems: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    names = [node["name"] for node in await visit.door.all("/v1/nodes")]
    given = {"form": form, "kept": KEPT, "kinds": KINDS, "names": names, "shown": SHOWN}
    return visit.show("relocate.html", told=told, key=key, problems=problems or {}, status=status, **given)


def _body(form: Mapping[str, str]) -> dict[str, Any]:
    """What the form says; what is no number goes to the API as it is, which says so in its own words."""
    body: dict[str, Any] = {"kind": form.get("kind", ""), "nodes": form.get("nodes", "").replace(",", " ").split()}
    for name, kind in FIELDS.items():
        if text := form.get(name, "").strip():
            try:
                body[name] = kind(text)
            except ValueError:
                body[name] = text
    if window := form.get("window", "").strip():
        body["windows"] = [window]
    return body


def _problems(no: Refused) -> dict[str, str]:
    if no.status not in {409, 422}:
        raise no
    fields = {one["field"]: one["what"] for one in no.problem.get("errors", [])}
    return fields or {"relocation": str(no)}
