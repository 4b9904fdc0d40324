"""The way to the API, in the same process and as the one who is logged in: its gates, its checks and its answers are the page's."""

from typing import Any

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from producers.tokens import Caller

A_PAGE = 500  # rows the API gives at once
HERE = "http://vzq"


class Refused(Exception):
    """The API said no; `problem` is its own answer."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(str(problem.get("detail", "")))
        self.status = status
        self.problem = problem


class Door:
    """Asks in the name of one caller."""

    def __init__(self, api: ASGIApp, caller: Caller, *, request: str) -> None:
        async def known(scope: Scope, receive: Receive, send: Send) -> None:
            scope["state"] = {"caller": caller}  # the gate takes it as shown: no client can write there
            await api(scope, receive, send)

        headers = {"X-Request-Id": request}  # one id from the browser's request to the log line of the API
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app=known), base_url=HERE, headers=headers, trust_env=False)

    async def get(self, path: str, **query: Any) -> Any:  # noqa: ANN401 - JSON
        """What is there; empty values are left out of the query. Raises Refused."""
        return await self._asked("GET", path, query)

    async def all(self, path: str, *, most: int = 5000, **query: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - query values
        """The rows of a list, page after page."""
        rows: list[dict[str, Any]] = []
        cursor: str | None = None
        while len(rows) < most:
            page = await self.get(path, limit=min(A_PAGE, most - len(rows)), cursor=cursor, **query)
            rows += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        return rows

    async def post(self, path: str, body: Any = None, *, because: str = "", key: str = "", **query: Any) -> Any:  # noqa: ANN401 - JSON
        """Do it; raises Refused, and then nothing was done."""
        return await self._asked("POST", path, query | {"because": because}, body, {"Idempotency-Key": key} if key else {})

    async def patch(self, path: str, body: Any, *, because: str = "") -> Any:  # noqa: ANN401 - JSON
        """Change it."""
        return await self._asked("PATCH", path, {"because": because}, body)

    async def delete(self, path: str, *, because: str = "") -> None:
        """Take it away."""
        await self._asked("DELETE", path, {"because": because})

    async def _asked(self, method: str, path: str, query: dict[str, Any], body: Any = None, headers: dict[str, str] | None = None) -> Any:  # noqa: ANN401
        given = {name: value for name, value in query.items() if value not in (None, "", [])}
        answer = await self._client.request(method, path, params=given, json=body, headers=headers)
        told = answer.json() if answer.content else None
        if answer.status_code >= 400:
            raise Refused(answer.status_code, told or {})
        return told
