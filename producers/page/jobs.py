"""`/jobs` and `/stuck`: jobs as they go, the whole story of one, and what a person may decide about it."""

import re
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from models.kinds import KINDS
from models.lifecycle import FINAL, Cause, State
from producers.api.placing import SCOPES
from producers.downtime import of_job
from producers.page.door import Refused
from producers.page.guard import Views
from producers.page.live import Look, Piece, streamed
from producers.page.timeline import timeline
from producers.page.visit import Visit

views = Views()
ROWS = 50
FILTERS = ("state", "kind", "node", "container", "customer", "producer")
FULL_ID = re.compile(r"[0-9A-Za-z]{26}")
RESULTS = 300


@views.get("/jobs")
async def jobs(visit: Visit) -> Response:
    """The newest first, or those that a filter wants."""
    asked = {name: visit.asked(name) for name in FILTERS}
    if FULL_ID.fullmatch(visit.asked("id")):
        return visit.go(f"/jobs/{visit.asked('id').upper()}")
    page = await _page(visit)
    query = urlencode({name: value for name, value in asked.items() if value})
    look = _list_look(visit, page)
    return visit.show(
        "jobs.html", jobs=page["items"], cursor=page["next_cursor"], asked=asked, query=query, have=look.digest,
        states=list(State), kinds=sorted(KINDS), first=not visit.asked("cursor"),
    )  # fmt: skip


@views.get("/jobs/live")
async def jobs_live(visit: Visit) -> Response:
    """Its stream."""

    async def look() -> Look:
        return _list_look(visit, await _page(visit))

    return streamed(visit, look)


@views.get("/stuck")
async def stuck(visit: Visit) -> Response:
    """Jobs that wait for a person."""
    page = await visit.door.get("/v1/jobs", state="stuck", limit=200)
    signatures = await visit.door.get("/v1/signatures") if visit.caller.customer is None else {"items": []}
    return visit.show("stuck.html", jobs=page["items"], signatures=signatures["items"])


@views.get("/jobs/{job_id}")
async def job(visit: Visit) -> Response:
    """All that is known of it."""
    seen = await _see(visit)
    told = seen["job"]
    results = await visit.door.get(f"/v1/jobs/{told['id']}/results", limit=RESULTS) if told["kind"] == "exec-batch" else None
    return visit.show("job.html", **seen, results=results, have=_look(visit, seen).digest)


@views.get("/jobs/{job_id}/live")
async def job_live(visit: Visit) -> Response:
    """Its stream."""

    async def look() -> Look:
        return _look(visit, await _see(visit, rehearse=False))

    return streamed(visit, look)


@views.post("/jobs/{job_id}/cancel")
async def cancel(visit: Visit) -> Response:
    """Take it back."""
    said = await visit.door.post(f"/v1/jobs/{visit.path['job_id']}:cancel", because=visit.because)
    return visit.go(f"/jobs/{said['job']}", said["what"])


@views.post("/jobs/{job_id}/retry")
async def retry(visit: Visit) -> Response:
    """Place its order again."""
    again = await visit.door.post(f"/v1/jobs/{visit.path['job_id']}:retry", because=visit.because)
    return visit.go(f"/jobs/{again['id']}", f"this is the new job; it takes up {again['retry_of']}")


@views.post("/jobs/{job_id}/resolve")
async def resolve(visit: Visit) -> Response:
    """Decide about a stuck one."""
    said = await visit.door.post(f"/v1/jobs/{visit.path['job_id']}:resolve", {"choice": visit.form.get("choice", "")}, because=visit.because)
    return visit.go(f"/jobs/{said['job']}", said["what"])


@views.post("/jobs/{job_id}/look")
async def look_at(visit: Visit) -> Response:
    """Have a worker look at what it left."""
    look = await visit.door.post(f"/v1/jobs/{visit.path['job_id']}:look", because=visit.because)
    return visit.go(f"/jobs/{visit.path['job_id']}", f"a worker looks (job {look['id'][-8:]}); load this page again in a moment")


