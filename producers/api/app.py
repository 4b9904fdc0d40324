"""The application: middleware from the outside in, the routes, and the document that client generators read."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.responses import Response

from producers.api.body import Body
from producers.api.doorbell import Doorbell
from producers.api.ends import Ends
from producers.api.envelope import Envelope
from producers.api.gate import Gate
from producers.api.limits import Limits
from producers.api.problems import Fault, answer, fault_of
from producers.api.settings import ApiSettings
from producers.house import House

THREADS = 16  # no more than the database gives connections at once


class _JobId(Convertor[str]):
    regex = "[0-9A-Za-z]{26}"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("jobid", _JobId())


def create_app(house: House, settings: ApiSettings | None = None) -> FastAPI:
    """The API of this house; the caller closes the house."""
    from producers.api import events, jobs, orders, webhooks  # noqa: PLC0415 - their paths need the convertor above

    settings = settings or ApiSettings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        app.state.doorbell = Doorbell(house.bell)
        yield
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
    app.state.closing = threading.Event()  # set when the service stops: whoever waits or streams lets go
    app.state.ends = Ends(house.database, app.state.closing)
    app.add_middleware(Body)  # the innermost; each that follows goes around it
    app.add_middleware(Gate, house=house, limits=Limits(house.clock, rate=settings.api_rate, burst=settings.api_burst))
    app.add_middleware(Envelope)
    for kind in (RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _answer)
    for module in (orders, jobs, events, webhooks):
        app.include_router(module.router)
    return app


async def _answer(request: Request, error: Exception) -> Response:
    fault = fault_of(error) or Fault(500, "the service failed")
    return answer(fault, path=request.url.path, request=request.state.request_id)
