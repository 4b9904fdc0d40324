"""A campaign as a stream of server-sent events: its moves, and its counts whenever they have changed, until it is over."""

import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import anyio
import structlog
from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select
from starlette.concurrency import run_in_threadpool

from models.campaigns import Campaign, CampaignEvent
from producers.api.events import BEAT_S, LOOK_S
from producers.campaigns.control import counts
from producers.campaigns.shapes import campaign_event_shape
from producers.house import House

log = structlog.get_logger(__name__)


def streamed(request: Request, house: House, campaign_id: str, after: int) -> Response:
    """From behind event `after` on; a reader who comes back with the last id misses no move."""
    closing: threading.Event = request.app.state.closing
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(request, house, campaign_id, after, closing), media_type="text/event-stream", headers=headers)


async def _stream(request: Request, house: House, campaign_id: str, after: int, closing: threading.Event) -> AsyncIterator[str]:
    yield "retry: 1000\n\n"
    told: dict[str, int] = {}
    quiet, over = 0.0, False
    while not over and not closing.is_set() and not await request.is_disconnected():
        try:
            events, counted, over = await run_in_threadpool(_look, house, campaign_id, after)
        except SQLAlchemyError as error:
            log.warning("stream_without_database", error=str(error).splitlines()[0][:300])
            return  # the reader comes back with the last id it saw
        for event in events:
            after = event["id"]
            yield f"id: {after}\nevent: campaign.{event['cause']}\ndata: {json.dumps(event)}\n\n"
        if counted != told:
            yield f"event: counts\ndata: {json.dumps(counted)}\n\n"
        quiet = 0.0 if events or counted != told else quiet + LOOK_S
        told = counted
        if quiet >= BEAT_S:
            quiet = 0.0
            yield ": still here\n\n"
        if not over:
            await anyio.sleep(LOOK_S)


def _look(house: House, campaign_id: str, after: int) -> tuple[list[dict[str, Any]], dict[str, int], bool]:
    """What is new. A campaign's events are committed in the order of their ids, for its row is locked by whoever moves it."""
    with house.database.read() as session:
        campaign = session.get(Campaign, campaign_id)
        query = select(CampaignEvent).where(CampaignEvent.campaign_id == campaign_id, col(CampaignEvent.id) > after)
        events = session.exec(query.order_by(col(CampaignEvent.id))).all()
        counted = {str(outcome): count for outcome, count in counts(session, [campaign_id])[campaign_id].items()}
        return [campaign_event_shape(event) for event in events], counted, campaign is None or campaign.over
