"""`/login` and `/logout`: a token is shown once, and the browser keeps a cookie that no script can read."""

import secrets
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from models.clock import Clock
from producers.api.limits import Limits
from producers.house import House
from producers.page import logins
from producers.page.guard import Views, insist, known, read_form
from producers.page.rendering import Renderer
from producers.page.visit import COOKIE, Visit

views = Views()
BEFORE = "vzq_before"  # cookie of a form that is filled in before anybody is known
RATE, BURST = 0.5, 10.0  # attempts a second and address; a secret of 256 bits is not guessed, but each attempt costs a look


def attempts(clock: Clock) -> Limits:
    """How often each address may try."""
    return Limits(clock, rate=RATE, burst=BURST)


async def login_form(request: Request) -> Response:
    """The form; whoever is in already goes on."""
    cookie = request.cookies.get(COOKIE, "")
    if cookie and await run_in_threadpool(known, request.app.state.house, cookie) is not None:
        return RedirectResponse("/", 303)
    return _form(request, request.query_params.get("next", ""))


async def login(request: Request) -> Response:
    """Take the token; wrong ones say why."""
    form = await read_form(request)
    insist(request, form, request.cookies.get(BEFORE, ""))
    where = form.get("next", "")
    address = request.client.host if request.client else ""
    wait = request.app.state.attempts.take(address)
    if wait:
        return _form(request, where, why=f"too many attempts from {address}; try again in {wait:.0f} s", status=429)
    house: House = request.app.state.house
    try:
        cookie = await run_in_threadpool(_enter, house, form.get("token", "").strip())
    except logins.NoEntry as no:
        return _form(request, where, why=str(no), status=401)
    request.app.state.attempts.charge(address, -1)  # only what fails is counted: many may come from one address
    response = RedirectResponse(_inside(where), 303)
    response.set_cookie(COOKIE, cookie, max_age=int(logins.LONGEST.total_seconds()), httponly=True, samesite="strict", secure=_secure(request))
    response.delete_cookie(BEFORE)
    return response


@views.post("/logout")
async def logout(visit: Visit) -> Response:
    """The cookie is worth nothing from now on."""
    await run_in_threadpool(_leave, visit)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


views += [Route("/login", login_form, methods=["GET"]), Route("/login", login, methods=["POST"])]


def _form(request: Request, where: str, *, why: str = "", status: int = 200) -> Response:
    renderer: Renderer = request.app.state.renderer
    before = secrets.token_urlsafe(32)
    html = renderer.page("login.html", caller=None, here="/login", said="", why=why, next=where, form_key=logins.form_key(before))
    response = Response(html, status, media_type="text/html")
    response.set_cookie(BEFORE, before, max_age=3600, httponly=True, samesite="strict", secure=_secure(request))
    return response


def _enter(house: House, secret: str) -> str:
    with house.database.write() as session:
        return logins.enter(session, secret, now=house.clock.now())[0]


def _leave(visit: Visit) -> None:
    with visit.house.database.write() as session:
        logins.leave(session, visit.cookie, by=visit.caller.name, now=visit.house.clock.now())


def _inside(where: str) -> str:
    """Only to a page of this house."""
    parts = urlsplit(where)
    return where if where.startswith("/") and not where.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc else "/"


def _secure(request: Request) -> bool:
    """Over TLS, be it ours or that of a proxy."""
    url: str = request.app.state.settings.page_url
    return request.url.scheme == "https" or url.startswith("https:")
