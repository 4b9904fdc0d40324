"""`/v1/orders`: an order becomes a job, once."""

import asyncio
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Body, Header, Query, Request
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool

from models.orders import Order
from producers.api import answers, bulk
from producers.api.gate import Orderer, TheHouse
from producers.api.placing import place, visible
from producers.api.rendering import job_answer
from producers.house import House
from producers.tokens import Caller

log = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1", tags=["orders"])
Key = Annotated[
    str | None, Header(alias="Idempotency-Key", pattern=bulk.KEY, description="Your own name for this order; kept for ever, per token name.")
]
Because = Annotated[str, Query(max_length=500, pattern=bulk.PLAIN, description="Why, in your own words; kept with job and audit.")]
Wait = Annotated[float, Query(ge=0, le=60, allow_inf_nan=False, description="Answer when the job has ended, at the latest after so many seconds.")]
EXAMPLES: dict[str, Any] = {
    "create": {
        "summary": "A new container",
        "value": {
            "kind": "create-container", "plan": "small", "template": "debian-12-x86_64-minbase", "hostname": "web1.example.net",
            "customer": "acme", "generate_password": True,
        },
    },
    "suspend": {"summary": "Suspend it", "value": {"kind": "suspend-container", "ctid": 1001}},
    "terminate": {"summary": "Terminate it, revivable for a week", "value": {"kind": "terminate-container", "ctid": 1001, "grace_hours": 168}},
}  # fmt: skip
HEADERS: dict[str, Any] = {
    "Location": {"description": "Address of the job.", "schema": {"type": "string"}},
    "Idempotency-Replayed": {"description": "`true` when this key had brought this order before.", "schema": {"type": "string"}},
}


@router.post(
    "/orders",
    operation_id="placeOrder",
    status_code=202,
    response_model=answers.Job,
    responses={
        200: {"model": answers.Job, "description": "The job has ended; only with `wait`.", "headers": HEADERS},
        202: {"description": "Accepted: the job is safe, its end is still to come.", "headers": HEADERS},
    },
)
async def place_order(
    request: Request,
    house: TheHouse,
    caller: Orderer,
    order: Annotated[Order, Body(openapi_examples=EXAMPLES)],
    idempotency_key: Key = None,
    because: Because = "",
    wait: Wait = 0,
) -> Response:
    """Accept an order. The same key and order again gives the same job; the same key with another order is refused.

    A well-formed order may still be wrong (422: there is no such plan), impossible now (409: no room, not while it is
    suspended) or not allowed (403). Then nothing was changed.
    """
    told = {"key": idempotency_key or "", "because": because, "request": request.state.request_id}

    def placed(session: Session) -> tuple[dict[str, Any], bool]:
        accepted = place(house, session, caller, order, **told)
        return job_answer(accepted.job, caller), accepted.replay

    shape, replay = await asyncio.wrap_future(request.app.state.acceptor.accept(placed))
    log.info("order_accepted", job=shape["id"], kind=order.kind, replay=replay)
    request.app.state.doorbell.ring()
    if wait and shape["ended_at"] is None:
        await request.app.state.ends.wait(shape["id"], wait)
        shape = await run_in_threadpool(_read, house, caller, shape["id"])
    headers = {"Location": f"/v1/jobs/{shape['id']}"} | ({"Idempotency-Replayed": "true"} if replay else {})
    return JSONResponse(shape, 200 if wait and shape["ended_at"] is not None else 202, headers=headers)


@router.post(
    "/orders:bulk",
    operation_id="placeOrders",
    status_code=207,
    response_model=bulk.Answer,
    responses={207: {"description": "One answer for each item, in their order."}},
)
async def place_orders(request: Request, house: TheHouse, caller: Orderer, orders: bulk.Orders) -> Response:
    """Up to 1000 orders, each for itself: what can be accepted is, the rest is told item by item. Safe to send again whole."""
    answered = await run_in_threadpool(bulk.place_each, house, caller, orders.items, request=request.state.request_id, path=request.url.path)
    for one in answered:
        if one["job"] is not None:
            log.info("order_accepted", job=one["job"]["id"], kind=one["job"]["kind"], replay=one["replayed"])
    request.app.state.doorbell.ring()
    request.app.state.limits.charge(caller.name, len(orders.items) / bulk.ITEMS_A_REQUEST)
    return JSONResponse({"items": answered}, 207)


def _read(house: House, caller: Caller, job_id: str) -> dict[str, Any]:
    with house.database.read() as session:
        return job_answer(visible(session, caller, job_id), caller)
