"""Whether the service lives, and whether orders are accepted and worked off. Asked without a token, so nothing more is told."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import select

from models.house import Beat
from producers.api.gate import TheHouse
from producers.snapshot import WORKER_SILENT

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    alive: bool = True


class Ready(BaseModel):
    """Whether orders are accepted and worked off."""

    ready: bool = Field(description="Database and dispatcher are well. Without Redis orders are accepted too, they only wait longer.")
    database: bool
    dispatcher: bool = Field(description="A dispatcher went round within the last 15 seconds.")
    redis: bool


@router.get("/healthz", operation_id="alive")
async def alive() -> Alive:
    """Answers while the process lives."""
    return Alive()


@router.get("/readyz", operation_id="ready", response_model=Ready, responses={503: {"model": Ready, "description": "Not ready."}})
def ready(house: TheHouse) -> Response:
    """Whether orders are accepted and worked off."""
    database = dispatcher = False
    try:
        with house.database.read() as session:
            beat = session.exec(select(Beat).where(Beat.name == "dispatcher")).first()
            dispatcher = beat is not None and beat.at > house.database.now(session) - WORKER_SILENT
            database = True
    except SQLAlchemyError:
        pass
    answer = Ready(ready=database and dispatcher, database=database, dispatcher=dispatcher, redis=house.bell.answers())
    return JSONResponse(answer.model_dump(), 200 if answer.ready else 503)
