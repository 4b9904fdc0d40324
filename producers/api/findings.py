"""`/v1/findings`: what differs between the books and the nodes, and the order that would mend it."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import col, select

from models.findings import Finding
from models.whitelist import Word
from producers.api import fleet_answers as answers
from producers.api.gate import Operator, Reader, TheHouse, unbound
from producers.api.orders import HEADERS, Because
from producers.api.pages import Cursor, Limit, Page, page, seen_number
from producers.api.paths import FindingId
from producers.api.placing import persist
from producers.api.problems import Fault
from producers.api.tags import TAGGED, tagged
from producers.findings import finding_shape, rehearse, repair, repair_shape

router = APIRouter(prefix="/v1", tags=["findings"])


class FindingFilters(BaseModel):
    """Which findings."""

    model_config = ConfigDict(extra="forbid")

    kind: Word | None = None
    node: Word | None = None
    gone: bool = Field(False, description="Also those that are no longer seen.")
    limit: Limit = 50
    cursor: Cursor = None


@router.get("/findings", operation_id="listFindings", response_model=Page[answers.Finding], responses=TAGGED)
def list_findings(request: Request, house: TheHouse, caller: Reader, filters: Annotated[FindingFilters, Query()]) -> Response:
    """Findings, the newest first."""
    unbound(caller)
    query = select(Finding).order_by(col(Finding.id).desc()).limit(filters.limit + 1)
    last = seen_number(filters.cursor)
    query = query.where(*(col(column) == value for column, value in ((Finding.kind, filters.kind), (Finding.node, filters.node)) if value))
    if not filters.gone:
        query = query.where(col(Finding.gone_at).is_(None))
    if last is not None:
        query = query.where(col(Finding.id) < last)
    with house.database.read() as session:
        rows = session.exec(query).all()
    return tagged(request, page(request, rows, limit=filters.limit, key=lambda finding: finding.id, shape=finding_shape))


@router.get("/findings/{finding_id:int}", operation_id="getFinding", response_model=answers.Finding, responses=TAGGED)
def get_finding(request: Request, house: TheHouse, caller: Reader, finding_id: FindingId) -> Response:
    """A finding."""
    unbound(caller)
    with house.database.read() as session:
        finding = session.get(Finding, finding_id)
    if finding is None:
        raise Fault(404, f"there is no finding {finding_id}")
    return tagged(request, finding_shape(finding))


@router.post(
    "/findings/{finding_id:int}:repair",
    operation_id="repairFinding",
    status_code=202,
    response_model=answers.Repair,
    responses={
        200: {"model": answers.Repair, "description": "What would be ordered; only with `dry_run`."},
        202: {"description": "The repair is ordered; asked again while it is open it is the same job.", "headers": HEADERS},
    },
)
def repair_finding(
    request: Request,
    house: TheHouse,
    caller: Operator,
    finding_id: FindingId,
    because: Because = "",
    dry_run: Annotated[bool, Query(description="Only show what would be ordered; all its checks are made.")] = False,  # noqa: FBT002 - a query parameter
) -> Response:
    """Place the order that mends it."""
    unbound(caller)
    with house.database.read() as session:
        if session.get(Finding, finding_id) is None:
            raise Fault(404, f"there is no finding {finding_id}")
    if dry_run:
        return JSONResponse(repair_shape(rehearse(house.database, house.intake, finding_id, by=caller.name), dry_run=True))
    shape = persist(
        house,
        lambda session: repair_shape(repair(house.database, house.intake, session, finding_id, by=caller.name, because=because), dry_run=False),
    )
    request.app.state.doorbell.ring()
    return JSONResponse(shape, 202, headers={"Location": f"/v1/jobs/{shape['job']}"})
