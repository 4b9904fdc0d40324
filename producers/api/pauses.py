"""`/v1/pauses`: what rests, by whom and why; letting it rest, and go on again."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from models.pauses import Reach
from producers.api import house_answers as answers
from producers.api.gate import Operator, Reader, TheHouse, unbound
from producers.api.orders import Because
from producers.api.tags import TAGGED, tagged
from producers.pauses import pause, pause_shape, pauses, resume

router = APIRouter(prefix="/v1", tags=["pauses"])


class Pauses(BaseModel):
    """All that is paused."""

    items: list[answers.Pause]


class Paused(BaseModel):
    """What is to rest, or to go on."""

    model_config = ConfigDict(extra="forbid")

    reach: Reach
    name: str = Field("", max_length=100, pattern=r"^[ -~]*$", description="Of the site, node, kind or producer; empty for everything.")


@router.get("/pauses", operation_id="listPauses", response_model=Pauses, responses=TAGGED)
def list_pauses(request: Request, house: TheHouse, caller: Reader) -> Response:
    """What is paused now, the oldest first."""
    unbound(caller)
    with house.database.read() as session:
        return tagged(request, {"items": [pause_shape(one) for one in pauses(session)]})


@router.post(
    "/pauses",
    operation_id="pause",
    response_model=answers.Pause,
    responses={201: {"model": answers.Pause, "description": "It rests from now on."}},
)
def begin_pause(house: TheHouse, caller: Operator, wanted: Paused, because: Because = "") -> Response:
    """Begin nothing more of it: what runs goes on, orders are still taken. `because` is needed. A pause that is there stays as it is."""
    unbound(caller)
    with house.database.write() as session:
        made, new = pause(session, wanted.reach, wanted.name, by=caller.name, because=because, now=house.database.now(session))
        shape = pause_shape(made)
    return JSONResponse(shape, 201 if new else 200)


@router.post("/pauses:resume", operation_id="resume", response_model=answers.Pause)
def end_pause(request: Request, house: TheHouse, caller: Operator, wanted: Paused, because: Because = "") -> Response:
    """End a pause; answers what it was. Refused when it is not paused."""
    unbound(caller)
    with house.database.write() as session:
        shape = pause_shape(resume(session, wanted.reach, wanted.name, by=caller.name, because=because, now=house.database.now(session)))
    request.app.state.doorbell.ring()
    return JSONResponse(shape)
