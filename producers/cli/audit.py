"""`vzq audit`: who did what, and why."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from models.database import Database
from producers.audit import entries
from producers.cli.doors import reading
from producers.cli.options import Json
from producers.cli.rows import moment
from producers.cli.screen import as_json, clock_time, table
from producers.shapes import audit_shape

if TYPE_CHECKING:
    from producers.cli.remote import Api

MOST = 200
By = Annotated[str, typer.Option("--by", help="Only what this token or person did.", show_default=False)]
Action = Annotated[str, typer.Option("--action", help='Only this, e.g. "job cancel".', show_default=False)]
Subject = Annotated[str, typer.Option("--subject", metavar="WHAT", help="Only what was done to this, e.g. job:01JD…, node:n1.", show_default=False)]
Days = Annotated[float | None, typer.Option("--days", min=0, max=36_500, help="Only the last days.", show_default=False)]


class Kept(Protocol):
    """What the command needs."""

    def last(self, limit: int, **wanted: object) -> Sequence[dict[str, Any]]: ...


class Here:
    """In this house's own database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def last(self, limit: int, **wanted: Any) -> Sequence[dict[str, Any]]:  # noqa: ANN401 - what `entries` takes
        """The newest first."""
        with self._database.read() as session:
            return [audit_shape(entry) for entry in entries(session, limit=limit, **wanted)]


class There:
    """Over the API."""

    def __init__(self, api: "Api") -> None:
        self._api = api

    def last(self, limit: int, **wanted: Any) -> Sequence[dict[str, Any]]:  # noqa: ANN401 - what the API takes
        """The newest first."""
        since = wanted.pop("since", None)
        return list(self._api.get("/v1/audit", limit=limit, since=since.isoformat() if since else None, **wanted)["items"])


def audit(
    by: By = "",
    action: Action = "",
    subject: Subject = "",
    days: Days = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST, help="At most so many, the newest.")] = 50,
    json: Json = False,
) -> None:
    """Who did what and why: orders, cancels, pauses, tokens, consoles and whatever else changes something; the newest first."""
    wanted: dict[str, Any] = {name: value for name, value in (("by", by), ("action", action), ("subject", subject)) if value}
    if days is not None:
        wanted["since"] = datetime.now(UTC) - timedelta(days=days)
    door: AbstractContextManager[Kept] = reading(Here, There)
    with door as kept:
        found = kept.last(limit, **wanted)
    if json:
        as_json(found)
        return
    rows = [(clock_time(moment(one["at"])), one["by"], one["action"], one["subject"], one["because"]) for one in found]
    table(("at", "by", "did", "to", "because"), rows, empty="nothing of that kind was done")
