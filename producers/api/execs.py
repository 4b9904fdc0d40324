"""`/v1/exec`: one command in many containers at once, and how each of them answered."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session, col, select

from models.inside import ExecResult
from models.rollouts import Selector
from models.updates import LONGEST_COMMAND
from producers.api import answers
from producers.api.gate import Operator, Reader, TheHouse, unbound
from producers.api.orders import Because, Key
from producers.api.pages import Cursor, Limit, Page, page, seen_number
from producers.api.paths import JobId
from producers.api.placing import persist, stored_key, visible
from producers.api.tags import TAGGED, tagged
from producers.execs import Command, execute_where, execution_shape, result_shape

router = APIRouter(prefix="/v1", tags=["exec"])


class Exec(BaseModel):
    """A command for all containers that a selector fits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    selector: Selector
    script: str = Field(min_length=1, max_length=LONGEST_COMMAND, pattern=r"^[^\x00]*$", description="Kept with the jobs: put no secret into it.")
    interpreter: Literal["sh", "bash", "python3", "perl"] = "sh"
    arguments: tuple[Annotated[str, Field(max_length=4096, pattern=r"^[^\x00]*$")], ...] = Field((), max_length=64)
    timeout_s: int = Field(600, strict=True, ge=1, le=86_400, description="In each container; then it is ended there.")
    output_max: int = Field(65_536, strict=True, ge=1024, le=1_048_576, description="Bytes of output from each; who prints more is ended.")
    at_once: int = Field(8, strict=True, ge=1, le=64, description="So many containers of one node at a time.")


@router.post("/exec", operation_id="exec", status_code=202, response_model=answers.Execution)
def run(
    request: Request, house: TheHouse, caller: Operator, command: Annotated[Exec, Body()], idempotency_key: Key = None, because: Because = ""
) -> Response:
    """Run it in all of them: one job a node; follow those, and fetch their results. A command never runs twice."""
    unbound(caller)
    what = Command(command.script, command.interpreter, command.arguments, command.timeout_s, command.output_max, command.at_once)
    key = stored_key(caller, idempotency_key or "")

    def work(session: Session) -> dict[str, Any]:
        return execution_shape(*execute_where(session, house.intake, command.selector, what, by=caller.name, because=because, key=key))

    shape = persist(house, work)
    request.app.state.doorbell.ring()
    return JSONResponse(shape, 202)


@router.get("/jobs/{job_id:jobid}/results", operation_id="listResults", response_model=Page[answers.ExecResult], responses=TAGGED)
def list_results(
    request: Request, house: TheHouse, caller: Reader, job_id: JobId, limit: Annotated[Limit, Query()] = 50, cursor: Cursor = None
) -> Response:
    """How the containers of an exec-batch answered, by id; more come while it runs."""
    unbound(caller)
    last = seen_number(cursor)
    with house.database.read() as session:
        job = visible(session, caller, job_id)
        query = select(ExecResult).where(ExecResult.job_id == job.id).order_by(col(ExecResult.ctid)).limit(limit + 1)
        rows = session.exec(query.where(col(ExecResult.ctid) > last) if last is not None else query).all()
    return tagged(request, page(request, rows, limit=limit, key=lambda row: row.ctid, shape=result_shape))
