"""`/v1/webhooks`: who is told of events, what became of each delivery, and sending again."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session, col, select
from starlette.concurrency import run_in_threadpool

from models.clock import stamp
from models.hooks import Delivery, Webhook
from models.ids import JobIds
from models.whitelist import Word
from producers.api.gate import Admin, TheHouse, unbound
from producers.api.pages import Cursor, Limit, Page, page, seen_number
from producers.api.placing import persist
from producers.api.problems import Fault
from producers.audit import audit
from producers.house import House
from producers.tokens import Caller
from producers.webhooks.manage import Wish, make, redeliver, replay, turn_secret
from producers.webhooks.settings import WebhookSettings

router = APIRouter(prefix="/v1", tags=["webhooks"])
HookId = Annotated[str, Path(pattern=r"^[0-9A-Za-z]{26}$", description="The webhook's id.")]
Number = Annotated[int, Path(ge=1, le=2**62, description="The delivery's id.")]


class NewWebhook(BaseModel):
    """Who wants to be told of what."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(min_length=8, max_length=500, pattern=r"^https?://[!-~]+$", examples=["https://billing.example.net/vzq"])
    events: list[Word] = Field(default_factory=list, max_length=30, description="Causes, e.g. finished; empty: all that end a job or leave it stuck.")
    customer: Word | None = Field(None, description="Only what concerns this customer's containers.")


class WebhookAnswer(BaseModel):
    """A webhook; its secret is shown when it is made or turned, and never again."""

    id: str
    url: str
    events: list[str]
    customer: str | None
    active: bool
    cursor: int = Field(description="Number of the last event that was turned into deliveries.")
    created_at: datetime
    created_by: str
    secret: str | None = Field(None, description="Only in the answer that made it: whsec_…, as Standard Webhooks libraries take it.")


class DeliveryAnswer(BaseModel):
    """One event on its way to one webhook."""

    id: int
    event: int
    subject: str
    sequence: int
    state: str = Field(description="waiting, delivered or given-up.")
    due_at: datetime
    attempts: int
    status: int | None
    error: str
    delivered_at: datetime | None


class Replayed(BaseModel):
    """How many deliveries wait now."""

    waiting: int


@router.post("/webhooks", operation_id="createWebhook", status_code=201, response_model=WebhookAnswer)
async def create_webhook(house: TheHouse, caller: Admin, wanted: NewWebhook) -> Response:
    """Be told of events from now on. Internal addresses are refused unless VZQ_WEBHOOK_NETWORKS allows them."""

    def work(session: Session) -> dict[str, Any]:
        now = house.database.now(session)
        wish = Wish(wanted.url, wanted.events, wanted.customer)
        networks = WebhookSettings().networks
        hook, secret = make(session, house.vault, wish, hook_id=JobIds(house.clock).next(), networks=networks, by=caller.name, now=now)
        audit(session, at=now, by=caller.name, action="webhook create", subject=hook.id, data={"url": hook.url})
        return _shape(hook) | {"secret": secret}

    return JSONResponse(await _write(house, caller, work), 201)


@router.get("/webhooks", operation_id="listWebhooks", response_model=list[WebhookAnswer])
async def list_webhooks(house: TheHouse, caller: Admin) -> Response:
    """All webhooks."""
    unbound(caller)
    return JSONResponse(await run_in_threadpool(_all, house))


@router.delete("/webhooks/{hook_id:jobid}", operation_id="deleteWebhook", status_code=204)
async def delete_webhook(house: TheHouse, caller: Admin, hook_id: HookId) -> Response:
    """Tell it nothing more; its deliveries go too."""

    def work(session: Session) -> None:
        hook = _hook(session, hook_id)
        for delivery in session.exec(select(Delivery).where(Delivery.webhook == hook.id)).all():
            session.delete(delivery)
        session.delete(hook)
        audit(session, at=house.database.now(session), by=caller.name, action="webhook delete", subject=hook.id, data={"url": hook.url})

    await _write(house, caller, work)
    return Response(status_code=204)


