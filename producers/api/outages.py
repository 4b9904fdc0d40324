"""`/v1/outages`: intervals in which containers did not answer, and why."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from models.whitelist import Word
from producers.api import fleet_answers as answers
from producers.api.gate import Reader, TheHouse
from producers.api.pages import Cursor, Limit, Page, page, seen_number
from producers.api.paths import JOB_ID
from producers.api.tags import TAGGED, tagged
from producers.downtime import Wanted, by_customer, outage_shape, outages

router = APIRouter(prefix="/v1", tags=["outages"])


Month = Annotated[str, Field(pattern=r"^[1-9][0-9]{3}-(0[1-9]|1[0-2])$")]


class OutageFilters(BaseModel):
    """Which outages."""

    model_config = ConfigDict(extra="forbid")

    container: int | None = Field(None, ge=101, le=2_147_483_644)
    node: Word | None = Field(None, description="Where the container was when it began.")
    customer: Word | None = Field(None, description="Whose it was then.")
    job: Annotated[str, Field(pattern=f"^{JOB_ID}$")] | None = None
    cause: Word | None = Field(None, description="A kind of job, or unknown.")
    month: Month | None = Field(None, description="In UTC; an outage belongs to the month in which it began.")
    measured: bool | None = Field(None, description="false: only those whose length is not known.")
    limit: Limit = 50
    cursor: Cursor = None


@router.get("/outages", operation_id="listOutages", response_model=Page[answers.Outage], responses=TAGGED)
def list_outages(request: Request, house: TheHouse, caller: Reader, filters: Annotated[OutageFilters, Query()]) -> Response:
    """Outages, the newest first; a token that is bound to a customer sees that customer's."""
    wanted = Wanted(
        filters.container, filters.node, filters.customer, filters.job and filters.job.upper(), filters.cause, filters.month, filters.measured
    )
    with house.database.read() as session:
        rows = outages(session, wanted, own=caller.customer, limit=filters.limit + 1, before=seen_number(filters.cursor))
    return tagged(request, page(request, rows, limit=filters.limit, key=lambda outage: outage.id, shape=outage_shape))


class Shares(BaseModel):
    """A month, customer by customer; the longest first."""

    month: str
    items: list[answers.Downtime]


@router.get("/downtime", operation_id="getDowntime", response_model=Shares, responses=TAGGED)
def get_downtime(
    request: Request, house: TheHouse, caller: Reader, month: Annotated[Month, Query(description="In UTC.", examples=["2026-03"])]
) -> Response:
    """How long the containers of each customer did not answer in a month; a token that is bound to a customer sees that customer's."""
    with house.database.read() as session:
        shares = by_customer(session, month, own=caller.customer)
    return tagged(request, {"month": month, "items": [asdict(share) for share in shares]})
