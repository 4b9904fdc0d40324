"""Between the browser and a view: who it is, whether the form is ours, and the headers that every answer carries."""

import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from urllib.parse import parse_qsl, quote, urlsplit

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from producers.house import House
from producers.page import logins
from producers.page.door import Door
from producers.page.visit import COOKIE, Visit
from producers.tokens import Caller

LARGEST = 1 << 20
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}
View = Callable[[Visit], Awaitable[Response]]


class NotHere(Exception):
    """Nobody is logged in."""


class Forged(Exception):
    """The form does not come from this page; the text says how that shows."""


class Views(list[Route]):
    """The views of one noun."""

    def get(self, path: str) -> Callable[[View], View]:
        """A page that is looked at."""
        return self._add(path, "GET")

    def post(self, path: str) -> Callable[[View], View]:
        """A form that is sent."""
        return self._add(path, "POST")

    def _add(self, path: str, method: str) -> Callable[[View], View]:
        def added(view: View) -> View:
            async def endpoint(request: Request) -> Response:
                return await view(await arrive(request))

            self.append(Route(path, endpoint, methods=[method], name=f"{view.__module__}.{view.__name__}"))
            return view

        return added


async def arrive(request: Request) -> Visit:
    """Who comes, with what; raises NotHere or Forged."""
    cookie = request.cookies.get(COOKIE, "")
    caller = await run_in_threadpool(known, request.app.state.house, cookie) if cookie else None
    if caller is None:
        raise NotHere
    form = await read_form(request) if request.method == "POST" else {}
    if request.method == "POST":
        insist(request, form, cookie)
    door = Door(request.app.state.api, caller, request=request.scope["state"]["request_id"])
    return Visit(request, caller, cookie, door, form)


def known(house: House, cookie: str) -> Caller | None:
    """Who this cookie is, at this moment."""
    now = house.clock.now()
    with house.database.read() as session:
        caller, due = logins.recognise(session, cookie, now=now)
    if caller is not None and due:
        # It only keeps the login from counting as idle; what is asked for shows by itself whether the database can be written.
        with suppress(SQLAlchemyError), house.database.write() as session:
            logins.touch(session, cookie, caller, now=now)
    return caller


async def read_form(request: Request) -> Mapping[str, str]:
    """Its fields; raises Forged for what no form of ours sends."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise Forged("a form of this page sends application/x-www-form-urlencoded")
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST:
            raise Forged(f"the form is larger than {LARGEST} bytes")
    try:
        return dict(parse_qsl(content.decode(), keep_blank_values=True, max_num_fields=100))
    except ValueError:
        raise Forged("the form cannot be read") from None


def insist(request: Request, form: Mapping[str, str], cookie: str) -> None:
    """The form was made by a page of this login, and sent from there; raises Forged."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise Forged("the form was sent from another site; where a proxy stands before this page it must pass on the header Host")
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Forged("the form was sent from another site")
    if not hmac.compare_digest(form.get("form_key", ""), logins.form_key(cookie)):
        raise Forged("the form is of another login; load the page again and send it once more")


class Headers:
    """Around everything the page answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["request_id"] = secrets.token_hex(8)
        scope["state"]["nonce"] = ""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = policy(scope["state"]["nonce"])
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                headers["X-Frame-Options"] = "DENY"
                headers["X-Request-Id"] = scope["state"]["request_id"]
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        with structlog.contextvars.bound_contextvars(request=scope["state"]["request_id"]):
            await self._app(scope, receive, sending)


def policy(nonce: str = "") -> str:
    """What a browser may load: ours alone, nothing inline; with a nonce the style sheets that carry it (a terminal makes its own)."""
    parts = POLICY | ({"style-src": f"'self' 'nonce-{nonce}'"} if nonce else {})
    return "; ".join(f"{name} {value}" for name, value in parts.items())


def to_login(request: Request) -> Response:
    """Where somebody goes who is not logged in; a part of a page that is fetched says so to the whole page."""
    if request.headers.get("hx-request") or "text/event-stream" in request.headers.get("accept", ""):
        return Response(status_code=401, headers={"HX-Redirect": "/login"})
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse("/login" + (f"?next={quote(back, safe='')}" if request.method == "GET" and back != "/" else ""), 303)
