"""`/downtime`, `/findings`, `/schedules`, `/pauses`, `/webhooks`, `/audit`: what the house keeps, and what is done about it."""

import asyncio
import re
from urllib.parse import urlencode

from starlette.responses import Response

from models.kinds import KINDS
from models.pauses import Reach
from producers.downtime import month_of, month_span
from producers.page.door import Refused
from producers.page.guard import Views
from producers.page.visit import Visit

views = Views()
MONTH = re.compile(r"[1-9][0-9]{3}-(0[1-9]|1[0-2])")
SHOWN = 100


@views.get("/downtime")
async def downtime(visit: Visit) -> Response:
    """A month, customer by customer, and its outages."""
    now = month_of(visit.house.clock.now())
    month = visit.asked("month") if MONTH.fullmatch(visit.asked("month")) else now
    customer = visit.asked("customer")
    shares, outages = await asyncio.gather(
        visit.door.get("/v1/downtime", month=month),
        visit.door.get("/v1/outages", month=month, customer=customer, limit=SHOWN, cursor=visit.asked("cursor")),
    )
    begins, ends = month_span(month)
    before = month_of(begins.replace(day=1) - (ends - begins) / 2)
    return visit.show(
        "downtime.html", month=month, shares=shares["items"], outages=outages["items"], cursor=outages["next_cursor"], customer=customer,
        before=before, after=month_of(ends) if month < now else "",
    )  # fmt: skip


@views.get("/findings")
async def findings(visit: Visit) -> Response:
    """Where nodes and books differ."""
    asked = {name: visit.asked(name) for name in ("kind", "node", "gone")}
    page = await visit.door.get("/v1/findings", limit=SHOWN, cursor=visit.asked("cursor"), **asked)
    query = urlencode({name: value for name, value in asked.items() if value})
    return visit.show("findings.html", findings=page["items"], cursor=page["next_cursor"], asked=asked, query=query)


@views.get("/findings/{number:int}")
async def finding(visit: Visit) -> Response:
    """One of them, with the order that would mend it: rehearsed, with all its checks, before anybody decides."""
    told = await visit.door.get(f"/v1/findings/{visit.path['number']}")
    rehearsed, why_not = None, ""
    if told["repair"] and not told["gone_at"] and visit.may("operate"):
        try:
            rehearsed = await visit.door.post(f"/v1/findings/{told['id']}:repair", dry_run="true")
        except Refused as refused:
            why_not = str(refused)
    return visit.show("finding.html", finding=told, rehearsed=rehearsed, why_not=why_not)


@views.post("/findings/{number:int}/repair")
async def repair(visit: Visit) -> Response:
    """Order it."""
    told = await visit.door.post(f"/v1/findings/{visit.path['number']}:repair", because=visit.because)
    return visit.go(f"/jobs/{told['job']}", f"the repair of finding {visit.path['number']} is ordered")


@views.get("/schedules")
async def schedules(visit: Visit) -> Response:
    """Roll-outs that begin by the clock."""
    return visit.show("schedules.html", schedules=(await visit.door.get("/v1/schedules"))["items"])


@views.post("/schedules/{name}/{verb}")
async def schedule(visit: Visit) -> Response:
    """Pause it, let it go on, take it away."""
    name, verb = visit.path["name"], visit.path["verb"]
    if verb == "remove":
        await visit.door.delete(f"/v1/schedules/{name}", because=visit.because)
    else:
        await visit.door.post(f"/v1/schedules/{name}:{'pause' if verb == 'pause' else 'resume'}", because=visit.because)
    done = {"remove": "taken away; what it has started goes on", "pause": "paused; what it has started goes on"}.get(
        verb, "goes on from its next time"
    )
    return visit.go("/schedules", f"schedule {name}: {done}")


@views.get("/pauses")
async def pauses(visit: Visit) -> Response:
    """What rests, by whom and why."""
    told = await visit.door.get("/v1/pauses")
    nodes = await visit.door.all("/v1/nodes")
    sites = sorted({node["site"] for node in nodes})
    names = [*(node["name"] for node in nodes), *sites, *KINDS]
    return visit.show("pauses.html", pauses=told["items"], names=names, reaches=list(Reach))


@views.post("/pauses")
async def pause(visit: Visit) -> Response:
    """Let it rest."""
    wanted = {"reach": visit.form.get("reach", ""), "name": visit.form.get("name", "").strip()}
    made = await visit.door.post("/v1/pauses", wanted, because=visit.because)
    return visit.go("/pauses", f"{made['reach']} {made['name']} rests: what runs goes to its end, nothing new begins")


@views.post("/pauses/resume")
async def resume(visit: Visit) -> Response:
    """Let it go on."""
    wanted = {"reach": visit.form.get("reach", ""), "name": visit.form.get("name", "")}
    was = await visit.door.post("/v1/pauses:resume", wanted, because=visit.because)
    return visit.go("/pauses", f"{was['reach']} {was['name']} goes on")


@views.get("/webhooks")
async def webhooks(visit: Visit) -> Response:
    """Who is told of events."""
    return visit.show("webhooks.html", hooks=await visit.door.get("/v1/webhooks"))


@views.get("/webhooks/{hook_id}")
async def webhook(visit: Visit) -> Response:
    """One of them with what became of each delivery."""
    where = f"/v1/webhooks/{visit.path['hook_id']}"
    hook, log = await asyncio.gather(visit.door.get(where), visit.door.get(f"{where}/deliveries", limit=SHOWN, cursor=visit.asked("cursor")))
    return visit.show("webhook.html", hook=hook, deliveries=log["items"], cursor=log["next_cursor"])


@views.post("/webhooks/{hook_id}/ping")
async def ping(visit: Visit) -> Response:
    """Post something signed that tells of no event."""
    await visit.door.post(f"/v1/webhooks/{visit.path['hook_id']}:ping", because=visit.because)
    return visit.go(f"/webhooks/{visit.path['hook_id']}", "a ping is on its way; load this page again in a moment")


@views.post("/webhooks/{hook_id}/deliveries/{number:int}/again")
async def again(visit: Visit) -> Response:
    """Send one once more."""
    number = visit.path["number"]
    await visit.door.post(f"/v1/webhooks/{visit.path['hook_id']}/deliveries/{number}:redeliver", because=visit.because)
    return visit.go(f"/webhooks/{visit.path['hook_id']}", f"delivery {number} goes out again")


@views.get("/audit")
async def audit(visit: Visit) -> Response:
    """Who did what, the newest first."""
    asked = {name: visit.asked(name) for name in ("by", "action", "subject")}
    page = await visit.door.get("/v1/audit", limit=SHOWN, cursor=visit.asked("cursor"), **asked)
    query = urlencode({name: value for name, value in asked.items() if value})
    return visit.show("audit.html", entries=page["items"], cursor=page["next_cursor"], asked=asked, query=query)
