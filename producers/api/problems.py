"""What went wrong, as application/problem+json (RFC 9457): one table from exceptions to answers."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy.exc import IntegrityError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from models.database import AWAY
from models.kinds import KINDS
from models.vault import VaultError
from producers.refusals import BadOrder, KeyReused, KeySpent, NoRoom, Refusal

RETRY_AFTER_S = 2
TITLES = {
    400: ("malformed", "The request cannot be read"),
    401: ("unauthorized", "No valid token was given"),
    403: ("forbidden", "The token does not allow this"),
    404: ("not-found", "There is no such thing"),
    405: ("method-not-allowed", "This cannot be done here"),
    408: ("too-slow", "The request did not arrive in time"),
    409: ("refused", "The order was refused"),
    410: ("gone", "It is no longer kept"),
    413: ("too-large", "The request is too large"),
    415: ("unsupported-media-type", "The body must be JSON"),
    422: ("invalid", "The request is wrong"),
    429: ("too-many-requests", "Too many requests"),
    500: ("internal", "The service failed"),
    503: ("unavailable", "The service cannot work at this moment"),
}


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str = Field(description="Path of the field, e.g. `hostname` or `items.3.key`; headers and query parameters by their own name.")
    what: str = Field(description="What is wrong with it, and what to do instead.")


class Problem(BaseModel):
    """Why a request was not carried out; nothing was changed."""

    type: str = Field(description="Names the kind of problem; stable, meant for programs.", examples=["urn:vzq:problem:invalid"])
    title: str = Field(description="The same for every problem of this type.")
    status: int = Field(description="The HTTP status, once more.")
    detail: str = Field(description="What happened and what to do now.")
    instance: str = Field(description="The path that was asked.")
    request: str = Field("", description="The request's id, as in X-Request-Id; the service's log has it too.")
    errors: list[FieldError] = Field(default_factory=list, description="Field by field, where fields are to blame.")
    reasons: dict[str, str] = Field(default_factory=dict, description="Why not, node by node or pool by pool, where there is no room.")
    job: str | None = Field(None, description="The job that has to do with it, e.g. the one that used the key before.")


class Fault(Exception):
    """An answer that is not the wanted one; raised by the API's own checks."""

    def __init__(
        self, status: int, detail: str, *, errors: Mapping[str, str] | None = None, kind: str = "", reasons: Mapping[str, str] | None = None,
        job: str | None = None, headers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(detail)
        self.status, self.detail, self.kind, self.job = status, detail, kind, job
        self.errors, self.reasons, self.headers = dict(errors or {}), dict(reasons or {}), dict(headers or {})

    def problem(self, *, path: str, request: str) -> Problem:
        """As it is answered."""
        kind, title = TITLES.get(self.status, ("http", "The request was not carried out"))
        return Problem(
            type=f"urn:vzq:problem:{self.kind or kind}",
            title=title,
            status=self.status,
            detail=self.detail,
            instance=path,
            request=request,
            errors=[FieldError(field=field, what=what) for field, what in self.errors.items()],
            reasons=self.reasons,
            job=self.job,
        )


def fault_of(error: Exception) -> Fault | None:
    """The answer to an exception; None for what nobody foresaw."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, Refusal):
        return _refusal(error)
    if isinstance(error, RequestValidationError | ValidationError):
        return _invalid(error.errors())
    return _http(error) if isinstance(error, HTTPException) else _trouble(error)


def answer(fault: Fault, *, path: str, request: str) -> Response:
    """The response; ASCII only, so that whatever came in can be told."""
    problem = fault.problem(path=path[:512], request=request).model_dump(exclude_defaults=False)
    body = json.dumps(problem, ensure_ascii=True).encode()
    return Response(body, fault.status, media_type="application/problem+json", headers=fault.headers)


def _refusal(error: Refusal) -> Fault:
    match error:
        case BadOrder():
            return Fault(422, str(error), errors=error.problems)
        case KeyReused():
            said = dict.fromkeys(error.fields, "differs from the order that this key stands for")
            return Fault(422, str(error), errors=said, kind="key-reused", job=error.job_id)
        case KeySpent():
            return Fault(409, str(error), kind="key-spent", job=error.job_id)
        case NoRoom():
            return Fault(409, str(error), reasons=error.reasons, kind="no-room")
    return Fault(409, str(error))


def _trouble(error: Exception) -> Fault | None:
    match error:
        case IntegrityError():
            return Fault(409, "somebody else wrote the same rows at this moment; send the request again", kind="conflict")
        case VaultError():
            return _unavailable("the service cannot seal secrets: its key file cannot be used; its log says why")
    if isinstance(error, AWAY):
        return _unavailable("the database does not answer; nothing was accepted, send the request again with the same Idempotency-Key")
    return None


def _unavailable(detail: str) -> Fault:
    return Fault(503, detail, headers={"Retry-After": str(RETRY_AFTER_S)})


def _http(error: HTTPException) -> Fault:
    details = {
        400: "the body is not JSON, or nested too deeply",
        404: "there is nothing under this address; GET /openapi.json tells what there is",
        405: "this address does not know the method; the header Allow tells which it knows",
    }
    return Fault(error.status_code, details.get(error.status_code, str(error.detail)), headers=error.headers)


def _invalid(errors: Sequence[Any]) -> Fault:
    """Field by field; never what was entered, for it may be a password."""
    if any(error["type"] == "json_invalid" for error in errors):
        return Fault(400, f"the body is not JSON: {errors[0].get('ctx', {}).get('error', 'it cannot be parsed')}")
    named: dict[str, str] = {}
    for error in errors[:50]:
        where = [str(part) for part in error["loc"]]
        where = where[1:] if where and where[0] in {"body", "query", "header", "path"} else where
        what = "is not a known field" if error["type"] == "extra_forbidden" else error["msg"].removeprefix("Value error, ")
        named.setdefault(_named(where), what[:300])
    listed = "; ".join(f"{field}: {what}" for field, what in named.items())
    return Fault(422, f"nothing was done; {listed}"[:2000], errors=named)


def _named(where: Sequence[str]) -> str:
    """`create-container.hostname` is `hostname` to whoever sent it: pydantic puts the branch of the union before it."""
    return ".".join(part[:64] for part in where if part not in KINDS) or "body"
