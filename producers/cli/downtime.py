"""`vzq downtime`: how long containers did not answer, and why."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from models.fleet import Container, Node
from models.kinds import KINDS
from models.lifecycle import State
from producers.cli import door
from producers.cli.door import elsewhere
from producers.cli.options import Json
from producers.cli.screen import as_json, clock_time, facts, say, short, table, warn
from producers.downtime import FIGURES, Wanted, month_span, of_job, outage_shape, outages, total
from producers.jobs import find
from producers.refusals import BadOrder

COLUMNS = ("began", "ct", "node", "cause", "gap", "less", "frozen", "slow", "job")
RIGHT = ("ct", "gap", "less", "frozen", "slow")
LAST_OUTAGES = 3  # that `vzq container show` tells
Shapes = Sequence[Mapping[str, Any]]


def downtime(
    container: Annotated[int | None, typer.Option("--container", min=101, max=2_147_483_644, help="Only this container's, by id.")] = None,
    node: Annotated[str | None, typer.Option("--node", help="Only on this node.")] = None,
    customer: Annotated[str | None, typer.Option("--customer", help="Only this customer's.")] = None,
    month: Annotated[str | None, typer.Option("--month", metavar="YYYY-MM", help="Only of this month, in UTC.")] = None,
    job: Annotated[str | None, typer.Option("--job", metavar="JOB", help="Only this job's, with its figures; a job's id or its ending.")] = None,
    cause: Annotated[str | None, typer.Option("--cause", help="Only of this cause: a kind of job, or unknown.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="List at most so many; the sum is of all.")] = 100,
    json: Json = False,
) -> None:
    """How long containers did not answer, and why; the newest first. What was not measured is counted apart: it is not zero."""
    wanted = Wanted(container, node, customer, None, cause, month)
    if month is not None:
        month_span(month)
    if job is not None and wanted != Wanted():
        raise BadOrder({"--job": "tells all of one job; leave the other options out"})
    if cause is not None and cause not in {*KINDS, "unknown"}:
        raise BadOrder({"--cause": f"there is no cause {cause!r}; a kind of job as `vzq job list` shows it, or unknown"})
    if elsewhere():
        from producers.cli import remote_downtime  # noqa: PLC0415 - needs httpx

        remote_downtime.downtime(wanted, job, limit=limit, json=json)
        return
    with door.database() as database, database.read() as session:
        told = find(session, job) if job is not None else None
        wanted = Wanted(container, node, customer, told.id if told else None, cause, month)
        shapes = [outage_shape(one) for one in outages(session, wanted, limit=limit)]
        measured, unmeasured = total(session, wanted)
        if not shapes and container is not None and session.get(Container, container) is None:
            raise BadOrder({"--container": f"there is no container {container}, and no outage of one is known"})
        if not shapes and node is not None and session.get(Node, node) is None:
            raise BadOrder({"--node": f"there is no node {node!r}, and no outage on one is known"})
    if told is not None:
        show_job({"job": told.id, "kind": told.kind, "ctid": told.ctid}, shapes, kind=told.kind, state=told.state, json=json)
    else:
        show(shapes, measured, unmeasured, limit=limit, json=json)


def show(shapes: Shapes, measured: float, unmeasured: int, *, limit: int, json: bool) -> None:
    """A list with its sum."""
    if json:
        as_json({"measured_s": measured, "unmeasured": unmeasured, "outages": shapes})
        return
    listed(shapes)
    if shapes:
        say(f"measured: {measured:.3f} s{f'; {unmeasured} not measured, which is not zero' if unmeasured else ''}")
    if len(shapes) == limit:
        warn(f"the newest {limit} are listed; more with --limit")


def show_job(job: Mapping[str, Any], shapes: Shapes, *, kind: str, state: State, json: bool) -> None:
    """One job's figures."""
    figures = of_job(shapes, kind=kind, state=state)
    if json:
        as_json({**job, **figures, "outages": shapes})
        return
    reasons = figures["not_measured"]
    names = dict(zip(FIGURES, ("gap", "suspended", "resolution", "brown-out"), strict=True))
    facts([
        ("job", f"{short(job['job'])} {kind}"),
        ("container", job["ctid"]),
        *((name, f"not measured: {reasons[figure]}" if figure in reasons else f"{figures[figure]:.3f} s") for figure, name in names.items()),
    ])  # fmt: skip
    say("")
    listed(shapes)


def listed(shapes: Shapes) -> None:
    """A table, and below it why something was not measured."""
    rows = [
        (
            clock_time(datetime.fromisoformat(one["began_at"])), one["ctid"], one["node"], one["cause"],
            "?" if one["gap_s"] is None else _s(one["gap_s"]), _s(one["resolution_s"]), _s(one["suspended_s"]), _s(one["brownout_s"]),
            short(one["job"]),
        )
        for one in shapes
    ]  # fmt: skip
    table(COLUMNS, rows, empty="no outage is known", right=RIGHT)
    for one in shapes:
        if one["gap_s"] is None:
            say(f"{one['ctid']}, job {short(one['job'])}: not measured: {one['not_measured']}{_bounds(one['parts'])}")


def told_of(shapes: Shapes, measured: float, unmeasured: int) -> list[tuple[str, str]]:
    """What `vzq container show` says: this month's sum, and the last outages and why."""
    sum_ = f"{measured:.3f} s measured{f'; {unmeasured} not measured' if unmeasured else ''}"
    return [("down this month", sum_), *(("outage" if place else "last outages", _line(one)) for place, one in enumerate(shapes))]


def _line(one: Mapping[str, Any]) -> str:
    length = f"not measured: {one['not_measured']}{_bounds(one['parts'])}" if one["gap_s"] is None else f"{one['gap_s']:.3f} s"
    return f"{clock_time(datetime.fromisoformat(one['began_at']))} {one['cause']} (job {short(one['job'])}): {length}"


def _bounds(parts: Mapping[str, Any]) -> str:
    told = [f"{word} {parts[field]:.3f} s" for field, word in (("at_least_s", "at least"), ("at_most_s", "at most")) if field in parts]
    return f" ({', '.join(told)})" if told else ""


def _s(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3f}"
