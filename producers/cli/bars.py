"""Live bars of jobs on a terminal: the ones at work, the ones that ended badly, and one for all when there are many."""

from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from models.jobs import Event, Job
from models.lifecycle import State
from producers.cli.screen import COLOUR, clean, short

MOST = 16  # bars at once; more would not fit a screen


class Bars:
    """One bar a job, told apart by the end of its id."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=20), TextColumn("{task.fields[what]}"), TimeElapsedColumn())
        self._console = Console(highlight=False)
        self._progress = Progress(*columns, console=self._console, transient=False)
        self._bars: dict[str, TaskID] = {}
        self._last: dict[str, str] = {}
        self._ended: set[str] = set()
        self._known: set[str] = set()
        self._all: TaskID | None = None
        self._progress.start()

    def show(self, jobs: Sequence[Job], events: Sequence[Event]) -> None:
        """Move the bars."""
        self._last |= {event.job_id: event.why for event in events if event.why}
        self._known |= {job.id for job in jobs}
        for job in jobs:
            self._move(job)
        if len(self._known) > MOST:
            if self._all is None:
                self._all = self._progress.add_task("all", total=len(self._known), what="")
            self._progress.update(self._all, completed=len(self._ended), what=f"{len(self._ended)} of {len(self._known)} ended")

    def tell(self, sentence: str) -> None:
        """A sentence above the bars."""
        self._console.print(Text(clean(sentence), "yellow"))

    def close(self) -> None:
        """Leave the screen as it is."""
        self._progress.stop()

    def _move(self, job: Job) -> None:
        over = job.ended or job.state == State.STUCK
        if over:
            self._ended.add(job.id)
        if job.id not in self._bars:
            if len(self._bars) >= MOST or (len(self._known) > MOST and job.worker is None):
                return
            self._bars[job.id] = self._progress.add_task(short(job.id), total=1.0, what="")
        bar = self._bars[job.id]
        what = job.error if over and job.state != State.DONE else "" if over else self._last.get(job.id, "") or job.step
        shown = Text.assemble((f"{job.state}", COLOUR.get(job.state, "")), " ", clean(what)[:40])
        self._progress.update(bar, completed=job.progress, what=_escaped(shown))
        if job.state == State.DONE and len(self._known) > MOST:
            self._progress.remove_task(self._bars.pop(job.id))  # makes room for the next


def _escaped(text: Text) -> str:
    return text.markup  # rich's own escaping: what looks like markup in a node's answer stays text
