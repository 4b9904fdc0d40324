"""`/v1/queue`: how much there is to do, and who is there to do it."""

from datetime import datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from models.clock import stamp
from models.lifecycle import State
from producers.api.gate import Reader, TheHouse, unbound
from producers.api.tags import TAGGED, tagged
from producers.depth import depths, slots

router = APIRouter(prefix="/v1", tags=["fleet"])


class Waiting(BaseModel):
    """So many jobs of one sort that have not ended."""

    site: str
    kind: str
    state: State
    count: int
    since: datetime = Field(description="When the oldest of them was accepted.")


class Slots(BaseModel):
    """What the workers of a site take at once."""

    site: str
    family: str
    slots: int


class Queue(BaseModel):
    """All of it."""

    jobs: list[Waiting]
    workers: list[Slots] = Field(description="Of workers that are alive; a site that is not named has none.")


@router.get("/queue", operation_id="getQueue", response_model=Queue, responses=TAGGED)
def get_queue(request: Request, house: TheHouse, caller: Reader) -> Response:
    """Jobs that have not ended by site, kind and state, and the slots of the workers that are alive."""
    unbound(caller)
    with house.database.read() as session:
        waiting = [
            {"site": one.site, "kind": one.kind, "state": str(one.state), "count": one.count, "since": stamp(one.since)} for one in depths(session)
        ]
        free = [
            {"site": site, "family": family, "slots": count} for (site, family), count in sorted(slots(session, house.database.now(session)).items())
        ]
    return tagged(request, {"jobs": waiting, "workers": free})
