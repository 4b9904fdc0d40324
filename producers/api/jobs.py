"""`/v1/jobs`: what became of orders, and what may be done about it."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from sqlmodel import col, select
from starlette.concurrency import run_in_threadpool

from models.access import Scope
from models.jobs import Job
from models.kinds import KINDS
from models.lifecycle import FINAL, State
from models.whitelist import Word
from producers.api import answers
from producers.api.envelope import GIVEN
from producers.api.gate import Operator, Orderer, Reader, TheHouse, require, unbound
from producers.api.moments import Moment
from producers.api.orders import HEADERS, Because, Wait
from producers.api.pages import Cursor, Limit, Page, page, seen
from producers.api.paths import JobId
from producers.api.placing import SCOPES, persist, visible
from producers.api.rendering import job_answer
from producers.api.tags import TAGGED, tagged
from producers.audit import audit
from producers.house import House
from producers.jobs import CHOICES, Choice, cancel, lose_node, resolve, retry
from producers.passwords import hand_out
from producers.resolving import advice, last_look, offer_shape, offers, order_look, sight_shape
from producers.story import story, story_shape
from producers.tokens import Caller
from producers.why import reason_shapes, why, whys

router = APIRouter(prefix="/v1", tags=["jobs"])


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"there is no such kind; known: {', '.join(KINDS)}")
    return kind


KindName = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": sorted(KINDS)})]


class JobFilters(BaseModel):
    """Which jobs; several states mean any of them."""

    model_config = ConfigDict(extra="forbid")

    state: list[State] = Field(default_factory=list, max_length=len(State), description="Only these states.")
    open: bool | None = Field(None, description="Only those that have not ended (true), or have (false).")
    kind: KindName | None = None
    node: Word | None = None
    container: int | None = Field(None, ge=101, le=2_147_483_644)
    customer: Word | None = None
    producer: Annotated[str, Field(max_length=100, pattern=r"^[ -~]+$")] | None = Field(None, description="Who asked.")
    request: Annotated[str, Field(pattern=f"^{GIVEN.pattern}$")] | None = Field(None, description="The request it came with, as in X-Request-Id.")
    since: Moment | None = Field(None, description="Only those accepted at or after this moment.")
    why: bool = Field(False, description="Tell what holds each of them.")
    limit: Limit = 50
    cursor: Cursor = None


@router.get("/jobs", operation_id="listJobs", response_model=Page[answers.ListedJob])
def list_jobs(request: Request, house: TheHouse, caller: Reader, filters: Annotated[JobFilters, Query()]) -> Response:
    """Jobs, the newest first."""
    query = select(Job).order_by(col(Job.id).desc()).limit(filters.limit + 1)
    last = seen(filters.cursor)
    wanted = [
        (Job.node, filters.node), (Job.kind, filters.kind), (Job.ctid, filters.container),
        (Job.customer, filters.customer), (Job.customer, caller.customer), (Job.producer, filters.producer), (Job.request, filters.request),
    ]  # fmt: skip
    query = query.where(*(col(column) == value for column, value in wanted if value is not None))
    if filters.state:
        query = query.where(col(Job.state).in_(filters.state))
    if filters.open is not None:
        ended = col(Job.state).in_(sorted(FINAL))
        query = query.where(~ended if filters.open else ended)
    if filters.since is not None:
        query = query.where(col(Job.accepted_at) >= filters.since)
    if last is not None:
        query = query.where(col(Job.id) < last)
    with house.database.read() as session:
        rows = session.exec(query).all()
        told = whys(house.database, session, rows) if filters.why else {}

    def shape(job: Job) -> dict[str, Any]:
        return job_answer(job, caller) | ({"why": reason_shapes(told[job.id])} if filters.why else {})

    return tagged(request, page(request, rows, limit=filters.limit, key=lambda job: job.id, shape=shape))


@router.get("/jobs/{job_id:jobid}", operation_id="getJob", response_model=answers.JobStory, responses=TAGGED)
async def get_job(request: Request, house: TheHouse, caller: Reader, job_id: JobId, wait: Wait = 0) -> Response:
    """A job with its events, what was done on the node, and what holds it. With `wait` also answered when it is stuck."""
    shape, tag = await run_in_threadpool(_story, house, caller, job_id)
    if wait and shape["ended_at"] is None:
        await request.app.state.ends.wait(shape["id"], wait)
        shape, tag = await run_in_threadpool(_story, house, caller, job_id)
    return tagged(request, shape, tag=tag)


@router.post("/jobs/{job_id:jobid}:cancel", operation_id="cancelJob", response_model=answers.Said)
def cancel_job(request: Request, house: TheHouse, caller: Orderer, job_id: JobId, because: Because = "") -> Response:
    """Take a job back: at once while nothing has begun, else at the next safe point. Refused past the point of no return."""
    with house.database.write() as session:
        job = _within(visible(session, caller, job_id), caller)
        sentence = cancel(house.database, session, job, by=caller.name, because=because)
        said = {"job": job.id, "state": job.state, "what": sentence}
    request.app.state.doorbell.ring()
    return JSONResponse(said)


@router.post(
    "/jobs/{job_id:jobid}:retry",
    operation_id="retryJob",
    status_code=202,
    response_model=answers.Job,
    responses={202: {"description": "Accepted as a new job that names the old one; asked twice it is the same job.", "headers": HEADERS}},
)
def retry_job(request: Request, house: TheHouse, caller: Orderer, job_id: JobId, because: Because = "") -> Response:
    """Place the order of a failed or cancelled job again."""

    def work(session: Any) -> tuple[dict[str, Any], bool]:  # noqa: ANN401 - a session
        job = _within(visible(session, caller, job_id), caller)
        accepted = retry(house.intake, house.vault, session, job, by=caller.name, because=because, request=request.state.request_id)
        return job_answer(accepted.job, caller), accepted.replay

    shape, replay = persist(house, work)
    request.app.state.doorbell.ring()
    return JSONResponse(shape, 202, headers={"Location": f"/v1/jobs/{shape['id']}"} | ({"Idempotency-Replayed": "true"} if replay else {}))


class Decision(BaseModel):
    """What to do with a stuck job."""

    model_config = ConfigDict(extra="forbid")

    choice: Choice = Field(description="; ".join(f"{name}: {meaning}" for name, (_, meaning) in CHOICES.items()))


@router.post("/jobs/{job_id:jobid}:resolve", operation_id="resolveJob", response_model=answers.Said)
def resolve_job(request: Request, house: TheHouse, caller: Operator, job_id: JobId, decision: Decision, because: Because = "") -> Response:
    """Decide about a stuck job."""
    unbound(caller)
    with house.database.write() as session:
        job = visible(session, caller, job_id)
        event = resolve(session, job, decision.choice, by=caller.name, because=because, now=house.database.now(session))
        said = {"job": job.id, "state": event.state, "what": event.why}
    request.app.state.doorbell.ring()
    return JSONResponse(said)


@router.get("/jobs/{job_id:jobid}/choices", operation_id="jobChoices", response_model=answers.Choices)
def job_choices(house: TheHouse, caller: Operator, job_id: JobId) -> Response:
    """What may be decided about a stuck job: what the node showed when it was last looked at, and what each choice would do, rehearsed."""
    unbound(caller)
    with house.database.read() as session:
        job = visible(session, caller, job_id)
        seen = last_look(session, job)
        told = [offer_shape(offer) for offer in offers(house.database, session, job)]
        hint = advice(job, seen.result if seen is not None else None)
        return JSONResponse({"job": job.id, "error": job.error, "seen": sight_shape(seen), "advice": hint, "offers": told})


@router.post(
    "/jobs/{job_id:jobid}:look",
    operation_id="lookForJob",
    status_code=202,
    response_model=answers.Job,
    responses={202: {"description": "A worker looks at its container; when that job is done, see its choices.", "headers": HEADERS}},
)
def look_for_job(request: Request, house: TheHouse, caller: Operator, job_id: JobId, because: Because = "") -> Response:
    """Have a worker look at what the job left on its node; changes nothing there."""
    unbound(caller)
    with house.database.write() as session:
        shape = job_answer(order_look(house.intake, session, visible(session, caller, job_id), by=caller.name, because=because).job, caller)
    request.app.state.doorbell.ring()
    return JSONResponse(shape, 202, headers={"Location": f"/v1/jobs/{shape['id']}"})


@router.post("/jobs/{job_id:jobid}:node-lost", operation_id="loseNodeOfJob", response_model=answers.Said)
def lose_node_of_job(request: Request, house: TheHouse, caller: Operator, job_id: JobId, because: Because = "") -> Response:
    """Its node is gone for good: all jobs there go elsewhere or end, and nothing runs there unseen if it comes back."""
    unbound(caller)
    with house.database.write() as session:
        job = visible(session, caller, job_id)
        node = lose_node(session, job, by=caller.name, because=because, now=house.database.now(session))
        said = {"job": job.id, "state": job.state, "what": f"node {node.name} counts as lost: its jobs go elsewhere or end within seconds"}
    request.app.state.doorbell.ring()
    return JSONResponse(said)


@router.post("/jobs/{job_id:jobid}:password", operation_id="fetchPassword", response_model=answers.Password)
def fetch_password(request: Request, house: TheHouse, caller: Orderer, job_id: JobId, because: Because = "") -> Response:
    """The root password that a job with `generate_password` made; once, and only when the job is done. Then it is erased."""
    with house.database.write() as session:
        job = visible(session, caller, job_id)
        password = hand_out(session, house.vault, job)
        now, data = house.database.now(session), {"request": request.state.request_id}
        audit(session, at=now, by=caller.name, action="job password", subject=f"job:{job.id}", because=because, data=data)
    return JSONResponse({"job": job.id, "password": password})


def _within(job: Job, caller: Caller) -> Job:
    """Who may not order a kind may not undo or repeat it either."""
    require(caller, SCOPES.get(job.kind, Scope.ORDER))
    return job


def _story(house: House, caller: Caller, job_id: str) -> tuple[dict[str, Any], str]:
    """The whole story, and what changes only when something happened: the reasons count seconds."""
    with house.database.read() as session:
        job = visible(session, caller, job_id)
        reasons = why(house.database, session, job)
        shape = story_shape(story(session, job)) | job_answer(job, caller)
    told = reason_shapes(reasons)
    stable = repr((shape, [(reason.code, reason.holder) for reason in reasons]))
    return shape | {"why": told}, stable
