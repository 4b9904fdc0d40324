"""The application: middleware from the outside in, the routes, and the document that client generators read."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

from producers.api import (
    access,
    alerts,
    campaigns,
    catalogue,
    containers,
    depth,
    events,
    execs,
    findings,
    health,
    jobs,
    nodes,
    orders,
    outages,
    pauses,
    relocations,
    rollouts,
    schedules,
    signatures,
    webhooks,
)
from producers.api.acceptor import Acceptor
from producers.api.body import Body
from producers.api.document import document
from producers.api.doorbell import Doorbell
from producers.api.ends import Ends
from producers.api.envelope import Envelope
from producers.api.gate import Gate
from producers.api.limits import Limits
from producers.api.problems import Fault, answer, fault_of
from producers.api.settings import ApiSettings
from producers.house import House

ROUTERS = [
    module.router
    for module in (
        *(orders, jobs, containers, nodes, catalogue, execs, rollouts, relocations, campaigns, schedules, findings, outages, pauses, signatures),
        *(depth, events, webhooks, access, alerts, health),
    )
]
THREADS = 16  # no more than the database gives connections at once


def create_app(house: House, settings: ApiSettings | None = None) -> FastAPI:
    """The API of this house; the caller closes the house."""
    settings = settings or ApiSettings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        app.state.doorbell = Doorbell(house.bell)
        app.state.acceptor = Acceptor(house)
        yield
        app.state.acceptor.close()
        app.state.doorbell.close()

    app = FastAPI(
        title="vzq",
        version="1",
        lifespan=lifespan,
        docs_url=None,  # the page would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.house = house
    app.state.alert_rules = settings.alert_rules
    app.state.closing = threading.Event()  # set when the service stops: whoever waits or streams lets go
    app.state.ends = Ends(house.database, app.state.closing)
    app.state.limits = Limits(house.clock, rate=settings.api_rate, burst=settings.api_burst)
    app.add_middleware(Body)  # the innermost; each that follows goes around it
    app.add_middleware(Gate, house=house, limits=app.state.limits)
    app.add_middleware(Envelope)
    for kind in (RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _answer)
    for router in ROUTERS:
        app.include_router(router)
    app.openapi = lambda: document(app)  # type: ignore[method-assign]
    return app


async def _answer(request: Request, error: Exception) -> Response:
    fault = fault_of(error) or Fault(500, "the service failed")
    if fault.status == 405:
        fault.headers["Allow"] = ", ".join(sorted(_allowed(request)))
    return answer(fault, path=request.url.path, request=request.state.request_id)


def _allowed(request: Request) -> set[str]:
    """Every method of this address; the router itself knows only those of the first route that fits."""
    return {
        method
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and route.path_regex.match(request.url.path)
        for method in route.methods or ()
    }