@router.post("/webhooks/{hook_id:jobid}:rotate", operation_id="rotateWebhookSecret", response_model=WebhookAnswer)
async def rotate_secret(house: TheHouse, caller: Admin, hook_id: HookId) -> Response:
    """A new secret; the one before it signs too until the next turn, so that nothing is lost while the receiver changes over."""

    def work(session: Session) -> dict[str, Any]:
        hook = _hook(session, hook_id)
        secret = turn_secret(session, house.vault, hook)
        audit(session, at=house.database.now(session), by=caller.name, action="webhook rotate", subject=hook.id)
        return _shape(hook) | {"secret": secret}

    return JSONResponse(await _write(house, caller, work))


@router.post("/webhooks/{hook_id:jobid}:replay", operation_id="replayWebhook", response_model=Replayed)
async def replay_webhook(
    house: TheHouse, caller: Admin, hook_id: HookId, number: Annotated[int, Query(ge=1, le=2**62, description="From this event number on.")]
) -> Response:
    """Send everything from an event number on once more, under the same sequence numbers."""

    def work(session: Session) -> dict[str, Any]:
        now = house.database.now(session)
        waiting = replay(session, _hook(session, hook_id), number=number, now=now)
        audit(session, at=now, by=caller.name, action="webhook replay", subject=hook_id, data={"number": number})
        return {"waiting": waiting}

    return JSONResponse(await _write(house, caller, work))


@router.get("/webhooks/{hook_id:jobid}/deliveries", operation_id="listDeliveries", response_model=Page[DeliveryAnswer])
async def list_deliveries(request: Request, house: TheHouse, caller: Admin, hook_id: HookId, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """What became of each delivery, newest first."""
    unbound(caller)
    before = seen_number(cursor)

    def work() -> list[Delivery]:
        with house.database.read() as session:
            _hook(session, hook_id)
            query = select(Delivery).where(Delivery.webhook == hook_id.upper())
            if before is not None:
                query = query.where(col(Delivery.id) < before)
            return list(session.exec(query.order_by(col(Delivery.id).desc()).limit(limit + 1)).all())

    rows = await run_in_threadpool(work)
    return JSONResponse(page(request, rows, limit=limit, key=lambda row: row.id, shape=_delivery))


@router.post("/webhooks/{hook_id:jobid}/deliveries/{delivery_id:int}:redeliver", operation_id="redeliver", response_model=DeliveryAnswer)
async def redeliver_one(house: TheHouse, caller: Admin, hook_id: HookId, delivery_id: Number) -> Response:
    """Send it again at once, whatever became of it."""

    def work(session: Session) -> dict[str, Any]:
        delivery = session.get(Delivery, delivery_id)
        if delivery is None or delivery.webhook != hook_id.upper():
            raise Fault(404, f"webhook {hook_id} has no delivery {delivery_id}")
        now = house.database.now(session)
        redeliver(session, delivery, now=now)
        audit(session, at=now, by=caller.name, action="webhook redeliver", subject=hook_id, data={"delivery": delivery_id})
        return _delivery(delivery)

    return JSONResponse(await _write(house, caller, work))


async def _write(house: House, caller: Caller, work: Any) -> Any:  # noqa: ANN401 - what the work returns
    unbound(caller)
    return await run_in_threadpool(persist, house, work)


def _all(house: House) -> list[dict[str, Any]]:
    with house.database.read() as session:
        return [_shape(hook) for hook in session.exec(select(Webhook).order_by(Webhook.id)).all()]


def _hook(session: Session, hook_id: str) -> Webhook:
    hook = session.get(Webhook, hook_id.upper())
    if hook is None:
        raise Fault(404, f"there is no webhook {hook_id}")
    return hook


def _shape(hook: Webhook) -> dict[str, Any]:
    fields = ("id", "url", "events", "customer", "active", "cursor", "created_by")
    return {field: getattr(hook, field) for field in fields} | {"created_at": stamp(hook.created_at), "secret": None}


def _delivery(delivery: Delivery) -> dict[str, Any]:
    fields = ("id", "event", "subject", "sequence", "state", "attempts", "status", "error")
    times = {"due_at": stamp(delivery.due_at), "delivered_at": stamp(delivery.delivered_at) if delivery.delivered_at else None}
    return {field: getattr(delivery, field) for field in fields} | times
