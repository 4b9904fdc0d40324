"""`vzq container updates`: what an upgrade would do in one container."""

from typing import Annotated

import typer

from models.lifecycle import State
from models.orders import CheckUpdate
from producers.cli.failures import FAILED, NOT_REACHED
from producers.cli.migrate import late, seen_through
from producers.cli.options import Because, By, Json, Timeout, ordered
from producers.cli.screen import as_json, say, table, warn

UNTOLD = frozenset({"failed", "skipped"})  # its package manager could not be asked


def updates(
    ctid: Annotated[int, typer.Argument(metavar="CTID", help="The container's id.", min=101)],
    *,
    security: Annotated[bool, typer.Option("--security", help="Only what its distribution calls a security update.")] = False,
    by: By = "",
    because: Because = "",
    timeout: Timeout = None,
    json: Json = False,
) -> None:
    """Ask a container's package manager what would be upgraded; nothing is. Exit 1 where it cannot tell."""
    order = ordered(CheckUpdate, {"ctid": ctid, "action": {"do": "packages", "security_only": security}})
    job = seen_through(order, key="", by=by, because=because, timeout=timeout)
    told = job.result
    if json:
        as_json({"job": job.id, "state": str(job.state), "error": job.error, **told})
    elif late(job):
        warn(f"container {ctid} has not answered in time: {late(job)}")
    elif job.state != State.DONE:
        warn(f"container {ctid} could not be asked: {job.error}")
    elif told["outcome"] in UNTOLD:
        warn(f"container {ctid}: {told['why']}")
    else:
        say(f"container {ctid} ({told['family']}): {told['why']}")
        if told["would"]:
            table(("package", "version"), [line.split(" ", 2)[:2] for line in told["would"]], empty="")
    if late(job):
        raise typer.Exit(NOT_REACHED)
    if job.state != State.DONE or told["outcome"] in UNTOLD:
        raise typer.Exit(FAILED)
