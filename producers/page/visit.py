"""One request of somebody who is logged in: who, by which door, and how it is answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from models.access import Scope
from producers.house import House
from producers.page import logins
from producers.page.door import Door, Refused
from producers.page.rendering import Renderer
from producers.tokens import Caller

COOKIE = "vzq"
SAID = "vzq_said"  # what the last form brought, shown once on the page that follows
SAID_S = 60
LONGEST = 1000


@dataclass
class Visit:
    """What a view works with."""

    request: Request
    caller: Caller
    cookie: str
    door: Door
    form: Mapping[str, str]

    @property
    def house(self) -> House:
        """The house that is looked at."""
        house: House = self.request.app.state.house
        return house

    @property
    def path(self) -> Mapping[str, Any]:
        """What the address named, ready to be a part of another address."""
        return {name: quote(value, safe="") if isinstance(value, str) else value for name, value in self.request.path_params.items()}

    @property
    def form_key(self) -> str:
        """What the forms of this login carry."""
        return logins.form_key(self.cookie)

    @property
    def because(self) -> str:
        """The reason that a form gave; forms with a reason insist on one."""
        return self.form.get("because", "").strip()

    def asked(self, name: str) -> str:
        """A part of the query."""
        return self.request.query_params.get(name, "").strip()

    def may(self, scope: str) -> bool:
        """Their token includes the scope."""
        return self.caller.may(Scope(scope))

    def needs(self, scope: str) -> None:
        """Raises Refused, as the API would say it, for a page that is of no use without this scope."""
        if not self.may(scope) or self.caller.customer is not None:
            detail = f"this needs scope {scope} for the whole house; token {self.caller.name} has {self.caller.scope}"
            raise Refused(403, {"title": "The token does not allow this", "detail": detail})

    def show(self, template: str, *, status: int = 200, **context: Any) -> Response:  # noqa: ANN401 - what the template names
        """A page."""
        renderer: Renderer = self.request.app.state.renderer
        said = unquote(self.request.cookies.get(SAID, ""))
        html = renderer.page(template, visit=self, caller=self.caller, form_key=self.form_key, said=said, here=self.request.url.path, **context)
        response = Response(html, status, media_type="text/html")
        if said:
            response.delete_cookie(SAID, httponly=True, samesite="strict")
        return response

    def parts(self) -> Any:  # noqa: ANN401 - macros by name
        """The pieces that pages are made of, and streams renew."""
        renderer: Renderer = self.request.app.state.renderer
        return renderer.parts

    def go(self, where: str, said: str = "") -> Response:
        """On to another page, which tells what was done."""
        response = RedirectResponse(where, 303)
        if said:
            response.set_cookie(SAID, quote(said[:LONGEST]), max_age=SAID_S, httponly=True, samesite="strict")
        return response
