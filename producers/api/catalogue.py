"""`/v1/plans` and `/v1/pools`: what can be ordered, and the addresses for it."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func
from sqlmodel import Session, select

from models.fleet import Address, Plan, Pool
from models.whitelist import Word
from producers.api import fleet_answers as answers
from producers.api.gate import Operator, Reader, TheHouse, unbound
from producers.api.orders import Because
from producers.api.paths import PlanName, PoolName
from producers.api.problems import Fault
from producers.api.tags import TAGGED, tagged
from producers.fleet import drop_plan, put_plan, put_pool
from producers.ranges import range_of
from producers.shapes import plan_shape, pool_shape

router = APIRouter(prefix="/v1", tags=["catalogue"])
Bytes = Annotated[int, Field(strict=True, ge=0, le=1 << 56)]


GONE: dict[int | str, Any] = {204: {"description": "It is gone."}}


class PlanSizes(BaseModel):
    """What a plan sells; sizes in bytes."""

    model_config = ConfigDict(extra="forbid")

    ram_bytes: Bytes
    disk_bytes: Bytes
    swap_bytes: Bytes = 0
    inodes: Annotated[int, Field(strict=True, ge=1, le=2_000_000_000)] | None = None
    cpus: int = Field(1, strict=True, ge=1, le=1024)
    cpuunits: int = Field(1000, strict=True, ge=8, le=500_000, description="Share of processor time against other containers.")
    downtime_month_s: float | None = Field(None, strict=True, ge=0, le=2_700_000, description="Planned downtime a month; no limit if left out.")


class PoolRange(BaseModel):
    """A range of addresses and how they are used."""

    model_config = ConfigDict(extra="forbid")

    cidr: str = Field(max_length=50, pattern=r"^[0-9a-fA-F.:]+/[0-9]{1,3}$", examples=["192.0.2.0/24"])
    first: str = Field("", max_length=45, pattern=r"^[0-9a-fA-F.:]*$", description="First address given out; the network's first host if left out.")
    last: str = Field("", max_length=45, pattern=r"^[0-9a-fA-F.:]*$")
    site: Word | None = Field(None, description="The installation's own if left out.")
    probe: str = Field(
        "icmp", pattern=r"^(icmp|none|tcp:[0-9]{1,5})$", description="How a container on it is asked whether it answers; none: not asked."
    )
    nameservers: list[Annotated[str, Field(max_length=45, pattern=r"^[0-9a-fA-F.:]+$")]] = Field(default_factory=list, max_length=4)
    rank: int = Field(0, strict=True, ge=-1000, le=1000, description="Pools with a higher one are used first.")
    rest_s: int = Field(0, strict=True, ge=0, le=31_536_000, description="How long an address rests after use, seconds.")


class Plans(BaseModel):
    """All plans."""

    items: list[answers.Plan]


class Pools(BaseModel):
    """All pools."""

    items: list[answers.Pool]


@router.get("/plans", operation_id="listPlans", response_model=Plans, responses=TAGGED)
def list_plans(request: Request, house: TheHouse, _caller: Reader) -> Response:
    """All plans, by name."""
    with house.database.read() as session:
        return tagged(request, {"items": [plan_shape(plan) for plan in session.exec(select(Plan).order_by(Plan.name)).all()]})


@router.get("/plans/{name:name}", operation_id="getPlan", response_model=answers.Plan, responses=TAGGED)
def get_plan(request: Request, house: TheHouse, _caller: Reader, name: PlanName) -> Response:
    """A plan."""
    with house.database.read() as session:
        plan = session.get(Plan, name)
    if plan is None:
        raise Fault(404, f"there is no plan {name}")
    return tagged(request, plan_shape(plan))


@router.put(
    "/plans/{name:name}", operation_id="putPlan", response_model=answers.Plan, responses={201: {"model": answers.Plan, "description": "It is new."}}
)
def set_plan(house: TheHouse, caller: Operator, name: PlanName, sizes: PlanSizes, because: Because = "") -> Response:
    """Offer a plan, or change it for orders to come: containers keep the sizes they were ordered with."""
    unbound(caller)
    with house.database.write() as session:
        plan = Plan(name=name, **sizes.model_dump())
        plan, new = put_plan(session, plan, by=caller.name, because=because, now=house.database.now(session))
        shape = plan_shape(plan)
    return JSONResponse(shape, 201 if new else 200)


@router.delete(
    "/plans/{name:name}", operation_id="deletePlan", status_code=204, response_class=Response, responses={204: {"description": "It is gone."}}
)
def delete_plan(house: TheHouse, caller: Operator, name: PlanName, because: Because = "") -> Response:
    """Offer it no longer; containers keep their sizes."""
    unbound(caller)
    with house.database.write() as session:
        try:
            drop_plan(session, name, by=caller.name, because=because, now=house.database.now(session))
        except LookupError:
            raise Fault(404, f"there is no plan {name}") from None
    return Response(status_code=204)


@router.get("/pools", operation_id="listPools", response_model=Pools, responses=TAGGED)
def list_pools(request: Request, house: TheHouse, caller: Reader) -> Response:
    """All address pools with how much of them is used."""
    unbound(caller)
    with house.database.read() as session:
        used: dict[str, int] = dict(session.execute(select(Address.pool, func.count()).group_by(Address.pool)).all())
        pools = session.exec(select(Pool).order_by(Pool.site, Pool.name)).all()
    return tagged(request, {"items": [_shape(pool, used.get(pool.name, 0)) for pool in pools]})


@router.get("/pools/{name:name}", operation_id="getPool", response_model=answers.Pool, responses=TAGGED)
def get_pool(request: Request, house: TheHouse, caller: Reader, name: PoolName) -> Response:
    """An address pool."""
    unbound(caller)
    with house.database.read() as session:
        pool = session.get(Pool, name)
        if pool is None:
            raise Fault(404, f"there is no pool {name}")
        return tagged(request, _shape(pool, _used(session, name)))


@router.put(
    "/pools/{name:name}", operation_id="putPool", response_model=answers.Pool, responses={201: {"model": answers.Pool, "description": "It is new."}}
)
def set_pool(house: TheHouse, caller: Operator, name: PoolName, given: PoolRange, because: Because = "") -> Response:
    """Add a pool, or change how it is used; its range only while none of its addresses is in use."""
    unbound(caller)
    with house.database.write() as session:
        pool = Pool(name=name, **given.model_dump(exclude={"site"}), site=given.site or house.settings.site)
        pool, new = put_pool(house.database, session, pool, by=caller.name, because=because, now=house.database.now(session))
        session.flush()
        shape = _shape(pool, _used(session, name))
    return JSONResponse(shape, 201 if new else 200)


def _used(session: Session, name: str) -> int:
    return session.exec(select(func.count()).select_from(Address).where(Address.pool == name)).one()


def _shape(pool: Pool, used: int) -> dict[str, Any]:
    return pool_shape(pool, used=used, size=range_of(pool).size)
