"""Around every request: its id, headers that every answer carries, and an answer to whatever was raised inside."""

import re
import secrets

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from producers.api.problems import Fault, answer, fault_of
from producers.request_id import REQUEST

log = structlog.get_logger(__name__)
GIVEN = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class Envelope:
    """The outermost middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request = given if GIVEN.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request
        REQUEST.set(request)  # for this request's task alone
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        with structlog.contextvars.bound_contextvars(request=request):
            try:
                await self._app(scope, receive, sending)
            except Exception as error:
                fault = fault_of(error)
                if fault is None:
                    log.exception("request_broken", path=scope["path"], method=scope["method"])
                    fault = Fault(500, f"the service failed; its log tells more under request {request}")
                elif fault.status >= 500:
                    log.warning("request_unserved", path=scope["path"], method=scope["method"], error=str(error).splitlines()[0][:300])
                if begun:
                    raise  # too late for another answer: the connection is cut
                await answer(fault, path=scope["path"], request=request)(scope, receive, sending)
