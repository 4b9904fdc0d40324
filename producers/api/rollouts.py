"""`/v1/rollouts`: what a roll-out would do, beginning one, its report, and trying again what one has left."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from models.campaigns import CampaignKind
from models.rollouts import RolloutSpec
from producers.api import campaign_answers as answers
from producers.api.campaigns import known, shape_of
from producers.api.gate import Operator, Reader, TheHouse, unbound
from producers.api.orders import Because, Key
from producers.api.paths import JobId
from producers.api.placing import persist, stored_key
from producers.api.tags import TAGGED, tagged
from producers.campaigns.shapes import target_shape
from producers.refusals import KeyReused
from producers.rollouts.report import report, report_shape
from producers.rollouts.shapes import sheet_shape
from producers.rollouts.start import left_over, plan, retry, start

router = APIRouter(prefix="/v1", tags=["rollouts"])
EXAMPLES: dict[str, Any] = {
    "script": {
        "summary": "A script, canaries first",
        "value": {
            "name": "security",
            "selector": {"labels": {"role": "web"}},
            "action": {"do": "script", "interpreter": "sh", "text": "apt-get -q update"},
            "waves": {"canaries": ["web1.example.net"], "sizes": [5, "10%"], "soak": "10m"},
            "budget": {"failures": 8, "rate": "25%"},
        },
    }
}
HEADERS: dict[str, Any] = {
    "Location": {"description": "Address of the campaign.", "schema": {"type": "string"}},
    "Idempotency-Replayed": {"description": "`true` when this key had brought this roll-out before.", "schema": {"type": "string"}},
}
BEGUN: dict[int | str, Any] = {202: {"description": "It has begun; the service carries it on.", "headers": HEADERS}}
Spec = Annotated[RolloutSpec, Body(openapi_examples=EXAMPLES)]


@router.post("/rollouts:plan", operation_id="planRollout", response_model=answers.Sheet)
def plan_rollout(house: TheHouse, caller: Reader, spec: Spec) -> Response:
    """Who would be updated, in which waves, when it would stop and when it would end; nothing is written."""
    unbound(caller)
    with house.database.read() as session:
        return JSONResponse(sheet_shape(plan(house.database, session, spec)))


@router.post("/rollouts", operation_id="startRollout", status_code=202, response_model=answers.Campaign, responses=BEGUN)
def start_rollout(request: Request, house: TheHouse, caller: Operator, spec: Spec, idempotency_key: Key = None, because: Because = "") -> Response:
    """Begin a roll-out; follow it at `/v1/campaigns/{id}`."""
    unbound(caller)
    key = idempotency_key or ""

    def work(session: Session) -> tuple[dict[str, Any], bool]:
        try:
            begun = start(house.database, house.intake, session, spec, by=caller.name, because=because, key=stored_key(caller, key))
        except KeyReused as reused:
            raise reused.told_as(key) from None
        return shape_of(session, begun.campaign), begun.replay

    shape, replay = persist(house, work)
    return _begun(request, shape, replay=replay)


@router.get("/rollouts/{campaign_id:jobid}/report", operation_id="reportRollout", response_model=answers.Report, responses=TAGGED)
def report_rollout(request: Request, house: TheHouse, caller: Reader, campaign_id: JobId) -> Response:
    """What became of every target; equal outputs are folded together."""
    unbound(caller)
    with house.database.read() as session:
        shape = report_shape(report(session, known(session, campaign_id, kind=CampaignKind.ROLLOUT)))
    return tagged(request, shape)


@router.post(
    "/rollouts/{campaign_id:jobid}:retry",
    operation_id="retryRollout",
    status_code=202,
    response_model=answers.Campaign,
    responses=BEGUN | {200: {"model": answers.Left, "description": "What it would take up; only with `dry_run`."}},
)
def retry_rollout(
    request: Request,
    house: TheHouse,
    caller: Operator,
    campaign_id: JobId,
    because: Because = "",
    dry_run: Annotated[bool, Query(description="Only show which targets it would be.")] = False,  # noqa: FBT002 - a query parameter
) -> Response:
    """A new roll-out of exactly those targets that failed or were not started. Safe to repeat."""
    unbound(caller)
    if dry_run:
        with house.database.read() as session:
            row = known(session, campaign_id, kind=CampaignKind.ROLLOUT)
            left = [target_shape(target) for target in left_over(session, row)]
            return JSONResponse({"retry_of": row.id, "population": len(left), "targets": left})

    def work(session: Session) -> tuple[dict[str, Any], bool]:
        row = known(session, campaign_id, kind=CampaignKind.ROLLOUT)
        begun = retry(house.database, house.intake, session, row, by=caller.name, because=because)
        return shape_of(session, begun.campaign), begun.replay

    shape, replay = persist(house, work)
    return _begun(request, shape, replay=replay)


def _begun(request: Request, shape: dict[str, Any], *, replay: bool) -> Response:
    request.app.state.doorbell.ring()
    headers = {"Location": f"/v1/campaigns/{shape['id']}"} | ({"Idempotency-Replayed": "true"} if replay else {})
    return JSONResponse(shape, 202, headers=headers)
