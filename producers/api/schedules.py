"""`/v1/schedules`: roll-outs that begin by the clock."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlmodel import Session, select

from models.rollouts import RolloutSpec
from models.schedules import Schedule
from models.whitelist import Word
from producers.api import campaign_answers as answers
from producers.api.gate import Operator, Reader, TheHouse, unbound
from producers.api.orders import Because
from producers.api.paths import NAME
from producers.api.placing import persist
from producers.api.problems import Fault
from producers.api.tags import TAGGED, tagged
from producers.campaigns import schedules
from producers.house import House
from producers.rollouts.shapes import schedule_shape
from producers.tokens import Caller

router = APIRouter(prefix="/v1", tags=["schedules"])
ScheduleName = Annotated[str, Path(pattern=NAME, description="The schedule's name.")]
Line = Annotated[str, StringConstraints(max_length=100)]


class NewSchedule(BaseModel):
    """When which roll-out begins."""

    model_config = ConfigDict(extra="forbid")

    name: Word
    spec: RolloutSpec
    cron: str = Field(max_length=100, description="Five fields, or @daily and the like.", examples=["0 3 * * sun"])
    timezone: str = Field("UTC", max_length=60, description="Whose clocks it goes by.")
    windows: list[Line] = Field(default_factory=list, max_length=20, description="Times outside them are left out.")
    overlap: Literal["skip", "queue", "allow"] = Field("skip", description="While the one before has not ended.")
    missed: Literal["skip", "once"] = Field("skip", description="Times that passed while no service was alive.")


class Schedules(BaseModel):
    """All schedules."""

    items: list[answers.Schedule]


@router.get("/schedules", operation_id="listSchedules", response_model=Schedules, responses=TAGGED)
def list_schedules(request: Request, house: TheHouse, caller: Reader) -> Response:
    """All schedules, by name."""
    unbound(caller)
    with house.database.read() as session:
        now = house.database.now(session)
        return tagged(request, {"items": [schedule_shape(row, now) for row in session.exec(select(Schedule).order_by(Schedule.name)).all()]})


@router.get("/schedules/{name:name}", operation_id="getSchedule", response_model=answers.Schedule, responses=TAGGED)
def get_schedule(request: Request, house: TheHouse, caller: Reader, name: ScheduleName) -> Response:
    """A schedule and its next times."""
    unbound(caller)
    with house.database.read() as session:
        return tagged(request, schedule_shape(_known(session, name), house.database.now(session)))


@router.post("/schedules", operation_id="addSchedule", status_code=201, response_model=answers.Schedule)
def add_schedule(house: TheHouse, caller: Operator, wanted: NewSchedule, because: Because = "") -> Response:
    """Begin a roll-out again and again; refused where there is one of this name."""
    unbound(caller)
    wish = schedules.Wish(wanted.name, wanted.spec, wanted.cron, wanted.timezone, tuple(wanted.windows), wanted.overlap, wanted.missed)

    def work(session: Session) -> dict[str, Any]:
        made = schedules.add(house.database, session, wish, by=caller.name, because=because)
        return schedule_shape(made, house.database.now(session))

    return JSONResponse(persist(house, work), 201)


@router.post("/schedules/{name:name}:pause", operation_id="pauseSchedule", response_model=answers.Schedule)
def pause_schedule(house: TheHouse, caller: Operator, name: ScheduleName, because: Because = "") -> Response:
    """Let it start nothing; what it has started goes on."""
    return _pause(house, caller, name, because=because, paused=True)


@router.post("/schedules/{name:name}:resume", operation_id="resumeSchedule", response_model=answers.Schedule)
def resume_schedule(house: TheHouse, caller: Operator, name: ScheduleName, because: Because = "") -> Response:
    """Let it go on, from its next time after now."""
    return _pause(house, caller, name, because=because, paused=False)


@router.delete(
    "/schedules/{name:name}",
    operation_id="removeSchedule",
    status_code=204,
    response_class=Response,
    responses={204: {"description": "It starts nothing any more."}},
)
def remove_schedule(house: TheHouse, caller: Operator, name: ScheduleName, because: Because = "") -> Response:
    """Take it away; what it has started goes on."""
    unbound(caller)

    def work(session: Session) -> None:
        _known(session, name)
        schedules.remove(house.database, session, name, by=caller.name, because=because)

    persist(house, work)
    return Response(status_code=204)


def _pause(house: House, caller: Caller, name: str, *, because: str, paused: bool) -> Response:
    unbound(caller)

    def work(session: Session) -> dict[str, Any]:
        _known(session, name)
        schedule = schedules.pause(house.database, session, name, by=caller.name, because=because, paused=paused)
        return schedule_shape(schedule, house.database.now(session))

    return JSONResponse(persist(house, work))


def _known(session: Session, name: str) -> Schedule:
    schedule = session.get(Schedule, name)
    if schedule is None:
        raise Fault(404, f"there is no schedule {name}")
    return schedule
