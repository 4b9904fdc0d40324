"""ETags: whoever polls is told "as before" in a hundred bytes."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from models.clock import stamp


def tagged(request: Request, shape: Mapping[str, Any], *, tag: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """200 with an ETag, or 304 when the asker has the same already. `tag` stands for the body where parts of it always change."""
    body = json.dumps(shape, ensure_ascii=False, separators=(",", ":"), default=plain).encode("utf-8", "backslashreplace")
    etag = f'W/"{hashlib.sha256(tag.encode() or body).hexdigest()[:32]}"'
    sent = {"ETag": etag, "Cache-Control": "private, no-cache"} | dict(headers or {})
    if _has(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=sent)
    return Response(body, media_type="application/json", headers=sent)


def plain(value: object) -> object:
    """What JSON itself does not know."""
    if isinstance(value, datetime):
        return stamp(value)
    raise TypeError(type(value).__name__)


def _has(header: str, etag: str) -> bool:
    return header.strip() == "*" or etag.removeprefix("W/") in [one.strip().removeprefix("W/") for one in header.split(",")]


TAGGED: dict[int | str, dict[str, Any]] = {
    200: {"headers": {"ETag": {"description": "Send it as If-None-Match.", "schema": {"type": "string"}}}},
    304: {"description": "As before: what If-None-Match names is still so."},
}
