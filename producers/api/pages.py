"""Lists in pages: a cursor names the last row that was seen, so that rows which come or go meanwhile shift nothing."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Query, Request
from pydantic import BaseModel, Field

from producers.api.problems import Fault

T = TypeVar("T", bound=BaseModel)
R = TypeVar("R")
PLAIN = re.compile(r"[ -~]{1,200}")

Limit = Annotated[int, Query(ge=1, le=500, description="At most so many on a page.")]
Cursor = Annotated[str | None, Query(max_length=300, pattern=r"^[A-Za-z0-9_-]+$", description="`next_cursor` of the page before.")]


class Page(BaseModel, Generic[T]):
    """A page of a list."""

    items: list[T]
    next: str | None = Field(description="Address of the next page, with all filters; null on the last one.")
    next_cursor: str | None = Field(description="The same as a value for `cursor`.")


def seen(cursor: str | None) -> str | None:
    """The key of the last row of the page before; raises 422 for what no page gave out."""
    if cursor is None:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        text = ""
    if not PLAIN.fullmatch(text):
        raise _unknown()
    return text


def seen_number(cursor: str | None) -> int | None:
    """As `seen`, for lists that go by a number."""
    text = seen(cursor)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise _unknown()
    return int(text)


def page(request: Request, rows: Sequence[R], *, limit: int, key: Callable[[R], object], shape: Callable[[R], dict[str, Any]]) -> dict[str, Any]:
    """A page out of up to `limit` + 1 rows: the one too many only tells that there is a next page."""
    more = len(rows) > limit
    shown = rows[:limit]
    cursor = base64.urlsafe_b64encode(str(key(shown[-1])).encode()).decode().rstrip("=") if more else None
    query = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    following = f"{request.url.path}?{urlencode([*query, ('cursor', cursor)])}" if cursor else None
    return {"items": [shape(row) for row in shown], "next": following, "next_cursor": cursor}


def _unknown() -> Fault:
    return Fault(422, "cursor: is not one that a page gave out", errors={"cursor": "is not one that a page gave out; leave it out to begin anew"})
