"""Many jobs on their way, on the screen of a demonstration: bars on a terminal, a line a second elsewhere."""

import sys
import time
from collections import Counter
from collections.abc import Sequence

from models.jobs import Event, Job
from models.lifecycle import State
from producers.cli.screen import say, warn

LINE_EVERY_S = 1.0  # where there is no terminal


class Progress:
    """The orders on their way: bars on a terminal, a line a second elsewhere. A view for `follow.watch`."""

    def __init__(self, ids: Sequence[str], *, every_s: float = LINE_EVERY_S) -> None:
        self._every_s = every_s
        self._jobs: dict[str, Job | None] = dict.fromkeys(ids)
        self._told_at = time.monotonic()
        self._bars = _Bars() if sys.stdout.isatty() else None

    def show(self, jobs: Sequence[Job], _events: Sequence[Event]) -> None:
        """Take in how these jobs stand now."""
        self._jobs.update({job.id: job for job in jobs})
        known = [job for job in self._jobs.values() if job is not None]
        if self._bars:
            self._bars.show(known)
        elif time.monotonic() - self._told_at >= self._every_s:
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
