"""The page as an application of its own, and the fork before it: what belongs to the page goes there, all else to the API."""

import threading
from collections.abc import Iterable
from pathlib import PurePosixPath

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from producers.house import House
from producers.page import begin, campaigns, console, containers, entrance, fleet, jobs, relocate
from producers.page import house as kept
from producers.page.door import Refused
from producers.page.guard import Forged, Headers, NotHere, known, to_login
from producers.page.rendering import KINDS, Renderer
from producers.page.settings import PageSettings
from producers.page.visit import COOKIE

log = structlog.get_logger(__name__)
VIEWS = (entrance.views, fleet.views, jobs.views, begin.views, relocate.views, campaigns.views, containers.views, console.views, kept.views)
FOR_EVER = "public, max-age=31536000, immutable"  # its address changes with its content


def create_page(house: House, api: ASGIApp, closing: threading.Event, settings: PageSettings | None = None) -> Starlette:
    """The page of this house, which asks `api`."""
    routes: list[BaseRoute] = [Route("/static/{name}", asset), *(route for views in VIEWS for route in views), console.route]
    handlers = {NotHere: _not_here, Forged: _forged, Refused: _refused, HTTPException: _http, SQLAlchemyError: _away, Exception: _broken}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.state.house = house
    app.state.api = api
    app.state.closing = closing
    app.state.settings = settings or PageSettings()
    app.state.renderer = Renderer()
    app.state.consoles = set[str]()
    app.state.attempts = entrance.attempts(house.clock)
    return app


class Front:
    """Which of the two is asked goes by the first part of the address."""

    def __init__(self, api: ASGIApp, page: Starlette) -> None:
        self._api = api
        self._page = Headers(page)  # around all of it: what fails badly carries them too
        self._ours = frozenset(_first(route.path) for route in page.routes if isinstance(route, Route))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] in {"http", "websocket"} and _first(scope["path"]) in self._ours
        await (self._page if ours else self._api)(scope, receive, send)


async def asset(request: Request) -> Response:
    """A file of the page; the same for everybody."""
    name = request.path_params["name"]
    content = request.app.state.renderer.assets.get(name)
    if content is None:
        return Response(status_code=404)
    return Response(content, media_type=KINDS[PurePosixPath(name).suffix], headers={"Cache-Control": FOR_EVER})


def _first(path: str) -> str:
    return path.split("/", 2)[1] if path.startswith("/") else path


def _told(request: Request, status: int, title: str, detail: str, more: Iterable[tuple[str, str]] = ()) -> Response:
    """A page that says what went wrong."""
    renderer: Renderer = request.app.state.renderer
    caller = None
    if cookie := request.cookies.get(COOKIE):
        try:
            caller = known(request.app.state.house, cookie)
        except SQLAlchemyError:
            caller = None
    number = request.scope["state"]["request_id"]
    html = renderer.page("error.html", status=status, title=title, detail=detail, more=list(more), caller=caller, here="", said="", number=number)
    return Response(html, status, media_type="text/html")


def _not_here(request: Request, _error: Exception) -> Response:
    return to_login(request)


def _forged(request: Request, error: Exception) -> Response:
    return _told(request, 403, "The form was not taken", str(error))


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101 - registered for it
    problem = error.problem
    fields = [(one["field"], one["what"]) for one in problem.get("errors", [])]
    return _told(request, error.status, str(problem.get("title", "It was refused")), str(error), [*fields, *problem.get("reasons", {}).items()])


def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return _told(request, status, "There is no such page" if status == 404 else "This cannot be done here", "Go on from the menu above.")


def _away(request: Request, error: Exception) -> Response:
    log.warning("page_without_database", path=request.url.path, error=str(error).splitlines()[0][:300])
    return _told(request, 503, "The database does not answer", "Nothing was done. Load the page again in a moment.")


def _broken(request: Request, error: Exception) -> Response:
    log.error("page_broken", path=request.url.path, exc_info=error)
    return _told(request, 500, "The page failed", "The service's log tells more under the number of this request.")
