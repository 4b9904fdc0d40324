"""The dry run of a roll-out: every container's own package manager is asked what would be upgraded, and equal answers are told together."""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from models.campaign_states import Outcome
from models.jobs import Job
from models.lifecycle import State
from models.orders import CheckUpdate
from models.rollouts import RolloutSpec
from models.updates import Packages
from producers.cli.doors import Who
from producers.cli.failures import FAILED
from producers.cli.job_doors import Jobs, Refused, jobs
from producers.cli.options import asker
from producers.cli.rollout_sheet import rules
from producers.cli.screen import as_json, say, table, warn
from producers.rollouts.shapes import sheet_shape
from producers.rollouts.start import Sheet

TOLD_EVERY_S = 2.0
IDS_SHOWN, PACKAGES_SHOWN = 12, 40
SILENT = "not known"  # an outcome of its own: nobody answered in time


@dataclass(frozen=True)
class Answer:
    """What one container said, or why it said nothing; equal ones are told together."""

    outcome: str
    why: str
    family: str = ""
    would: tuple[str, ...] = ()  # name and version of what would be upgraded


def dry_run(spec: RolloutSpec, sheet: Sheet, *, timeout_s: float, json: bool) -> int:
    """Ask, wait, tell; the exit code: 1 where one could not be asked or does not know."""
    action = spec.action
    if isinstance(action, Packages):
        answers = _asked(sheet, action, timeout_s=timeout_s)
    else:
        answers = {target.place: Answer("ok", "its script would run: what that does nobody can ask beforehand") for target in sheet.targets}
        answers |= {place: Answer(Outcome.SKIPPED, why) for place, why in sheet.unready.items()}
    folds = _folded(sheet, answers)
    if json:
        as_json(sheet_shape(sheet) | {"check": [_shape(answer, ctids) for answer, ctids in folds]})
    else:
        for answer, ctids in folds:
            _tell(answer, ctids)
        rules(sheet)
    return FAILED if any(answer.outcome in (Outcome.FAILED, SILENT) for answer in answers.values()) else 0


def _asked(sheet: Sheet, action: Packages, *, timeout_s: float) -> dict[int, Answer]:
    """By place. Those that cannot be updated as things stand are not asked."""
    answers = {place: Answer(Outcome.SKIPPED, why) for place, why in sheet.unready.items()}
    asking = [target for target in sheet.targets if target.place not in answers and target.ctid is not None]
    who = Who(asker(""), f"dry run of {sheet.spec.name}")
    with jobs() as known:
        placed = known.order([CheckUpdate(ctid=target.ctid, action=action) for target in asking], who)
        waiting = {}
        for target, one in zip(asking, placed, strict=True):
            if isinstance(one, Refused):
                answers[target.place] = Answer(Outcome.FAILED, one.why)
            else:
                waiting[one] = target.place
        late = list(waiting)
        try:
            late = _waited(known, late, timeout_s)
        finally:
            known.cancel(late, Who(who.by, "nobody waits for it any more"))
        return answers | {waiting[job.id]: _answer(job, timeout_s) for job in known.told(list(waiting))}


def _waited(known: Jobs, ids: Sequence[str], timeout_s: float) -> list[str]:
    """Those that have not answered when the time is over."""
    begun, progress = time.monotonic(), _bar if sys.stderr.isatty() else _lines
    with progress(len(ids)) as tell:
        while left := known.open(ids):
            if time.monotonic() - begun >= timeout_s:
                break
            tell(len(ids) - len(left))
            time.sleep(known.pace_s)
    return left


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console  # noqa: PLC0415 - only for terminals
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("asked"), BarColumn(bar_width=30), MofNCompleteColumn(), TextColumn("have answered"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task("", total=total)
        yield lambda answered: drawn.update(task, completed=answered)


@contextmanager
def _lines(total: int) -> Iterator[Callable[[int], None]]:
    told = time.monotonic()

    def tell(answered: int) -> None:
        nonlocal told
        if time.monotonic() - told >= TOLD_EVERY_S:
            told = time.monotonic()
            warn(f"{answered} of {total} have answered")

    yield tell


def _answer(job: Job, timeout_s: float) -> Answer:
    if job.state == State.DONE:
        told = job.result
        return Answer(told["outcome"], told["why"], told.get("family", ""), tuple(told.get("would", ())))
    if job.state in (State.FAILED, State.STUCK):
        return Answer(Outcome.FAILED, job.error or f"its check is {job.state}")
    return Answer(SILENT, f"no answer within {timeout_s:.0f} s" + (f": {job.error}" if job.error and job.state != State.CANCELLED else ""))


def _folded(sheet: Sheet, answers: Mapping[int, Answer]) -> list[tuple[Answer, list[int]]]:
    """Equal answers together, the largest group first; every target stands in one."""
    groups: dict[Answer, list[int]] = defaultdict(list)
    for target in sheet.targets:
        groups[answers[target.place]].append(target.ctid or 0)
    return sorted(groups.items(), key=lambda group: (-len(group[1]), group[1]))


def _shape(answer: Answer, ctids: Sequence[int]) -> dict[str, Any]:
    return {"outcome": answer.outcome, "why": answer.why, "family": answer.family, "would": list(answer.would), "ctids": list(ctids)}


def _tell(answer: Answer, ctids: Sequence[int]) -> None:
    ids = " ".join(map(str, ctids[:IDS_SHOWN])) + (f" … {len(ctids) - IDS_SHOWN} more" if len(ctids) > IDS_SHOWN else "")
    kin = f"{answer.family}, " if answer.family else ""
    word = "" if answer.outcome in (Outcome.OK, Outcome.UP_TO_DATE) else f"{answer.outcome}: "
    say(f"== {len(ctids)} × {kin}{word}{answer.why}: {ids}")
    rows = [[*line.split(" ", 2), ""][:2] for line in answer.would[:PACKAGES_SHOWN]]
    if rows:
        table(("package", "to version"), rows, empty="")
    if len(answer.would) > PACKAGES_SHOWN:
        say(f"… and {len(answer.would) - PACKAGES_SHOWN} more (all of them with --json)")
