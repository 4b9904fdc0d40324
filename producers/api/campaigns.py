"""`/v1/campaigns`: roll-outs and their like: how far they are, and letting them rest, go on or end."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session, col, select

from models.campaign_states import OVER, CampaignState, Outcome
from models.campaigns import Campaign, CampaignEvent, CampaignKind, Target
from models.clock import stamp
from producers.api import campaign_answers as answers
from producers.api.campaign_stream import streamed
from producers.api.events import STREAM, LastId
from producers.api.gate import Operator, Reader, TheHouse, unbound
from producers.api.orders import Because
from producers.api.pages import Cursor, Limit, Page, page, seen, seen_number
from producers.api.paths import JobId
from producers.api.placing import persist
from producers.api.problems import Fault
from producers.api.tags import TAGGED, tagged
from producers.campaigns import control
from producers.campaigns.shapes import campaign_event_shape, campaign_shape, target_shape
from producers.house import House
from producers.rollouts.start import remaining
from producers.tokens import Caller

router = APIRouter(prefix="/v1", tags=["campaigns"])
Most = Annotated[int | None, Query(ge=1, le=100_000)]


class CampaignFilters(BaseModel):
    """Which campaigns; several states mean any of them."""

    model_config = ConfigDict(extra="forbid")

    kind: CampaignKind | None = None
    state: list[CampaignState] = Field(default_factory=list, max_length=len(CampaignState))
    open: bool | None = Field(None, description="Only those that have not ended (true), or have (false).")
    called: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[ -~]+$")] | None = Field(
        None, description="The one with this id, or whose id ends so, or the newest of this name; in place of the other filters but `kind`."
    )
    limit: Limit = 50
    cursor: Cursor = None


@router.get("/campaigns", operation_id="listCampaigns", response_model=Page[answers.Campaign], responses=TAGGED)
def list_campaigns(request: Request, house: TheHouse, caller: Reader, filters: Annotated[CampaignFilters, Query()]) -> Response:
    """Campaigns, the newest first."""
    unbound(caller)
    if filters.called is not None:
        with house.database.read() as session:
            shape = shape_of(session, control.find(session, filters.called, kind=filters.kind))
        return tagged(request, {"items": [shape], "next": None, "next_cursor": None})
    query = select(Campaign).order_by(col(Campaign.id).desc()).limit(filters.limit + 1)
    last = seen(filters.cursor)
    if filters.kind is not None:
        query = query.where(Campaign.kind == filters.kind)
    if filters.state:
        query = query.where(col(Campaign.state).in_(filters.state))
    if filters.open is not None:
        over = col(Campaign.state).in_(sorted(OVER))
        query = query.where(~over if filters.open else over)
    if last is not None:
        query = query.where(col(Campaign.id) < last)
    with house.database.read() as session:
        rows = session.exec(query).all()
        counts = control.counts(session, [row.id for row in rows])
    shown = page(request, rows, limit=filters.limit, key=lambda row: row.id, shape=lambda row: campaign_shape(row, counts[row.id]))
    return tagged(request, shown)


@router.get("/campaigns/{campaign_id:jobid}", operation_id="getCampaign", response_model=answers.Campaign, responses=TAGGED)
def get_campaign(request: Request, house: TheHouse, caller: Reader, campaign_id: JobId) -> Response:
    """A campaign with how far it is."""
    unbound(caller)
    with house.database.read() as session:
        shape = shape_of(session, known(session, campaign_id))
    return tagged(request, shape)


class TargetFilters(BaseModel):
    """Which targets."""

    model_config = ConfigDict(extra="forbid")

    outcome: list[Outcome] = Field(default_factory=list, max_length=len(Outcome))
    limit: Limit = 50
    cursor: Cursor = None


@router.get("/campaigns/{campaign_id:jobid}/targets", operation_id="listTargets", response_model=Page[answers.Target], responses=TAGGED)
def list_targets(request: Request, house: TheHouse, caller: Reader, campaign_id: JobId, filters: Annotated[TargetFilters, Query()]) -> Response:
    """Its targets, in the order in which they are started."""
    unbound(caller)
    last = seen_number(filters.cursor)
    with house.database.read() as session:
        query = select(Target).where(Target.campaign_id == known(session, campaign_id).id).order_by(col(Target.place)).limit(filters.limit + 1)
        if filters.outcome:
            query = query.where(col(Target.outcome).in_(filters.outcome))
        if last is not None:
            query = query.where(col(Target.place) > last)
        rows = session.exec(query).all()
    return tagged(request, page(request, rows, limit=filters.limit, key=lambda row: row.place, shape=target_shape))


@router.get(
    "/campaigns/{campaign_id:jobid}/events",
    operation_id="listCampaignEvents",
    response_model=Page[answers.CampaignEvent],
    responses=TAGGED | {200: STREAM[200] | TAGGED[200]},
)
def list_campaign_events(
    request: Request, house: TheHouse, caller: Reader, campaign_id: JobId, limit: Limit = 100, cursor: Cursor = None, last_event_id: LastId = None
) -> Response:
    """Its moves, the oldest first. With `Accept: text/event-stream` they keep coming until it is over, and its counts (`event: counts`) with them."""
    unbound(caller)
    last = int(last_event_id) if last_event_id is not None else seen_number(cursor)
    with house.database.read() as session:
        campaign = known(session, campaign_id)
        if "text/event-stream" in request.headers.get("accept", ""):
            return streamed(request, house, campaign.id, last or 0)
        mine = CampaignEvent.campaign_id == campaign.id
        query = select(CampaignEvent).where(mine).order_by(col(CampaignEvent.id)).limit(limit + 1)
        rows = session.exec(query.where(col(CampaignEvent.id) > last) if last is not None else query).all()
    return tagged(request, page(request, rows, limit=limit, key=lambda row: row.id, shape=campaign_event_shape))


@router.get("/campaigns/{campaign_id:jobid}/forecast", operation_id="foretellCampaign", response_model=answers.Forecast)
def foretell_campaign(house: TheHouse, caller: Reader, campaign_id: JobId) -> Response:
    """When it will end, if no more fail; from how long its own targets took so far, or those of earlier ones."""
    unbound(caller)
    with house.database.read() as session:
        campaign = known(session, campaign_id)
        targets = session.exec(select(Target).where(Target.campaign_id == campaign.id).order_by(col(Target.place))).all()
        told = remaining(session, campaign, targets, house.database.now(session))
    return JSONResponse({"ends_at": stamp(told.ends_at), "why": told.why})


@router.post("/campaigns/{campaign_id:jobid}:pause", operation_id="pauseCampaign", response_model=answers.Acted)
def pause_campaign(request: Request, house: TheHouse, caller: Operator, campaign_id: JobId, because: Because = "") -> Response:
    """Start nothing more for now; what runs goes to its end, what has not begun is held."""
    return _act(request, house, caller, campaign_id, "pause", because=because)


@router.post("/campaigns/{campaign_id:jobid}:resume", operation_id="resumeCampaign", response_model=answers.Acted)
def resume_campaign(
    request: Request,
    house: TheHouse,
    caller: Operator,
    campaign_id: JobId,
    because: Because = "",
    more_failures: Annotated[int, Query(ge=0, le=100_000, description="Allow so many more failures than its budget does.")] = 0,
) -> Response:
    """Let a paused one go on."""
    return _act(request, house, caller, campaign_id, "resume", because=because, more_failures=more_failures)


@router.post("/campaigns/{campaign_id:jobid}:speed", operation_id="speedCampaign", response_model=answers.Acted)
def speed_campaign(
    request: Request, house: TheHouse, caller: Operator, campaign_id: JobId, because: Because = "", at_once: Most = None, per_node: Most = None
) -> Response:
    """Other limits from the next start on; its failure budget may allow fewer."""
    return _act(request, house, caller, campaign_id, "speed", because=because, at_once=at_once, per_node=per_node)


@router.post("/campaigns/{campaign_id:jobid}:abort", operation_id="abortCampaign", response_model=answers.Acted)
def abort_campaign(request: Request, house: TheHouse, caller: Operator, campaign_id: JobId, because: Because = "") -> Response:
    """End it: what has not begun is taken back, what runs goes to its end."""
    return _act(request, house, caller, campaign_id, "abort", because=because)


def known(session: Session, campaign_id: str, *, kind: CampaignKind | None = None, writing: bool = False) -> Campaign:
    """The campaign; else 404."""
    row = session.get(Campaign, campaign_id.upper(), with_for_update=writing)
    if row is None or (kind is not None and row.kind != kind):
        raise Fault(404, f"there is no {kind or 'campaign'} {campaign_id}")
    return row


def shape_of(session: Session, row: Campaign) -> dict[str, Any]:
    """It, with its counts."""
    return campaign_shape(row, control.counts(session, [row.id])[row.id])


def _act(request: Request, house: House, caller: Caller, campaign_id: str, verb: str, **given: Any) -> Response:  # noqa: ANN401 - as the verb takes
    unbound(caller)

    def work(session: Session) -> dict[str, Any]:
        row = known(session, campaign_id, writing=True)
        event = control.ACTS[verb](session, row, by=caller.name, now=house.database.now(session), **given)
        session.flush()
        return shape_of(session, row) | {"event": campaign_event_shape(event)}

    shape = persist(house, work)
    request.app.state.doorbell.ring()
    return JSONResponse(shape)
