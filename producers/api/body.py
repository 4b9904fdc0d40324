"""What comes in is read whole before anything is done with it: not too large, not too slow, and JSON."""

import asyncio
import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from producers.api.problems import Fault

LARGEST = 1 << 20
PATIENCE_S = 30.0
JSON = re.compile(r"application/([a-z0-9.-]+\+)?json")
CHANGING = frozenset({"POST", "PUT", "PATCH"})


class Body:
    """Refuses what need not be parsed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        if length.isdigit() and int(length[:12]) > LARGEST:
            raise _too_large()
        try:
            async with asyncio.timeout(PATIENCE_S):
                content = await _read(receive)
        except TimeoutError:
            raise Fault(408, f"the body was not there within {PATIENCE_S:.0f} s", headers={"Connection": "close"}) from None
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if (
            content
            and scope["method"] in CHANGING
            and kind != "application/json"
            and not (kind.startswith("application/") and kind.endswith("+json"))
        ):
            raise Fault(415, f"the body's Content-Type is {kind[:80]!r}; send application/json")
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": content, "more_body": False}

        await self._app(scope, replay, send)


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > LARGEST:
            raise _too_large()
        if not message.get("more_body", False):
            return b"".join(parts)


def _too_large() -> Fault:
    return Fault(413, f"the body is larger than {LARGEST} bytes; send fewer orders at once", headers={"Connection": "close"})
