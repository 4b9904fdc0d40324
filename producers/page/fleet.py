"""`/` and `/nodes`: what there is to do, who does it, and how each node stands."""

import asyncio
from collections import defaultdict
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from producers.page.guard import Views
from producers.page.live import Look, Piece, streamed
from producers.page.visit import Visit

views = Views()
TURNS = {"active": "activate", "draining": "drain", "lost": "call lost"}


@views.get("/")
async def fleet(visit: Visit) -> Response:
    """The first page: figures that ask for somebody, then site by site."""
    if visit.caller.customer is not None:
        return visit.go("/jobs")
    seen = await _see(visit)
    return visit.show("fleet.html", **seen, have=(await _look(visit, seen)).digest)


@views.get("/fleet/live")
async def fleet_live(visit: Visit) -> Response:
    """Its stream."""
    return streamed(visit, lambda: _look(visit), every_s=1.0)


@views.get("/nodes/{name}")
async def node(visit: Visit) -> Response:
    """One node: what it can do, what is taken of it, what is wrong with it, what it is doing; for a customer, what of theirs is on it."""
    name = visit.path["name"]
    if visit.caller.customer is not None:
        return visit.go(f"/containers?{urlencode({'node': name})}")
    told, jobs, containers, findings, pauses = await asyncio.gather(
        visit.door.get(f"/v1/nodes/{name}"),
        visit.door.get("/v1/jobs", node=name, open="true", why="true", limit=50),
        visit.door.get("/v1/containers", node=name, limit=200),
        visit.door.get("/v1/findings", node=name, limit=50),
        visit.door.get("/v1/pauses"),
    )
    paused = [one for one in pauses["items"] if (one["reach"], one["name"]) in {("node", name), ("site", told["site"]), ("everything", "")}]
    turns = {state: verb for state, verb in TURNS.items() if state != told["state"] and told["state"] != "new"}
    return visit.show("node.html", node=told, jobs=jobs["items"], containers=containers, findings=findings["items"], paused=paused, turns=turns)


@views.post("/nodes/{name}/state")
async def turn(visit: Visit) -> Response:
    """Drain it, activate it, or call it lost."""
    name, state = visit.path["name"], visit.form.get("state", "")
    await visit.door.patch(f"/v1/nodes/{name}", {"state": state}, because=visit.because)
    return visit.go(f"/nodes/{name}", f"node {name} is {state} now")


@views.post("/nodes/{name}/observe")
async def observe(visit: Visit) -> Response:
    """Have a worker look at it."""
    name = visit.path["name"]
    job = await visit.door.post("/v1/orders", {"kind": "observe-node", "node": name}, because=visit.because)
    return visit.go(f"/jobs/{job['id']}", f"a worker is sent to look at node {name}")


async def _see(visit: Visit) -> dict[str, Any]:
    nodes, queue, pauses, findings, campaigns = await asyncio.gather(
        visit.door.all("/v1/nodes"),
        visit.door.get("/v1/queue"),
        visit.door.get("/v1/pauses"),
        visit.door.get("/v1/findings", limit=500),
        visit.door.get("/v1/campaigns", open="true", limit=100),
    )
    return {"sites": _sites(nodes, queue), "figures": _figures(queue, pauses["items"], findings["items"], campaigns["items"])}


async def _look(visit: Visit, seen: dict[str, Any] | None = None) -> Look:
    seen = seen or await _see(visit)
    parts = visit.parts()
    pieces = {"figures": Piece(str(parts.figures(seen["figures"])))}
    for site in seen["sites"]:
        order = ",".join(node["name"] for node in site["nodes"])
        pieces[f"site-{site['name']}"] = Piece(str(parts.site(site)), sign=order)
        pieces[f"head-{site['name']}"] = Piece(str(parts.site_head(site)))
        pieces |= {f"node-{node['name']}": Piece(str(parts.node_row(node))) for node in site["nodes"]}
    return Look(pieces)


def _sites(nodes: list[dict[str, Any]], queue: dict[str, Any]) -> list[dict[str, Any]]:
    """Each with its nodes, its sums, and what its workers take."""
    slots: dict[str, int] = defaultdict(int)
    for one in queue["workers"]:
        slots[one["site"]] += one["slots"]
    by_site: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for node in nodes:
        by_site[node["site"]].append(node)
    sums = ("containers", "memory_bytes", "memory_taken", "disk_bytes", "disk_taken")
    return [
        {"name": site, "nodes": members, "slots": slots.get(site, 0)} | {field: sum(node[field] for node in members) for field in sums}
        for site, members in sorted(by_site.items())
    ]


def _figures(
    queue: dict[str, Any], pauses: list[dict[str, Any]], findings: list[dict[str, Any]], campaigns: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What there is, each with where to read on; `tone` says whether it asks for somebody."""
    jobs: dict[str, int] = defaultdict(int)
    for one in queue["jobs"]:
        jobs[one["state"]] += one["count"]
    going = jobs["dispatched"] + jobs["running"]
    held = [one for one in campaigns if one["state"] == "paused"]
    return [
        {"name": "running", "count": going, "where": "/jobs?state=running", "tone": "going" if going else ""},
        {"name": "waiting", "count": jobs["queued"], "where": "/jobs?state=queued", "tone": ""},
        {"name": "undoing", "count": jobs["undoing"], "where": "/jobs?state=undoing", "tone": "warn" if jobs["undoing"] else ""},
        {"name": "stuck", "count": jobs["stuck"], "where": "/stuck", "tone": "bad" if jobs["stuck"] else ""},
        {"name": "campaigns", "count": len(campaigns), "where": "/rollouts", "tone": "warn" if held else "going" if campaigns else ""},
        {"name": "findings", "count": len(findings), "where": "/findings", "tone": "warn" if findings else ""},
        {"name": "pauses", "count": len(pauses), "where": "/pauses", "tone": "warn" if pauses else ""},
    ]
