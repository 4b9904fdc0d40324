"""`/v1/jobs`: what became of orders, and what may be done about it."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from producers.api import answers
from producers.api.gate import Reader, TheHouse
from producers.api.placing import visible
from producers.api.rendering import job_answer
from producers.api.tags import tagged
from producers.house import House
from producers.story import story, story_shape
from producers.tokens import Caller
from producers.why import why

router = APIRouter(prefix="/v1", tags=["jobs"])
JobId = Annotated[str, Path(pattern=r"^[0-9A-Za-z]{26}$", description="The job's id.", examples=["01JD8QF3Z5X0RQ2M8B7C4E6N9T"])]


@router.get("/jobs/{job_id:jobid}", operation_id="getJob", response_model=answers.JobStory)
async def get_job(
    request: Request,
    house: TheHouse,
    caller: Reader,
    job_id: JobId,
    wait: Annotated[float, Query(ge=0, le=60, description="Answer when it has ended or is stuck, at the latest after so many seconds.")] = 0,
) -> Response:
    """A job with its events, what was done on the node, and what holds it."""
    shape, tag = await run_in_threadpool(_story, house, caller, job_id)
    if wait and shape["ended_at"] is None:
        await request.app.state.ends.wait(shape["id"], wait)
        shape, tag = await run_in_threadpool(_story, house, caller, job_id)
    return tagged(request, shape, tag=tag)


def _story(house: House, caller: Caller, job_id: str) -> tuple[dict[str, Any], str]:
    """The whole story, and what changes only when something happened: the reasons count seconds."""
    with house.database.read() as session:
        job = visible(session, caller, job_id)
        reasons = why(house.database, session, job)
        shape = story_shape(story(session, job)) | job_answer(job, caller)
    told = [{"code": reason.code, "text": reason.text, "until": reason.until, "holder": reason.holder} for reason in reasons]
    stable = repr((shape, [(reason.code, reason.holder) for reason in reasons]))
    return shape | {"why": told}, stable
