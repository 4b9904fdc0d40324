"""`/containers`: found by whatever somebody has at hand, and one with its jobs, outages, traffic and limits."""

import asyncio
from urllib.parse import urlencode

from starlette.responses import Response

from models.fleet import ContainerState
from models.standing import Standing
from producers.page.console import offered
from producers.page.guard import Views
from producers.page.visit import Visit

views = Views()
FILTERS = ("text", "node", "customer", "plan", "standing", "state")
SHOWN = 20


@views.get("/containers")
async def containers(visit: Visit) -> Response:
    """By id."""
    asked = {name: visit.asked(name) for name in FILTERS}
    page = await visit.door.get("/v1/containers", limit=100, cursor=visit.asked("cursor"), **asked)
    if [str(one["ctid"]) for one in page["items"]] == [asked["text"]]:
        return visit.go(f"/containers/{page['items'][0]['ctid']}")
    query = urlencode({name: value for name, value in asked.items() if value})
    return visit.show(
        "containers.html", containers=page["items"], cursor=page["next_cursor"], asked=asked, query=query, states=list(ContainerState),
        standings=list(Standing),
    )  # fmt: skip


@views.get("/containers/{ctid:int}")
async def container(visit: Visit) -> Response:
    """All that is known of one."""
    ctid = visit.path["ctid"]
    told, outages = await asyncio.gather(visit.door.get(f"/v1/containers/{ctid}"), visit.door.get("/v1/outages", container=ctid, limit=SHOWN))
    findings = []
    if visit.caller.customer is None:
        there = await visit.door.get("/v1/findings", node=told["node"], limit=200)
        findings = [one for one in there["items"] if one["subject"] == str(ctid)]
    may_enter = visit.may("operate") and visit.caller.customer is None and told["state"] == ContainerState.PRESENT
    console = may_enter and offered(visit.request.app.state.settings)
    return visit.show("container.html", ct=told, outages=outages["items"], findings=findings, console=console)