@views.post("/jobs/{job_id}/node-lost")
async def node_lost(visit: Visit) -> Response:
    """Its node is gone for good."""
    said = await visit.door.post(f"/v1/jobs/{visit.path['job_id']}:node-lost", because=visit.because)
    return visit.go(f"/jobs/{said['job']}", said["what"])


async def _page(visit: Visit) -> Any:  # noqa: ANN401 - JSON
    asked = {name: visit.asked(name) for name in FILTERS}
    state = asked.pop("state")
    which = {"open": "true"} if state == "open" else {"open": "false"} if state == "ended" else {"state": state}
    return await visit.door.get("/v1/jobs", limit=ROWS, why="true", cursor=visit.asked("cursor"), **which, **asked)


def _list_look(visit: Visit, page: Any) -> Look:  # noqa: ANN401 - JSON
    """Rows, and all of them at once when others are in the list."""
    parts, rows = visit.parts(), page["items"]
    pieces = {"jobs": Piece(str(parts.job_rows(rows)), sign=",".join(job["id"] for job in rows) or "none")}
    return Look(pieces | {f"job-{job['id']}": Piece(str(parts.job_row(job)), sign=_sign(job)) for job in rows})


def _sign(job: dict[str, Any]) -> str:
    """Without the seconds that reasons count."""
    reasons = [(reason["code"], reason["holder"]) for reason in job["why"]]
    return repr((job["state"], job["step"], round(job["progress"], 2), job["error"], job["node"], job["ctid"], job["cancel_asked"], reasons))


async def _see(visit: Visit, *, rehearse: bool = True) -> dict[str, Any]:
    """The job, its outages, and what may be done about it; streams do not rehearse the choices of a stuck one again and again."""
    told = await visit.door.get(f"/v1/jobs/{visit.path['job_id']}")
    outages: list[dict[str, Any]] = []
    if KINDS[told["kind"]].interrupts:
        outages = (
            (await visit.door.get("/v1/outages", job=told["id"], limit=50))["items"] if told["customer"] or visit.caller.customer is None else []
        )
    choices = None
    if told["state"] == State.STUCK and rehearse and visit.may("operate"):
        try:
            choices = await visit.door.get(f"/v1/jobs/{told['id']}/choices")
        except Refused:  # it was decided this moment
            choices = None
    figures = of_job(outages, kind=told["kind"], state=State(told["state"]))
    return {
        "job": told,
        "story": _story(told),
        "outages": outages,
        "figures": figures,
        "drawing": timeline(told, outages),
        "choices": choices,
        "acts": _acts(visit, told),
    }


def _acts(visit: Visit, told: dict[str, Any]) -> list[str]:
    """What this caller may do about it as it stands."""
    if not visit.may(SCOPES.get(told["kind"], "order")):
        return []
    state = State(told["state"])
    if state in (State.FAILED, State.CANCELLED):
        return ["retry"]
    return ["cancel"] if state not in FINAL and state != State.STUCK and not told["cancel_asked"] else []


def _story(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Events and steps in the order in which they happened; a step's own events say no more than its line in the journal."""
    steps = [{"at": one["at"], "step": one} for one in told["journal"]]
    journaled = {one["step"] for one in told["journal"]}
    events = [{"at": one["at"], "event": one} for one in told["events"] if one["cause"] != Cause.STEPPED or one["why"] not in journaled]
    return sorted([*events, *steps], key=lambda line: line["at"])


def _look(visit: Visit, seen: dict[str, Any]) -> Look:
    parts, told = visit.parts(), seen["job"]
    pieces = {
        "job-head": Piece(str(parts.job_head(told)), sign=repr((_sign(told), told["attempts"], told["worker"], told["ended_at"]))),
        "job-story": Piece(str(parts.job_story(seen["story"]))),
        "job-result": Piece(str(parts.job_result(told))),
        "job-time": Piece(str(parts.job_time(told, seen["outages"], seen["figures"], seen["drawing"]))),
        # A form is torn from under whoever fills it in only when it is of no use any more.
        "job-acts": Piece(
            str(parts.job_acts(told, seen["acts"], visit.form_key, seen["choices"])), sign=repr((seen["acts"], told["state"] == "stuck"))
        ),
    }
    return Look(pieces, over=told["ended_at"] is not None)
