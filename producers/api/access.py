"""`/v1/tokens` and `/v1/audit`: who may, and who did."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import select

from models.access import Scope, Token
from models.whitelist import Word
from producers import tokens
from producers.api import house_answers as answers
from producers.api.gate import Admin, TheHouse, unbound
from producers.api.moments import Moment
from producers.api.orders import Because
from producers.api.pages import Cursor, Limit, Page, page, seen_number
from producers.api.paths import TokenName
from producers.api.problems import Fault
from producers.api.tags import TAGGED, tagged
from producers.audit import entries
from producers.shapes import audit_shape, token_shape
from producers.tokens import Caller

router = APIRouter(prefix="/v1", tags=["access"])


class TokenWish(BaseModel):
    """A token to be made."""

    model_config = ConfigDict(extra="forbid")

    name: Word = Field(description="Order keys belong to it; choose one per client.")
    scope: Scope
    customer: Word | None = Field(None, description="Sees and orders only this customer's containers; with scope read or order.")
    expires_at: Moment | None = Field(None, description="For ever if left out.")


class Renewal(BaseModel):
    """How long the new secret is valid."""

    model_config = ConfigDict(extra="forbid")

    expires_at: Moment | None = Field(None, description="For ever if left out.")


class Tokens(BaseModel):
    """All tokens."""

    items: list[answers.Token]


@router.get("/tokens", operation_id="listTokens", response_model=Tokens, responses=TAGGED)
def list_tokens(request: Request, house: TheHouse, caller: Admin) -> Response:
    """All tokens, without their secrets."""
    unbound(caller)
    with house.database.read() as session:
        return tagged(request, {"items": [token_shape(token) for token in session.exec(select(Token).order_by(Token.name)).all()]})


@router.post("/tokens", operation_id="createToken", status_code=201, response_model=answers.NewToken)
def create_token(house: TheHouse, caller: Admin, wish: TokenWish, because: Because = "") -> Response:
    """Make a token; its secret is in this answer and never again."""
    unbound(caller)
    with house.database.write() as session:
        token, secret = tokens.create(
            session, **wish.model_dump(), now=house.database.now(session), by=caller.name, because=because
        )  # fmt: skip
    return JSONResponse(token_shape(token) | {"secret": secret}, 201)


@router.post("/tokens/{name:name}:renew", operation_id="renewToken", response_model=answers.NewToken)
def renew_token(house: TheHouse, caller: Admin, name: TokenName, renewal: Renewal, because: Because = "") -> Response:
    """Another secret under the same name, so that its order keys stay known; the old one is worth nothing from now on."""
    unbound(caller)
    with house.database.write() as session:
        _other(session.get(Token, name), name, caller)
        token, secret = tokens.renew(session, name, expires_at=renewal.expires_at, now=house.database.now(session), by=caller.name, because=because)
    return JSONResponse(token_shape(token) | {"secret": secret})


@router.delete(
    "/tokens/{name:name}", operation_id="revokeToken", status_code=204, response_class=Response, responses={204: {"description": "It opens nothing."}}
)
def revoke_token(house: TheHouse, caller: Admin, name: TokenName, because: Because = "") -> Response:
    """Revoke it, from this moment on; its row stays, for its order keys do."""
    unbound(caller)
    with house.database.write() as session:
        _other(session.get(Token, name), name, caller)
        tokens.revoke(session, name, now=house.database.now(session), by=caller.name, because=because)
    return Response(status_code=204)


class AuditFilters(BaseModel):
    """Which entries."""

    model_config = ConfigDict(extra="forbid")

    by: Annotated[str, Field(max_length=100, pattern=r"^[ -~]+$")] | None = None
    action: Annotated[str, Field(max_length=100, pattern=r"^[ -~]+$")] | None = None
    subject: Annotated[str, Field(max_length=200, pattern=r"^[ -~]+$")] | None = Field(None, description="e.g. job:01JD8QF3Z5X0RQ2M8B7C4E6N9T")
    since: Moment | None = None
    limit: Limit = 50
    cursor: Cursor = None


@router.get("/audit", operation_id="listAudit", response_model=Page[answers.AuditEntry])
def list_audit(request: Request, house: TheHouse, caller: Admin, filters: Annotated[AuditFilters, Query()]) -> Response:
    """Who did what, the newest first."""
    unbound(caller)
    wanted = {name: value for name, value in filters.model_dump(exclude={"limit", "cursor"}).items() if value is not None}
    with house.database.read() as session:
        rows = entries(session, **wanted, below=seen_number(filters.cursor), limit=filters.limit + 1)
    return tagged(request, page(request, rows, limit=filters.limit, key=lambda entry: entry.id, shape=audit_shape))


def _other(token: Token | None, name: str, caller: Caller) -> None:
    if token is None:
        raise Fault(404, f"there is no token {name}")
    if name == caller.name:
        raise Fault(409, "a token neither renews nor revokes itself: a lost answer would lock its owner out; use another one, or `vzq token`")
