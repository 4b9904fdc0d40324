"""`vzq demo orders`: containers are ordered, and the nodes are asked whether each was made exactly once."""

import asyncio
import json
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path

import typer
from sqlmodel import Session, col, select

from models.jobs import Event, Job
from models.lifecycle import Cause, State
from models.orders import ORDER, Order
from producers.cli.demo_progress import Progress
from producers.cli.demo_stage import ENOUGH_S, stage
from producers.cli.failures import FAILED, NOT_REACHED, REFUSED
from producers.cli.follow import watch
from producers.cli.screen import say, table, warn
from producers.embedded.auditor import Found, SilentNodeError, look
from producers.embedded.bring_up import Embedded
from producers.embedded.programs import ROOT
from producers.embedded.verdict import Booked, Verdict, judge
from producers.refusals import Refusal

SAMPLES = ROOT / "ops" / "samples" / "orders.jsonl"


def place(number: int, nodes: int, *, keep: bool, speed: float | None, state: Path | None) -> str:
    """Play it; the line it ended with. Raises typer.Exit where the nodes do not say that all is well."""
    with stage(nodes=nodes, speed=speed, state=state) as played:
        verdict = _place_and_judge(played.embedded, number)
        played.good = verdict.good
        if keep:
            _tell(verdict)
            say(f"it stays up until Ctrl-C; to look around, in another shell: export VZQ_STATE={played.embedded.house.settings.state.absolute()}")
            say("then: vzq job list, vzq container list, vzq node list, vzq order create …")
            played.embedded.tend()
    if not keep:
        _tell(verdict)
    if not verdict.good:
        raise typer.Exit(FAILED)
    return str(verdict)


def _place_and_judge(embedded: Embedded, number: int) -> Verdict:
    house, begun = embedded.house, time.monotonic()
    run = secrets.token_hex(4)  # the same sample may be ordered again on the same state folder
    try:
        with house.database.write() as session:
            ids = [
                house.intake.submit(session, order, by="vzq demo", because="demo", key=f"demo-{run}-{key}").job.id for key, order in sample(number)
            ]
    except Refusal as refusal:
        warn(f"refused: {refusal}; take fewer orders or more nodes (--orders, --nodes)")
        raise typer.Exit(REFUSED) from None
    house.bell.wake()
    view = Progress(ids)
    try:
        watch(house.database, ids, view, timeout_s=ENOUGH_S, pause=embedded.mind)
    finally:
        view.close()
    say(f"all orders ended after {time.monotonic() - begun:.1f} s; now the nodes are asked what they have")
    try:
        found = asyncio.run(look(embedded.nodes, house.settings.ssh_key_file))
    except SilentNodeError as error:
        warn(error)
        raise typer.Exit(NOT_REACHED) from None
    with house.database.read() as session:
        summary(session.exec(select(Job).where(col(Job.id).in_(ids))).all(), found)
        for line in latencies(session, ids):
            say(line)
        return judge(book(session, ids), found)


def _tell(verdict: Verdict) -> None:
    for complaint in verdict.complaints[:20]:
        warn(complaint)
    say(verdict)


def sample(number: int) -> list[tuple[str, Order]]:
    """So many orders with their keys; when the sample runs out it begins again under other host names."""
    rows = [json.loads(line) for line in SAMPLES.read_text().splitlines()]
    return list(islice(_numbered(rows, number), number))


def _numbered(rows: Sequence[Mapping[str, str]], number: int) -> Iterable[tuple[str, Order]]:
    for index in range(number):
        turn, place = divmod(index, len(rows))
        row = {field: value for field, value in rows[place].items() if field not in ("key", "because")}
        if turn:
            row["hostname"] = f"{turn + 1}-{row['hostname']}"
        yield f"{rows[place]['key']}-{turn}", ORDER.validate_python(row)


def summary(jobs: Sequence[Job], found: Sequence[Found]) -> None:
    """Print how many orders went where and how they ended, beside what the nodes say runs there."""
    running = {met.job for met in found if met.running}
    groups: dict[tuple[str, str], list[Job]] = {}
    for what in ("node", "plan", "template"):
        for job in jobs:
            groups.setdefault((what, (job.node or "-") if what == "node" else job.order[what]), []).append(job)
    rows = [
        (*name, len(group), sum(job.state == State.DONE for job in group), sum(job.id in running for job in group))
        for name, group in sorted(groups.items(), key=lambda item: (("node", "plan", "template").index(item[0][0]), item[0][1]))
    ]
    table(("by", "", "ordered", "done", "running"), rows, empty="no orders", right=("ordered", "done", "running"))


def latencies(session: Session, ids: Sequence[str]) -> list[str]:
    """What the events say about how long it took, a line a figure."""
    moments: dict[str, dict[Cause, Event]] = {}
    for event in session.exec(select(Event).where(col(Event.job_id).in_(ids)).order_by(col(Event.id))).all():
        moments.setdefault(event.job_id, {}).setdefault(event.cause, event)
    lines = []
    for what, cause in (("accepted → first step on the node", Cause.STEPPED), ("accepted → done", Cause.FINISHED)):
        times = sorted(story[cause].at - story[Cause.ACCEPTED].at for story in moments.values() if cause in story and Cause.ACCEPTED in story)
        if times:
            lines.append(f"{what}: p50 {_seconds(_quantile(times, 0.5))}, p99 {_seconds(_quantile(times, 0.99))}")
    return lines


def book(session: Session, ids: Sequence[str]) -> list[Booked]:
    """All orders for containers, ours and those of others; what they say has been made."""
    jobs = session.exec(select(Job).where(col(Job.kind) == "create-container").order_by(col(Job.id))).all()
    return [Booked(job.id, job.ctid, job.state == State.DONE, job.id in set(ids)) for job in jobs]


def _quantile(ordered: Sequence[timedelta], part: float) -> timedelta:
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]


def _seconds(time: timedelta) -> str:
    seconds = time.total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
