"""`/v1/relocations`: emptying nodes, filling them again, evening out, rebooting: what it would do, and beginning it."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from models.relocations import RelocationOrder
from producers.api import campaign_answers as answers
from producers.api.campaigns import shape_of
from producers.api.gate import Operator, Reader, TheHouse, unbound
from producers.api.orders import Because, Key
from producers.api.placing import persist, stored_key
from producers.refusals import KeyReused
from producers.relocations.shapes import plan_shape
from producers.relocations.start import asked_for, start

router = APIRouter(prefix="/v1", tags=["relocations"])
EXAMPLES: dict[str, Any] = {
    "evacuation": {"summary": "Empty a node", "value": {"kind": "evacuation", "nodes": ["n1"], "longest_gap_s": 5}},
    "reboot": {"summary": "Reboot nodes one after the other", "value": {"kind": "reboot", "nodes": ["n1", "n2"], "kernel": "5.10.0-30"}},
}
BEGUN: dict[int | str, Any] = {
    202: {
        "description": "It has begun, unless nothing had to move; follow it at `/v1/campaigns/{id}`.",
        "headers": {
            "Location": {"description": "Address of the campaign, where there is one.", "schema": {"type": "string"}},
            "Idempotency-Replayed": {"description": "`true` when this key had brought this relocation before.", "schema": {"type": "string"}},
        },
    }
}
Order = Annotated[RelocationOrder, Body(openapi_examples=EXAMPLES)]


@router.post("/relocations:plan", operation_id="planRelocation", response_model=answers.RelocationPlan)
def plan_relocation(house: TheHouse, caller: Reader, order: Order) -> Response:
    """Who would move where, how long each is expected to be down and when it would end; nothing is written."""
    unbound(caller)
    with house.database.read() as session:
        return JSONResponse(plan_shape(asked_for(house.database, session, order)))


@router.post("/relocations", operation_id="startRelocation", status_code=202, response_model=answers.Relocation, responses=BEGUN)
def start_relocation(
    request: Request, house: TheHouse, caller: Operator, order: Order, idempotency_key: Key = None, because: Because = ""
) -> Response:
    """Begin it. A node that is emptied is drained by it, one that is filled again becomes active; so it is too where nothing has to move."""
    unbound(caller)
    key = idempotency_key or ""

    def work(session: Session) -> tuple[dict[str, Any], bool]:
        relocation = asked_for(house.database, session, order)
        try:
            begun = start(house.database, house.intake, session, relocation, by=caller.name, because=because, key=stored_key(caller, key))
        except KeyReused as reused:
            raise reused.told_as(key) from None
        campaign = shape_of(session, begun.campaign) if begun is not None else None
        return {"campaign": campaign, "plan": plan_shape(relocation)}, begun is not None and begun.replay

    shape, replay = persist(house, work)
    request.app.state.doorbell.ring()
    headers = {"Idempotency-Replayed": "true"} if replay else {}
    if shape["campaign"] is not None:
        headers["Location"] = f"/v1/campaigns/{shape['campaign']['id']}"
    return JSONResponse(shape, 202, headers=headers)
