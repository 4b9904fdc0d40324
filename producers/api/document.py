"""The OpenAPI document: what FastAPI derives from the routes, with the problems of this API in place of FastAPI's own."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from producers.api.problems import TITLES, Problem

ABOUT = """Orders become jobs; jobs are carried out by workers, exactly once, and their end is told here, by webhook or by stream.

Give every order an `Idempotency-Key` of your own, e.g. service id + verb + a generation number: whatever goes wrong on the
way, send the same request again and there is still one job. Keys are kept for ever, for each token name apart.
"""
EVERYWHERE = (400, 413, 415, 422, 429, 500, 503)  # what any request may be answered with, beside its own
BEHIND_THE_GATE = (401, 403, 408)
HEADERS = {
    "RequestId": {"description": "The request's id, given or made up; the log has it too.", "schema": {"type": "string"}},
    "RetryAfter": {"description": "Seconds.", "schema": {"type": "string"}},
}


def document(app: FastAPI) -> dict[str, Any]:
    """OpenAPI 3.1; made once per app."""
    if app.openapi_schema is None:
        described = get_openapi(title=app.title, version=app.version, summary="Orders for OpenVZ containers", description=ABOUT, routes=app.routes)
        schemas = described["components"]["schemas"]
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(problem.pop("$defs", {}) | {"Problem": problem})
        described["components"]["responses"] = {f"Problem{code}": _problem(code) for code in TITLES}
        described["components"]["headers"] = HEADERS
        for path, operations in described["paths"].items():
            for method, operation in operations.items():
                _complete(path, method, operation)
        app.openapi_schema = described
    return app.openapi_schema


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    behind = path.startswith("/v1")
    codes = set(EVERYWHERE) | (set(BEHIND_THE_GATE) if behind else set())
    if "{" in path:
        codes.add(404)
    if path == "/v1/events":
        codes.add(410)
    if method != "get":
        codes.add(409)
    responses = operation["responses"]
    for code in sorted(codes):
        told = responses.get(str(code))
        if told is None or code == 422:
            responses[str(code)] = {"$ref": f"#/components/responses/Problem{code}"}
    for response in responses.values():
        if "$ref" not in response:
            response.setdefault("headers", {})["X-Request-Id"] = {"$ref": "#/components/headers/RequestId"}


def _problem(code: int) -> dict[str, Any]:
    kind, title = TITLES[code]
    example = {"type": f"urn:vzq:problem:{kind}", "title": title, "status": code, "detail": "…", "instance": "/v1/…", "request": "9f2c4e6a8b0d1f35"}
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example | {"errors": [], "reasons": {}, "job": None}}
    headers = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
    if code in {429, 503}:
        headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
    return {"description": title, "headers": headers, "content": {"application/problem+json": content}}
