"""Follow jobs to their end: bars where there is a terminal, one line an event where there is none."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from sqlalchemy import func
from sqlmodel import Session, col, select

from models.database import Database
from models.jobs import Event, Job
from models.lifecycle import State
from producers.cli.screen import as_json, clock_time, json_line, say, short, warn
from producers.cli.silence import silence
from producers.shapes import event_shape, job_shape

LOOK_S = 0.15  # a person sees a step begin and end; one query a look for some hundred jobs
SILENCE_S = 2.0  # how often it is checked that somebody is alive to do the work
AT_ONCE = 400  # ids in one query: SQLite takes 32,766 at most, and plans short lists better


class View(Protocol):
    """What shows the events."""

    def show(self, jobs: Sequence[Job], events: Sequence[Event], /) -> None: ...
    def tell(self, sentence: str) -> None: ...
    def close(self) -> None: ...


class Lines:
    """One line an event, for pipes and logs."""

    def show(self, _jobs: Sequence[Job], events: Sequence[Event]) -> None:
        for event in events:
            say(line(event))

    def tell(self, sentence: str) -> None:
        warn(sentence)

    def close(self) -> None:
        pass


class JsonLines(Lines):
    """One JSON object an event."""

    def show(self, _jobs: Sequence[Job], events: Sequence[Event]) -> None:
        for event in events:
            json_line(event_shape(event))


class Quiet(Lines):
    """Nothing until the end."""

    def show(self, _jobs: Sequence[Job], _events: Sequence[Event]) -> None:
        pass


def follow(database: Database, ids: Sequence[str], *, json: bool = False, quiet: bool = False, timeout_s: float | None = None) -> int:
    """Show the jobs' events until all have ended; 0 when all are done, 1 when not, 5 when the time was over before."""
    view = Quiet() if quiet else JsonLines() if json else _bars() if sys.stdout.isatty() else Lines()
    try:
        open_ids = watch(database, ids, view, timeout_s=timeout_s)
    except KeyboardInterrupt:
        view.close()
        warn(f"no longer watching; the jobs go on, follow them again with: vzq job watch {' '.join(short(job_id) for job_id in ids[:4])}")
        raise
    finally:
        view.close()
    jobs = [job for part in _jobs(database, ids) for job in part]
    if quiet and json:
        as_json([job_shape(job) for job in jobs])
    elif not json:
        for job in jobs[:50]:
            say(ending(job))
        tally(jobs)
    if open_ids:
        warn(f"{len(open_ids)} of {len(ids)} have not ended after {timeout_s:.0f} s; they go on")
        return 5
    return 0 if all(job.state == State.DONE for job in jobs) else 1


def see_through(database: Database, job_id: str, *, quiet: bool, timeout_s: float | None = None) -> Job:
    """The job as it ended, or as it stands when the time is over, after its events were shown."""
    view = Quiet() if quiet else _bars() if sys.stdout.isatty() else Lines()
    try:
        watch(database, [job_id], view, timeout_s=timeout_s)
    finally:
        view.close()
    return next(iter(_jobs(database, [job_id])))[0]


def watch(database: Database, ids: Sequence[str], view: View, *, timeout_s: float | None, pause: Callable[[float], None] = time.sleep) -> list[str]:
    """Feed `view` until the jobs have ended or are stuck, where only a person gets them out; the ids still open at the time-out."""
    open_ids, seen, said = list(dict.fromkeys(ids)), dict.fromkeys(ids, 0), set[str]()
    begun, listened = time.monotonic(), 0.0
    while True:
        with database.read() as session:
            jobs = [job for part in _look(session, open_ids) for job in part]
            events = _news(session, open_ids, seen)
            waiting = [job for job in jobs if job.state != State.STUCK and not job.ended]
            if waiting and time.monotonic() - listened > SILENCE_S:
                listened = time.monotonic()
                sentences = [sentence for sentence in silence(session, waiting, now=database.now(session)) if sentence not in said]
                said.update(sentences)
            else:
                sentences = []
        view.show(jobs, events)
        for sentence in sentences:
            view.tell(sentence)
        open_ids = [job.id for job in waiting]
        if not open_ids or (timeout_s is not None and time.monotonic() - begun >= timeout_s):
            return open_ids
        pause(LOOK_S)


def line(event: Event) -> str:
    """An event on one line."""
    what = event.why or str(event.data.get("step", ""))
    return f"{clock_time(event.at)} {short(event.job_id)} {event.state:<10} {event.cause:<10} {what}".rstrip()


def ending(job: Job) -> str:
    """How a job stands, on one line, with what to do when it is not well."""
    node = job.to_node if job.to_node and job.state == State.DONE else job.node
    where = " ".join(part for part in (f"container {job.ctid}" if job.ctid else "", f"on {node}" if node else "") if part)
    text = f"{short(job.id)} {job.state}" + (f": {where}" if where else "")
    if job.state == State.DONE or not (job.ended or job.state == State.STUCK):
        return text
    if job.state == State.CANCELLED and not job.error:
        return text
    advice = f"decide with `vzq job resolve {short(job.id)} …`" if job.state == State.STUCK else f"see `vzq job show {short(job.id)}`"
    return f"{text}: {job.error or 'no error was recorded'}; {advice}"


def tally(jobs: Sequence[Job]) -> None:
    """How many ended how, when there is more than one."""
    if len(jobs) < 2:
        return
    counts = {state: sum(job.state == state for job in jobs) for state in State}
    say(", ".join(f"{count} {state}" for state, count in counts.items() if count))


def _bars() -> View:
    from producers.cli.bars import Bars  # noqa: PLC0415 - only for terminals

    return Bars()


def _jobs(database: Database, ids: Sequence[str]) -> Iterator[Sequence[Job]]:
    with database.read() as session:
        yield from _look(session, list(dict.fromkeys(ids)))


def _look(session: Session, ids: Sequence[str]) -> Iterator[Sequence[Job]]:
    for part in _parts(ids):
        yield session.exec(select(Job).where(col(Job.id).in_(part)).order_by(Job.id)).all()


def _news(session: Session, ids: Sequence[str], seen: dict[str, int]) -> list[Event]:
    """Events not shown yet. A job's own events commit in order, so its highest number is a safe mark (the house's is not)."""
    news: list[Event] = []
    for part in _parts(ids):
        newest = session.execute(select(Event.job_id, func.max(Event.id)).where(col(Event.job_id).in_(part)).group_by(Event.job_id))
        fresh = [job_id for job_id, number in newest if number > seen[job_id]]
        if fresh:
            mark = min(seen[job_id] for job_id in fresh)
            rows = session.exec(select(Event).where(col(Event.job_id).in_(fresh), col(Event.id) > mark).order_by(col(Event.id))).all()
            news += [event for event in rows if (event.id or 0) > seen[event.job_id]]
    for event in news:
        seen[event.job_id] = max(seen[event.job_id], event.id or 0)
    return sorted(news, key=lambda event: event.id or 0)


def _parts(ids: Sequence[str]) -> Iterator[list[str]]:
    walk = iter(ids)
    while part := list(islice(walk, AT_ONCE)):
        yield part
