"""Pages that keep themselves fresh: a look at the house every moment, and only the pieces that differ go out, each in the place of the old one.

A piece is a whole element with an id. What is on the page when the stream begins is known by its digest, so that a page which is
still right is not sent again.
"""

import hashlib
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import monotonic

import anyio
import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from producers.page.door import Refused
from producers.page.guard import known
from producers.page.visit import Visit

log = structlog.get_logger(__name__)
LOOK_S = 0.5
SHARE = 5  # a look that takes long is taken less often: at most a fifth of the time goes into looking
BEAT_S = 15.0
TAG = re.compile(r"\s*<([a-z0-9]+)")
ROWS = frozenset({"tr", "tbody", "td"})  # which no browser reads outside of a table, unless in a template


@dataclass(frozen=True)
class Piece:
    """One element; it is sent again when `sign` has changed, which is the html where nothing else is given."""

    html: str
    sign: str = ""

    @property
    def known_by(self) -> str:
        """What is compared."""
        return self.sign or self.html


@dataclass(frozen=True)
class Look:
    """What is to be seen now: pieces by the ids of their elements, and whether nothing more will ever change."""

    pieces: Mapping[str, Piece]
    over: bool = False

    @property
    def digest(self) -> str:
        """Tells whether a page shows this."""
        return hashlib.sha256(repr([(name, piece.known_by) for name, piece in self.pieces.items()]).encode()).hexdigest()[:16]


Looking = Callable[[], Awaitable[Look]]


def streamed(visit: Visit, look: Looking, *, every_s: float = LOOK_S) -> Response:
    """The stream of a page; ends when all is over, when the login is, and when the service stops."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(visit, look, every_s), media_type="text/event-stream", headers=headers)


async def _stream(visit: Visit, look: Looking, every_s: float) -> AsyncIterator[str]:
    closing: threading.Event = visit.request.app.state.closing
    recheck_s: float = visit.request.app.state.settings.page_recheck_s
    yield "retry: 1000\n\n"
    told: dict[str, str] = {}
    have = visit.asked("have")
    said = checked = monotonic()
    while not closing.is_set() and not await visit.request.is_disconnected():
        begun = monotonic()
        try:
            if begun - checked >= recheck_s:
                checked = begun
                if await run_in_threadpool(known, visit.house, visit.cookie) is None:
                    yield _event(visit.parts().logged_out())
                    return
            seen = await look()
        except (Refused, SQLAlchemyError) as error:
            log.info("live_page_without_answer", path=visit.request.url.path, error=str(error).splitlines()[0][:300])
            return  # the browser comes back
        if have and have == seen.digest:
            told = {name: piece.known_by for name, piece in seen.pieces.items()}
        have = ""
        fresh = {name: piece for name, piece in seen.pieces.items() if told.get(name) != piece.known_by}
        if fresh:
            yield _event("".join(out_of_band(piece.html) for piece in fresh.values()))
            told |= {name: piece.known_by for name, piece in fresh.items()}
            said = monotonic()
        if seen.over:
            yield "event: over\ndata: over\n\n"
            return
        if monotonic() - said >= BEAT_S:
            said = monotonic()
            yield ": still here\n\n"
        await anyio.sleep(max(every_s, SHARE * (monotonic() - begun)))


def out_of_band(html: str) -> str:
    """The element as htmx puts it in the place of the one with its id."""
    found = TAG.match(html)
    if found is None:
        raise ValueError(f"not an element: {html[:60]!r}")
    marked = f'{html[: found.end()]} hx-swap-oob="true"{html[found.end() :]}'
    return f"<template>{marked}</template>" if found[1] in ROWS else marked


def _event(html: str) -> str:
    return "".join(f"data: {line}\n" for line in html.splitlines()) + "\n"
