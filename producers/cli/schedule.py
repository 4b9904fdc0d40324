"""`vzq schedule`: roll-outs that begin by the clock."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from sqlmodel import select

from models.campaigns import CampaignKind
from models.schedules import Schedule
from producers.campaigns import schedules
from producers.cli import door
from producers.cli.options import Because, By, Json, asker, word
from producers.cli.rollout import File
from producers.cli.rollout_flags import specified, with_flags
from producers.cli.screen import as_json, clock_time, facts, say, table
from producers.refusals import BadOrder
from producers.rollouts.shapes import schedule_shape

app = typer.Typer(no_args_is_help=True, help="Roll-outs that begin by the clock.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.")]
PANEL = "When it begins"
Overlap = Annotated[str, typer.Option("--overlap", help="While the one before has not ended: skip, queue or allow.", rich_help_panel=PANEL)]
Missed = Annotated[str, typer.Option("--missed", help="Times that passed while no service was alive: skip, or once.", rich_help_panel=PANEL)]
OVERLAP, MISSED = ("skip", "queue", "allow"), ("skip", "once")


@app.command("add")
@with_flags
def add(
    given: Mapping[str, Any],
    schedule: Name,
    cron: Annotated[str, typer.Option("--cron", help="Five fields, e.g. '0 3 * * sun', or @daily.", rich_help_panel=PANEL)],
    file: File = None,
    cron_timezone: Annotated[str, typer.Option("--cron-timezone", help="Whose clocks it goes by.", rich_help_panel=PANEL)] = "UTC",
    within: Annotated[
        list[str] | None, typer.Option("--within", help="Leave out times outside this window, e.g. 'sat,sun 01:00-05:00'.", rich_help_panel=PANEL)
    ] = None,
    overlap: Overlap = "skip",
    missed: Missed = "skip",
    by: By = "",
    because: Because = "",
    json: Json = False,
) -> None:
    """Begin a roll-out again and again."""
    for option, value, known in (("--overlap", overlap, OVERLAP), ("--missed", missed, MISSED)):
        if value not in known:
            raise BadOrder({option: f"{value!r} is none of {', '.join(known)}"})
    spec = specified(file, given)
    wish = schedules.Wish(word(schedule, "NAME"), spec, cron, cron_timezone, tuple(within or ()), overlap, missed)
    with door.database() as database, database.write() as session:
        made = schedules.add(database, session, wish, by=asker(by), because=because)
        shape = schedule_shape(made, database.now(session))
    as_json(shape) if json else _show(made, shape)


@app.command("list")
def list_(json: Json = False) -> None:
    """All schedules with their next times."""
    with door.database() as database, database.read() as session:
        now = database.now(session)
        rows = session.exec(select(Schedule).where(Schedule.kind == CampaignKind.ROLLOUT).order_by(Schedule.name)).all()
        shapes = [schedule_shape(row, now) for row in rows]
    if json:
        as_json(shapes)
        return
    listed = [(row.name, row.cron, row.timezone, "paused" if row.paused else clock_time(row.next_at), row.last_result) for row in rows]
    table(("name", "cron", "timezone", "next", "last"), listed, empty="no schedules; add one with `vzq schedule add`")


@app.command()
def show(schedule: Name, json: Json = False) -> None:
    """One schedule, and when it is due."""
    with door.database() as database, database.read() as session:
        found = schedules.find(session, schedule)
        shape = schedule_shape(found, database.now(session))
    as_json(shape) if json else _show(found, shape)


@app.command()
def pause(schedule: Name, by: By = "", because: Because = "", json: Json = False) -> None:
    """Let it start nothing until it is resumed; what it has started goes on."""
    _pause(schedule, by=by, because=because, json=json, paused=True)


@app.command()
def resume(schedule: Name, by: By = "", because: Because = "", json: Json = False) -> None:
    """Let it go on, from its next time after now."""
    _pause(schedule, by=by, because=because, json=json, paused=False)


@app.command()
def remove(schedule: Name, by: By = "", because: Because = "") -> None:
    """Take it away; what it has started goes on."""
    with door.database() as database, database.write() as session:
        schedules.remove(database, session, schedule, by=asker(by), because=because)
    say(f"{schedule}: removed")


def _pause(name: str, *, by: str, because: str, json: bool, paused: bool) -> None:
    with door.database() as database, database.write() as session:
        schedule = schedules.pause(database, session, name, by=asker(by), because=because, paused=paused)
        shape = schedule_shape(schedule, database.now(session))
    as_json(shape) if json else say(f"{name}: {'paused' if paused else f'next at {clock_time(schedule.next_at)}'}")


def _show(schedule: Schedule, shape: dict[str, Any]) -> None:
    facts([
        ("schedule", schedule.name),
        ("cron", f"{schedule.cron} ({schedule.timezone})"),
        ("within", ", ".join(schedule.windows)),
        ("overlap", schedule.overlap),
        ("missed", schedule.missed),
        ("paused", "yes" if schedule.paused else ""),
        ("roll-out", schedule.spec.get("name", "")),
        ("asked by", schedule.created_by),
        ("because", schedule.because),
        ("last", schedule.last_result),
        ("next runs", ", ".join(shape["next_runs"])),
    ])  # fmt: skip
