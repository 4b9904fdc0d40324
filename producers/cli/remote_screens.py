"""The commands that work on a house elsewhere, each as its twin on the house itself shows it."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import typer

from models.lifecycle import State
from models.orders import Order
from producers.cli.downtime import LAST_OUTAGES, told_of
from producers.cli.follow import JsonLines, Lines, Quiet, View, _bars, ending, tally
from producers.cli.order_file import Bad, Line, Outcome, Refused, Taken
from producers.cli.remote import Api, api
from producers.cli.remote_downtime import month_of_container
from producers.cli.rows import job_of, stands
from producers.cli.screen import as_json, clock_time, facts, say, short, span, table, warn
from producers.cli.sizes import as_share, as_size
from producers.cli.story import COLUMNS, RIGHT, empty, rows, show
from producers.refusals import BadOrder
from producers.shapes import standing_of


def place(asked: Sequence[Order], *, key: str, because: str, wait: bool, json: bool, timeout: float | None = None) -> None:
    """Place the orders and print their jobs; with `wait` follow them and leave with their exit code."""
    with api() as house:
        taken = [house.place(order, key=key, because=because) for order in asked]
        if wait:
            raise typer.Exit(_follow(house, [job.id for job, _ in taken], json=json, timeout_s=timeout))
    if json:
        shapes = [{"ctid": job.ctid, "job": job.id, "replay": replay} for job, replay in taken]
        as_json(shapes if len(shapes) > 1 else shapes[0])
        return
    for job, _ in taken:
        say(job.id)


def submit(lines: Sequence[Line], *, because: str) -> Outcome:
    """Each line for itself: what can be placed is placed, the rest is told."""
    outcome = Outcome()
    with api() as house:
        answers = house.bulk([(line.order, line.key, line.because or because) for line in lines])
    for line, answer in zip(lines, answers, strict=True):
        _sort(outcome, line, answer)
    return outcome


def job_list(*, state: list[str], node: str | None, kind: str | None, request: str | None, limit: int, json: bool) -> None:
    """The newest jobs first."""
    with api() as house:
        shapes = house.pages("/v1/jobs", limit, state=state, node=node, kind=kind, request=request)
    if json:
        as_json(shapes)
        return
    table(COLUMNS, rows([job_of(shape) for shape in shapes], now=datetime.now(UTC)), empty=empty(state, node, kind, request), right=RIGHT)
    if len(shapes) == limit:
        warn(f"the newest {limit} are shown; more with --limit")


def job_show(ending_: str, *, json: bool) -> None:
    """The whole story of a job."""
    with api() as house:
        told, shape = house.story(house.find(ending_))
    as_json(shape) if json else show(told)


def job_why(ending_: str, *, json: bool) -> None:
    """What holds it."""
    with api() as house:
        reasons = house.get(f"/v1/jobs/{house.find(ending_)}")["why"]
    if json:
        as_json(reasons)
        return
    for reason in reasons:
        until = f" (until {clock_time(datetime.fromisoformat(reason['until']))})" if reason["until"] else ""
        say(f"{reason['code']}: {reason['text']}{until}")
    if not reasons:
        say("nothing holds it: it goes with the next round")


def job_watch(endings: Sequence[str] | None, *, timeout: float | None, json: bool, quiet: bool = False) -> None:
    """Follow jobs until they end."""
    with api() as house:
        ids = [house.find(one) for one in endings] if endings else [shape["id"] for shape in house.pages("/v1/jobs", 2000, open="true")]
        if not ids:
            warn("no job is open")
            return
        raise typer.Exit(_follow(house, ids, json=json, quiet=quiet, timeout_s=timeout))


def job_act(ending_: str, action: str, *, because: str, json: bool, wait: bool = False, timeout: float | None = None) -> None:
    """cancel, retry or password."""
    with api() as house:
        done = house.post(f"/v1/jobs/{house.find(ending_)}:{action}", because=because)
        if action == "retry" and wait:
            raise typer.Exit(_follow(house, [done["id"]], json=json, timeout_s=timeout))
    if action == "retry":
        as_json({"job": done["id"]}) if json else say(done["id"])
    elif json:
        as_json(done)
    else:
        say(done["password"] if action == "password" else f"{short(done['job'])}: {done['what']}")


def container_list(*, node: str | None, customer: str | None, state: str | None, limit: int, json: bool) -> None:
    """Containers and reservations, by id."""
    with api() as house:
        shapes = house.pages("/v1/containers", limit, node=node, customer=customer, state=state)
    if json:
        as_json(shapes)
        return
    lines = [
        (one["ctid"], standing_of(one["state"], one["standing"]), one["node"], one["hostname"], " ".join(one["addresses"]), one["plan"])
        for one in shapes
    ]
    table(("ct", "state", "node", "hostname", "addresses", "plan"), lines, empty="no containers; order one with `vzq order create`", right=("ct",))


def container_show(wanted: str, *, json: bool) -> None:
    """One container, with its newest jobs."""
    with api() as house:
        number = wanted.isascii() and wanted.isdigit()
        ctid = wanted if number else next((one["ctid"] for one in house.get("/v1/containers", name=wanted)["items"]), None)
        if ctid is None:
            raise BadOrder({"CONTAINER": f"there is no container {wanted!r}; see `vzq container list`"})
        shape = house.get(f"/v1/containers/{ctid}")
        last, measured, unmeasured = month_of_container(house, shape["ctid"], LAST_OUTAGES)
    if json:
        as_json(shape | {"downtime": {"measured_s": measured, "unmeasured": unmeasured, "last": last}})
        return
    size = f"{shape['plan']}: {as_size(shape['ram_bytes'])} memory, {as_size(shape['disk_bytes'])} disk, {shape['cpus']} cpus"
    facts([
        ("container", shape["ctid"]), ("state", shape["state"]), ("standing", shape["standing"]), ("name", shape["name"]),
        ("hostname", shape["hostname"]), ("customer", shape["customer"]), ("node", f"{shape['node']} (site {shape['site']})"),
        ("addresses", " ".join(shape["addresses"])), ("plan", size if shape["plan"] else ""), ("template", shape["template"]),
        *told_of(last, measured, unmeasured),
    ])  # fmt: skip
    say("")
    table(COLUMNS, rows([job_of(job) for job in shape["jobs"]], now=datetime.now(UTC)), empty="no job has had to do with it", right=RIGHT)


def node_list(*, site: str, json: bool) -> None:
    """All nodes, with what is taken of them."""
    with api() as house:
        shapes = house.pages("/v1/nodes", 100_000, site=site)
    if json:
        as_json(shapes)
        return
    now = datetime.now(UTC)
    lines = [
        (
            one["name"], one["site"], stands(one), one["containers"], as_share(one["memory_taken"], one["memory_bytes"]),
            as_share(one["disk_taken"], one["disk_bytes"]), one["finding"] or _seen(one["seen_at"], now),
        )
        for one in shapes
    ]  # fmt: skip
    table(("node", "site", "state", "cts", "memory", "disk", "finding"), lines, empty="no nodes", right=("cts", "memory", "disk"))


def _seen(at: str | None, now: datetime) -> str:
    return f"seen {span(now - datetime.fromisoformat(at))} ago" if at else "not seen yet"


def _follow(house: Api, ids: Sequence[str], *, json: bool, quiet: bool = False, timeout_s: float | None = None) -> int:
    view: View = Quiet() if quiet else JsonLines() if json else _bars() if sys.stdout.isatty() else Lines()
    try:
        jobs = house.follow(ids, view, timeout_s=timeout_s)
    finally:
        view.close()
    if not json:
        for job in jobs[:50]:
            say(ending(job))
        tally(jobs)
    if any(not job.ended and job.state != State.STUCK for job in jobs):
        return 5
    return 0 if all(job.state == State.DONE for job in jobs) else 1


def _sort(outcome: Outcome, line: Line, answer: dict[str, Any]) -> None:
    problem = answer["problem"]
    if problem is None:
        outcome.taken.append(Taken(line.number, line.key, answer["job"]["id"], answer["replayed"]))
    elif problem["reasons"]:
        outcome.refused.append(Refused(line.number, line.key, problem["detail"], problem["reasons"]))
    else:
        outcome.bad.append(Bad(line.number, problem["detail"], line.key))
