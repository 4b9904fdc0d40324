"""`vzq prune`: forget history by age now, instead of waiting for the service."""

import re
from collections import Counter
from datetime import timedelta
from typing import Annotated

import typer

from producers.cli import door
from producers.cli.options import Json
from producers.cli.screen import as_json, table
from producers.pruning import KeepSettings, Sweep, batch, count
from producers.refusals import BadOrder, Refusal

LEAST_DAYS = 1


def prune(
    older_than: Annotated[str, typer.Option("--older-than", metavar="DAYS", help="e.g. 400d; VZQ_KEEP_DAYS if left out.", show_default=False)] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count; nothing is written.")] = False,
    json: Json = False,
) -> None:
    """Forget jobs that ended so long ago with their events and journals, delivery logs, findings and audit; keys stay for ever."""
    days = _days(older_than) if older_than else KeepSettings().keep_days
    if not days:
        raise Refusal("history is kept for ever (VZQ_KEEP_DAYS=0); say --older-than DAYS")
    with door.database() as database:
        with database.read() as session:
            before = database.now(session) - timedelta(days=days)
            gone = Counter(count(session, before) if dry_run else {})
        sweep: Sweep | None = None if dry_run else Sweep(before)
        while sweep is not None:
            with database.write() as session:
                went, sweep = batch(database, session, sweep)
            gone.update(went)
    if json:
        as_json({"before": before, "dry_run": dry_run, "rows": dict(sorted((+gone).items()))})
        return
    what = "would go" if dry_run else "went"
    table(("table", what), sorted((+gone).items()), empty=f"nothing is older than {days} days", right=(what,))


def _days(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,5})d?", text)
    if found is None or int(found[1]) < LEAST_DAYS:
        raise BadOrder({"--older-than": f"{text!r} is no number of days; write e.g. 400d"})
    return int(found[1])
