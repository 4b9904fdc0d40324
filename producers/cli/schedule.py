"""`vzq schedule`: roll-outs that begin by the clock."""

from collections.abc import Mapping
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from producers.campaigns import schedules
from producers.cli.doors import Who
from producers.cli.options import Because, By, Json, asker, word
from producers.cli.rollout import File
from producers.cli.rollout_flags import specified, with_flags
from producers.cli.rows import moment
from producers.cli.schedule_doors import Shape, schedules_known
from producers.cli.screen import as_json, facts, say, table
from producers.refusals import BadOrder

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
    with schedules_known() as all_of_them:
        made = all_of_them.add(wish, Who(asker(by), because))
    as_json(made) if json else _show(made)


@app.command("list")
def list_(json: Json = False) -> None:
    """All schedules with their next times."""
    with schedules_known() as known:
        found = known.all()
    if json:
        as_json(found)
        return
    rows = [(one["name"], one["cron"], "paused" if one["paused"] else _next(one) or "never", one["last_result"]) for one in found]
    table(("name", "cron", "next", "last"), rows, empty="no schedules; add one with `vzq schedule add`")


@app.command()
def show(schedule: Name, json: Json = False) -> None:
    """One schedule, and when it is due."""
    with schedules_known() as known:
        found = known.find(word(schedule, "NAME"))
    as_json(found) if json else _show(found)


@app.command()
def pause(schedule: Name, by: By = "", because: Because = "", json: Json = False) -> None:
    """Let it start nothing until it is resumed; what it has started goes on."""
    _pause(schedule, Who(asker(by), because), json=json, paused=True)


@app.command()
def resume(schedule: Name, by: By = "", because: Because = "", json: Json = False) -> None:
    """Let it go on, from its next time after now."""
    _pause(schedule, Who(asker(by), because), json=json, paused=False)


@app.command()
def remove(schedule: Name, by: By = "", because: Because = "", json: Json = False) -> None:
    """Take it away; what it has started goes on."""
    with schedules_known() as known:
        known.remove(word(schedule, "NAME"), Who(asker(by), because))
    as_json({"removed": schedule}) if json else say(f"{schedule}: removed")


def _pause(name: str, who: Who, *, json: bool, paused: bool) -> None:
    with schedules_known() as known:
        found = known.pause(word(name, "NAME"), who, paused=paused)
    following = f"next at {_next(found)}" if found["next_runs"] else "no time of it is within its window any more"
    as_json(found) if json else say(f"{name}: {'paused' if paused else following}")


def _next(found: Shape) -> str:
    return _by_its_clock(found, found["next_runs"][0]) if found["next_runs"] else ""


def _by_its_clock(found: Shape, at: str) -> str:
    return f"{moment(at).astimezone(ZoneInfo(found['timezone'])):%a %Y-%m-%d %H:%M} {found['timezone']}"


def _show(found: Shape) -> None:
    facts([
        ("schedule", found["name"]),
        ("cron", f"{found['cron']} ({found['timezone']})"),
        ("within", ", ".join(found["windows"])),
        ("overlap", found["overlap"]),
        ("missed", found["missed"]),
        ("paused", "yes" if found["paused"] else ""),
        ("roll-out", found["spec"].get("name", "")),
        ("asked by", found["by"]),
        ("because", found["because"]),
        ("last", found["last_result"]),
        ("next runs", "; ".join(_by_its_clock(found, at) for at in found["next_runs"])),
    ])  # fmt: skip
