"""`vzq demo orders` in its parts: the sample orders, their way through the queue on the screen, the figures at the end."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import islice

from sqlmodel import Session, col, select

from models.jobs import Event, Job
from models.lifecycle import Cause, State
from models.orders import ORDER, Order
from producers.cli.screen import say, table, warn
from producers.embedded.auditor import Found
from producers.embedded.programs import ROOT
from producers.embedded.verdict import Booked

SAMPLES = ROOT / "ops" / "samples" / "orders.jsonl"
LINE_EVERY_S = 1.0  # where there is no terminal


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


class Progress:
    """The orders on their way: bars on a terminal, a line a second elsewhere. A view for `follow.watch`."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._jobs: dict[str, Job | None] = dict.fromkeys(ids)
        self._told_at = time.monotonic()
        self._bars = _Bars() if sys.stdout.isatty() else None

    def show(self, jobs: Sequence[Job], _events: Sequence[Event]) -> None:
        """Take in how these jobs stand now."""
        self._jobs.update({job.id: job for job in jobs})
        known = [job for job in self._jobs.values() if job is not None]
        if self._bars:
            self._bars.show(known)
        elif time.monotonic() - self._told_at >= LINE_EVERY_S:
            self._told_at = time.monotonic()
            done = sum(job.state == State.DONE for job in known)
            working = sum(job.worker is not None for job in known)
            say(f"{done} of {len(known)} done, {working} at work")

    def tell(self, sentence: str) -> None:
        """A sentence for the operator."""
        warn(sentence)

    def close(self) -> None:
        """Leave the screen as it is."""
        if self._bars:
            self._bars.close()


class _Bars:
    """One bar for all and one a node."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - only for terminals
        from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn  # noqa: PLC0415
        from rich.progress import Progress as Drawn  # noqa: PLC0415

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[what]}", markup=False),
        )
        self._drawn = Drawn(*columns, TimeElapsedColumn(), console=Console(highlight=False))
        self._bars: dict[str, TaskID] = {}
        self._drawn.start()

    def show(self, jobs: Sequence[Job]) -> None:
        groups: dict[str, list[Job]] = {"all": list(jobs)}
        for job in sorted(jobs, key=lambda job: job.node or ""):
            groups.setdefault(job.node or "no node yet", []).append(job)
        for name, group in groups.items():
            if name not in self._bars:
                self._bars[name] = self._drawn.add_task(name, total=len(group), what="")
            steps = Counter(job.step for job in group if job.worker is not None and job.step)
            what = "  ".join(f"{step} {number}" for step, number in steps.most_common(4)) if name != "all" else ""
            self._drawn.update(self._bars[name], completed=sum(job.ended for job in group), total=len(group), what=what)

    def close(self) -> None:
        self._drawn.stop()


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
