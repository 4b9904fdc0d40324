"""`/rollouts`, `/moves` and `/campaigns`: many jobs under one guard, wave by wave, each target a square that changes its colour while it runs."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from models.campaign_states import OVER, Outcome
from models.campaigns import Campaign, CampaignKind
from producers.page.guard import Views
from producers.page.live import Look, Piece, streamed
from producers.page.visit import Visit
from producers.rollouts.report import as_csv, report

views = Views()
MOST = 20_000  # targets that are drawn
LISTED = 200  # that are listed below the squares
MOVES = ("evacuation", "return", "rebalance", "reboot")
ENDED = (Outcome.OK, Outcome.UP_TO_DATE, Outcome.REGRESSED, Outcome.FAILED, Outcome.UNREACHABLE, Outcome.SKIPPED)
ORDER = (*ENDED, Outcome.IN_FLIGHT, Outcome.NOT_STARTED)  # as they are told
SIGNS = {Outcome.FAILED: "×", Outcome.UNREACHABLE: "?", Outcome.REGRESSED: "↓", Outcome.SKIPPED: "–"}  # colour alone tells nobody
TROUBLE = {Outcome.FAILED, Outcome.UNREACHABLE, Outcome.REGRESSED, Outcome.SKIPPED}
FORECAST_S = 5.0


@views.get("/rollouts")
async def rollouts(visit: Visit) -> Response:
    """The newest first."""
    page = await visit.door.get("/v1/campaigns", kind="rollout", limit=50, cursor=visit.asked("cursor"))
    return visit.show("rollouts.html", campaigns=page["items"], cursor=page["next_cursor"], order=ORDER)


@views.get("/moves")
async def moves(visit: Visit) -> Response:
    """Campaigns that move containers, single moves, and what they cost."""
    *campaigns, jobs, outages = await asyncio.gather(
        *(visit.door.get("/v1/campaigns", kind=kind, limit=20) for kind in MOVES),
        visit.door.get("/v1/jobs", kind="migrate-container", why="true", limit=50, cursor=visit.asked("cursor")),
        visit.door.get("/v1/outages", cause="migrate-container", limit=200),
    )
    rows = sorted((one for page in campaigns for one in page["items"]), key=lambda one: one["id"], reverse=True)
    gaps: dict[str, dict[str, Any]] = {}
    for outage in outages["items"]:
        longest = gaps.get(outage["job"])
        if longest is None or (outage["gap_s"] or 0.0) > (longest["gap_s"] or 0.0):
            gaps[outage["job"]] = outage
    return visit.show("moves.html", campaigns=rows, jobs=jobs["items"], cursor=jobs["next_cursor"], gaps=gaps, order=ORDER)


@views.get("/campaigns/{campaign_id}")
async def campaign(visit: Visit) -> Response:
    """One of them."""
    seen = await _see(visit)
    over = seen["campaign"]["state"] in OVER
    entry = "/rollouts" if seen["campaign"]["kind"] == CampaignKind.ROLLOUT else "/moves"
    return visit.show("campaign.html", **seen, menu_entry=entry, over=over, order=ORDER, have=_look(visit, seen).digest)


@views.get("/campaigns/{campaign_id}/live")
async def campaign_live(visit: Visit) -> Response:
    """Its stream."""
    forecast: dict[str, Any] = {}

    async def look() -> Look:
        return _look(visit, await _see(visit, forecast))

    return streamed(visit, look)


@views.get("/campaigns/{campaign_id}/report")
async def campaign_report(visit: Visit) -> Response:
    """What became of every target of a roll-out; equal outputs are folded together."""
    told = await visit.door.get(f"/v1/rollouts/{visit.path['campaign_id']}/report")
    return visit.show("report.html", report=told, order=ORDER)


@views.get("/campaigns/{campaign_id}/report.csv")
async def campaign_csv(visit: Visit) -> Response:
    """The same for spreadsheets."""
    told = await visit.door.get(f"/v1/campaigns/{visit.path['campaign_id']}")  # the API says who may

    def written() -> str:
        with visit.house.database.read() as session:
            return as_csv(report(session, session.get_one(Campaign, told["id"])))

    named = {"Content-Disposition": f'attachment; filename="{told["name"]}-{told["id"][-8:]}.csv"'}
    return Response(await run_in_threadpool(written), media_type="text/csv", headers=named)


@views.post("/campaigns/{campaign_id}/pause")
async def pause(visit: Visit) -> Response:
    """Start nothing more for now."""
    return await _act(visit, "pause", "paused: what runs goes to its end, what has not begun is held")


@views.post("/campaigns/{campaign_id}/resume")
async def resume(visit: Visit) -> Response:
    """Let it go on."""
    return await _act(visit, "resume", "it goes on", more_failures=visit.form.get("more_failures", ""))


@views.post("/campaigns/{campaign_id}/speed")
async def speed(visit: Visit) -> Response:
    """Other limits from the next start on."""
    return await _act(
        visit, "speed", "the new limits hold from the next start on", at_once=visit.form.get("at_once"), per_node=visit.form.get("per_node")
    )


@views.post("/campaigns/{campaign_id}/abort")
async def abort(visit: Visit) -> Response:
    """End it."""
    return await _act(visit, "abort", "aborted: what has not begun is taken back, what runs goes to its end")


@views.post("/campaigns/{campaign_id}/retry")
async def retry(visit: Visit) -> Response:
    """A new roll-out of what it has left."""
    again = await visit.door.post(f"/v1/rollouts/{visit.path['campaign_id']}:retry", because=visit.because)
    return visit.go(f"/campaigns/{again['id']}", "this is the new roll-out, of exactly those that failed or were not started")


async def _act(visit: Visit, verb: str, said: str, **query: Any) -> Response:  # noqa: ANN401 - query values
    told = await visit.door.post(f"/v1/campaigns/{visit.path['campaign_id']}:{verb}", because=visit.because, **query)
    return visit.go(f"/campaigns/{told['id']}", said)


async def _see(visit: Visit, forecast: dict[str, Any] | None = None) -> dict[str, Any]:
    """The campaign, its waves with their targets, and when it will be through; `forecast` keeps the last one for a moment."""
    where = f"/v1/campaigns/{visit.path['campaign_id']}"
    targets = await visit.door.all(f"{where}/targets", most=MOST)
    told = await visit.door.get(where)  # after its targets: when it says that it is over, they are as they stay
    if told["state"] in OVER:
        targets = await visit.door.all(f"{where}/targets", most=MOST)
    forecast = {} if forecast is None else forecast
    now = visit.house.clock.monotonic()
    if now - forecast.get("at", -FORECAST_S) >= FORECAST_S:
        forecast |= {"at": now, "ends_at": (await visit.door.get(f"{where}/forecast"))["ends_at"]}
    # Counted from the targets that are shown, so that counts and squares say the same.
    counts = Counter(target["outcome"] for target in targets)
    told["counts"] = {str(outcome): counts[outcome] for outcome in ORDER}
    events = await visit.door.get(f"{where}/events", limit=LISTED)
    trouble = [target for target in targets if target["outcome"] in TROUBLE]
    return {"campaign": told, "waves": _waves(targets, told), "trouble": trouble[:LISTED], "ends_at": forecast["ends_at"], "events": events["items"]}


def _waves(targets: list[dict[str, Any]], told: Mapping[str, Any]) -> list[dict[str, Any]]:
    by_wave: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for target in targets:
        target["sign"] = SIGNS.get(target["outcome"], "")
        by_wave[target["wave"]].append(target)
    canaries = bool(told["spec"].get("waves", {}).get("canaries")) if told["kind"] == "rollout" else False
    return [
        {
            "number": wave,
            "name": "Canaries" if canaries and wave == 0 else f"Wave {wave}",
            "targets": members,
            "counts": {str(outcome): sum(one["outcome"] == outcome for one in members) for outcome in ORDER},
        }
        for wave, members in sorted(by_wave.items())
    ]


def _look(visit: Visit, seen: dict[str, Any]) -> Look:
    """Each square is a piece of its own, so that a stream sends those that changed and no more."""
    parts, told = visit.parts(), seen["campaign"]
    pieces = {
        "campaign-head": Piece(str(parts.campaign_head(told, seen["ends_at"]))),
        "campaign-acts": Piece(str(parts.campaign_acts(told, visit.form_key, visit.may("operate"))), sign=told["state"]),
        "campaign-story": Piece(str(parts.campaign_story(seen["events"])), sign=str(len(seen["events"]))),
        "campaign-counts": Piece(str(parts.campaign_counts(told["counts"], ORDER))),
        "campaign-trouble": Piece(str(parts.trouble(seen["trouble"]))),
    }
    for wave in seen["waves"]:
        pieces[f"wave-{wave['number']}"] = Piece(str(parts.wave_head(wave, ORDER)))
        for target in wave["targets"]:
            sign = f"{target['outcome']} {target['node']} {target['reason']} {target['job']}"
            pieces[f"c-{target['place']}"] = Piece(str(parts.cell(target)), sign=sign)
    return Look(pieces, over=told["state"] in OVER)
