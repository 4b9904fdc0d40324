"""`/v1/webhooks`: who is told of events, what became of each delivery, and sending again."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session, select
from starlette.concurrency import run_in_threadpool

from models.hooks import Webhook
from models.ids import HIGHEST_NUMBER, JobIds
from models.whitelist import Word
from producers.api.bulk import PLAIN
from producers.api.gate import Admin, TheHouse, unbound
from producers.api.pages import Cursor, Limit, Page, page, seen_number
from producers.api.placing import persist
from producers.api.problems import Fault
from producers.house import House
from producers.shapes import delivery_shape, hook_shape
from producers.tokens import Caller
from producers.webhooks import manage
from producers.webhooks.manage import Asked, Wish
from producers.webhooks.settings import WebhookSettings
from producers.webhooks.trouble import troubles

router = APIRouter(prefix="/v1", tags=["webhooks"])
HookId = Annotated[str, Path(pattern=r"^[0-9A-Za-z]{26}$", description="The webhook's id.")]
Because = Annotated[str, Query(max_length=500, pattern=PLAIN, description="Why, in your own words; kept in the audit.")]
Number = Annotated[int, Path(ge=1, le=HIGHEST_NUMBER, description="The delivery's id.")]


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
    failing: int = Field(0, description="Deliveries that were tried several times in vain, or were given up within a day.")
    failing_why: str = Field("", description="What one of them was answered.")
    secret: str | None = Field(None, description="Only in the answer that made it: whsec_…, as Standard Webhooks libraries take it.")


class DeliveryAnswer(BaseModel):
    """One event on its way to one webhook."""

    id: int
    event: int = Field(description="The event's number; below zero for a ping.")
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
async def create_webhook(house: TheHouse, caller: Admin, wanted: NewWebhook, because: Because = "") -> Response:
    """Be told of events from now on. Internal addresses are refused unless VZQ_WEBHOOK_NETWORKS allows them."""

    def work(session: Session, asked: Asked) -> dict[str, Any]:
        wish, networks = Wish(wanted.url, wanted.events, wanted.customer), WebhookSettings().networks
        return hook_shape(*manage.make(session, house.vault, wish, asked, hook_id=JobIds(house.clock).next(), networks=networks))

    return JSONResponse(await _write(house, caller, because, work), 201)


@router.get("/webhooks", operation_id="listWebhooks", response_model=list[WebhookAnswer])
async def list_webhooks(house: TheHouse, caller: Admin) -> Response:
    """All webhooks."""

    def read(session: Session) -> list[dict[str, Any]]:
        found = troubles(session, house.clock.now())
        return [hook_shape(hook, trouble=found.get(hook.id)) for hook in session.exec(select(Webhook).order_by(Webhook.id)).all()]

    return JSONResponse(await _read(house, caller, read))


@router.get("/webhooks/{hook_id:jobid}", operation_id="getWebhook", response_model=WebhookAnswer)
async def get_webhook(house: TheHouse, caller: Admin, hook_id: HookId) -> Response:
    """A webhook."""

    def read(session: Session) -> dict[str, Any]:
        return hook_shape(_hook(session, hook_id), trouble=troubles(session, house.clock.now()).get(hook_id))

    return JSONResponse(await _read(house, caller, read))


@router.delete("/webhooks/{hook_id:jobid}", operation_id="deleteWebhook", status_code=204)
async def delete_webhook(house: TheHouse, caller: Admin, hook_id: HookId, because: Because = "") -> Response:
    """Tell it nothing more; its deliveries go too."""
    await _write(house, caller, because, lambda session, asked: manage.remove(session, _hook(session, hook_id), asked))
    return Response(status_code=204)


@router.post("/webhooks/{hook_id:jobid}:rotate", operation_id="rotateWebhookSecret", response_model=WebhookAnswer)
async def rotate_secret(house: TheHouse, caller: Admin, hook_id: HookId, because: Because = "") -> Response:
    """A new secret; the one before it signs too until the next turn, so that nothing is lost while the receiver changes over."""

    def work(session: Session, asked: Asked) -> dict[str, Any]:
        hook = _hook(session, hook_id)
        return hook_shape(hook, manage.turn_secret(session, house.vault, hook, asked))

    return JSONResponse(await _write(house, caller, because, work))


@router.post("/webhooks/{hook_id:jobid}:ping", operation_id="pingWebhook", status_code=202, response_model=DeliveryAnswer)
async def ping_webhook(house: TheHouse, caller: Admin, hook_id: HookId, because: Because = "") -> Response:
    """Post something signed that tells of no event, once; the delivery log says what the receiver answered."""
    shape = await _write(house, caller, because, lambda session, asked: delivery_shape(manage.ping(session, _hook(session, hook_id), asked)))
    return JSONResponse(shape, 202)


@router.post("/webhooks/{hook_id:jobid}:replay", operation_id="replayWebhook", response_model=Replayed)
async def replay_webhook(
    house: TheHouse,
    caller: Admin,
    hook_id: HookId,
    number: Annotated[int, Query(ge=1, le=HIGHEST_NUMBER, description="From this event number on.")],
    because: Because = "",
) -> Response:
    """Send everything from an event number on once more, under the same sequence numbers."""

    def work(session: Session, asked: Asked) -> dict[str, Any]:
        return {"waiting": manage.replay(session, _hook(session, hook_id), number, asked)}

    return JSONResponse(await _write(house, caller, because, work))


@router.get("/webhooks/{hook_id:jobid}/deliveries", operation_id="listDeliveries", response_model=Page[DeliveryAnswer])
async def list_deliveries(request: Request, house: TheHouse, caller: Admin, hook_id: HookId, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """What became of each delivery, newest first."""
    before = seen_number(cursor)
    rows = await _read(house, caller, lambda session: manage.deliveries(session, _hook(session, hook_id), before=before, limit=limit + 1))
    return JSONResponse(page(request, rows, limit=limit, key=lambda row: row.id, shape=delivery_shape))


@router.post("/webhooks/{hook_id:jobid}/deliveries/{delivery_id:int}:redeliver", operation_id="redeliver", response_model=DeliveryAnswer)
async def redeliver_one(house: TheHouse, caller: Admin, hook_id: HookId, delivery_id: Number, because: Because = "") -> Response:
    """Send it again at once, whatever became of it."""

    def work(session: Session, asked: Asked) -> dict[str, Any]:
        try:
            return delivery_shape(manage.redeliver(session, _hook(session, hook_id), delivery_id, asked))
        except LookupError as error:
            raise Fault(404, str(error)) from None

    return JSONResponse(await _write(house, caller, because, work))


async def _write(house: House, caller: Caller, because: str, work: Callable[[Session, Asked], Any]) -> Any:  # noqa: ANN401 - what the work returns
    unbound(caller)
    return await run_in_threadpool(persist, house, lambda session: work(session, Asked(caller.name, house.database.now(session), because)))


async def _read(house: House, caller: Caller, work: Callable[[Session], Any]) -> Any:  # noqa: ANN401 - what the work returns
    unbound(caller)

    def read() -> Any:  # noqa: ANN401 - as above
        with house.database.read() as session:
            return work(session)

    return await run_in_threadpool(read)


def _hook(session: Session, hook_id: str) -> Webhook:
    try:
        return manage.find(session, hook_id)
    except LookupError as error:
        raise Fault(404, str(error)) from None
