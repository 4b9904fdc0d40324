"""`/v1/events`: everything that happens, in the order of commits; as pages, or as a stream that resumes from a number."""

import json
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

import anyio
import structlog
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select
from starlette.concurrency import run_in_threadpool

from models.house import PRUNED, Counter
from models.ids import HIGHEST_NUMBER
from models.jobs import Event, Job
from producers.api import answers
from producers.api.gate import Reader, TheHouse
from producers.api.pages import Limit
from producers.api.problems import Fault
from producers.house import House
from producers.shapes import event_shape
from producers.tokens import Caller

log = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1", tags=["events"])
LOOK_S = 0.25
BEAT_S = 15.0  # a comment line, so that proxies and readers know that the stream lives
AT_ONCE = 500
Number = Annotated[int, Query(ge=0, le=HIGHEST_NUMBER, description="Only events after this number.")]
Gaps = Annotated[bool, Query(description="Give what is left where events have been pruned (else 410); a stream says so by an event `pruned`.")]
LastId = Annotated[str | None, Header(pattern=r"^[0-9]{1,18}$", description="As `after`; what an EventSource sends when it comes back.")]
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "A page; or the stream, with Accept: text/event-stream."}
}


class EventPage(BaseModel):
    """Events in the order of their commits."""

    items: list[answers.Event]
    last: int = Field(description="Number of the last one; `after` for the next page.")
    pruned: int | None = Field(description="Up to this number events have been pruned, so this page may lack some; null: it lacks none.")


@router.get("/events", operation_id="listEvents", response_model=EventPage, responses=STREAM)
async def list_events(
    request: Request, house: TheHouse, caller: Reader, after: Number = 0, limit: Limit = 100, *, gaps: Gaps = False, last_event_id: LastId = None
) -> Response:
    """Events after a number. With `Accept: text/event-stream` they keep coming, and a reader who resumes misses none."""
    after = int(last_event_id) if last_event_id is not None else after
    if "text/event-stream" in request.headers.get("accept", ""):
        closing: threading.Event = request.app.state.closing
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_stream(request, house, caller, after, closing), media_type="text/event-stream", headers=headers)
    rows, pruned = await run_in_threadpool(_events, house, caller, after, limit)
    if after < pruned and not gaps:
        what = f"events behind number {after} have been pruned, up to {pruned}; see what became of your jobs with listJobs"
        raise Fault(410, f"{what}, then go on with after={pruned}, or with gaps=true for what is left of the old ones", kind="pruned")
    shapes = [event_shape(event) for event in rows]
    last = rows[-1].number if rows else after
    return JSONResponse({"items": shapes, "last": last, "pruned": pruned if after < pruned else None})


async def _stream(request: Request, house: House, caller: Caller, after: int, closing: threading.Event) -> AsyncIterator[str]:
    yield "retry: 1000\n\n"
    quiet, told = 0.0, 0
    while not closing.is_set() and not await request.is_disconnected():
        try:
            rows, pruned = await run_in_threadpool(_events, house, caller, after, AT_ONCE)
        except SQLAlchemyError as error:
            log.warning("stream_without_database", error=str(error).splitlines()[0][:300])
            return  # the reader comes back with the last number it saw
        if after < pruned and told < pruned:
            yield f"event: pruned\ndata: {json.dumps({'after': after, 'pruned': pruned})}\n\n"  # no id: what is left of them follows
            told = pruned
        for event in rows:
            after = event.number or after
            yield f"id: {after}\nevent: job.{event.cause}\ndata: {json.dumps(event_shape(event))}\n\n"
        quiet = 0.0 if rows else quiet + LOOK_S
        if quiet >= BEAT_S:
            quiet = 0.0
            yield ": still here\n\n"
        if not rows:
            await anyio.sleep(LOOK_S)


def _events(house: House, caller: Caller, after: int, limit: int) -> tuple[Sequence[Event], int]:
    """Events, and up to which number some have been pruned."""
    with house.database.read() as session:
        query = select(Event).where(col(Event.number) > after).order_by(col(Event.number)).limit(limit)
        if caller.customer is not None:
            query = query.join(Job, col(Job.id) == col(Event.job_id)).where(Job.customer == caller.customer)
        rows = session.exec(query).all()
        counter = session.get(Counter, PRUNED)  # after the rows: whatever went before they were read is told
        return rows, counter.value if counter is not None else 0
