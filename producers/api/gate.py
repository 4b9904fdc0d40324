"""Who asks, and whether not too often: decided before the body is read. Without a valid token nothing below /v1 is told."""

import math
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from models.access import Scope as Allowed
from producers import tokens
from producers.api.limits import Limits
from producers.api.problems import Fault
from producers.house import House
from producers.tokens import TOUCH_EVERY, Caller

bearer = HTTPBearer(scheme_name="token", bearerFormat="vzq_…", description="A token made with `vzq token create`.", auto_error=False)


class Gate:
    """Opens to a valid token and leaves `state.caller` behind."""

    def __init__(self, app: ASGIApp, *, house: House, limits: Limits) -> None:
        self._app = app
        self._house = house
        self._limits = limits
        self._touched: dict[str, datetime] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope["path"] == "/v1" or scope["path"].startswith("/v1/")):
            caller = scope["state"].get("caller")  # set by the page in this process, for whom it has recognised; no client reaches it
            if caller is None:
                caller = await self._caller(Headers(scope=scope).get("authorization", ""))
            scope["state"]["caller"] = caller
            after = self._limits.take(caller.name)
            if after:
                seconds = str(max(1, math.ceil(after)))
                raise Fault(429, f"token {caller.name} asks too often; go on in {seconds} s", headers={"Retry-After": seconds})
        await self._app(scope, receive, send)

    async def _caller(self, header: str) -> Caller:
        scheme, _, secret = header.partition(" ")
        if not header:
            raise _unknown("send the header `Authorization: Bearer vzq_…`")
        if scheme.lower() != "bearer":
            raise _unknown("only `Authorization: Bearer vzq_…` is understood")
        return await run_in_threadpool(self._recognise, secret.strip())

    def _recognise(self, secret: str) -> Caller:
        now = self._house.clock.now()
        with self._house.database.read() as session:
            token, why = tokens.recognise(session, secret, now=now)
        if token is None:
            raise _unknown(why)
        last = self._touched.get(token.name)
        if last is None or now - last >= TOUCH_EVERY:
            self._touched[token.name] = now
            self._touch(token.name, now)
        return Caller(token.name, token.scope, token.customer)

    def _touch(self, name: str, now: datetime) -> None:
        try:
            with self._house.database.write() as session:
                tokens.touch(session, name, now=now)
        except SQLAlchemyError:
            self._touched.pop(name, None)  # it only tells people what is in use; the request itself shows whether the database works


def _unknown(why: str) -> Fault:
    return Fault(401, why, headers={"WWW-Authenticate": 'Bearer realm="vzq"'})


class Needs:
    """A dependency: the caller, whose token must include this scope."""

    def __init__(self, scope: Allowed) -> None:
        self._scope = scope

    async def __call__(self, request: Request, _given: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)] = None) -> Caller:
        caller: Caller = request.state.caller
        require(caller, self._scope)
        return caller


def require(caller: Caller, scope: Allowed) -> None:
    """Raises 403 for a token that does not include the scope."""
    if not caller.may(scope):
        raise Fault(403, f"this needs scope {scope}; token {caller.name} has {caller.scope}")


def unbound(caller: Caller) -> None:
    """Raises 403 for a token that is bound to a customer: what concerns the whole house is not its business."""
    if caller.customer is not None:
        raise Fault(403, f"token {caller.name} is bound to customer {caller.customer}; this needs one that is not")


async def house_of(request: Request) -> House:
    """The house behind this app."""
    house: House = request.app.state.house
    return house


TheHouse = Annotated[House, Depends(house_of)]
Reader = Annotated[Caller, Depends(Needs(Allowed.READ))]
Orderer = Annotated[Caller, Depends(Needs(Allowed.ORDER))]
Operator = Annotated[Caller, Depends(Needs(Allowed.OPERATE))]
Alerter = Annotated[Caller, Depends(Needs(Allowed.ALERT))]
Admin = Annotated[Caller, Depends(Needs(Allowed.ADMIN))]
