"""The sheet of a roll-out on the screen: whom it would reach, when it would stop by itself, and when it would be through."""

from producers.cli.screen import clock_time, say, span, table, warn
from producers.rollouts.shapes import sheet_shape
from producers.rollouts.start import Sheet

SHOWN = 20  # targets that are listed


def targets_of(sheet: Sheet) -> None:
    """The first targets, with what keeps any of them from being updated."""
    rows = [(one.place, one.wave, one.ctid, one.title, one.node, sheet.unready.get(one.place, "")) for one in sheet.targets[:SHOWN]]
    table(("place", "wave", "ctid", "name", "node", "as things stand"), rows, empty="", right=("place", "wave", "ctid"))
    if len(sheet.targets) > SHOWN:
        say(f"… and {len(sheet.targets) - SHOWN} more (all of them with --json)")
    if sheet.unready:
        say(f"{len(sheet.unready)} of them cannot be updated as things stand")


def rules(sheet: Sheet) -> None:
    """The rule sheet: population, waves, when it ends by itself, and when it would be through."""
    shape = sheet_shape(sheet)
    waves = ", ".join(str(size) for size in shape["waves"])
    at_once = f"{sheet.spec.at_once.all} at once, {sheet.spec.at_once.per_node} per node"
    say(f"{shape['population']} containers in waves of {waves}; at most {at_once}, and never more than could use up the budget")
    stops = ", ".join(str(stop) for stop in sheet.stops if stop.failures is not None)
    then = "pauses" if sheet.spec.budget.then == "pause" else "stops"
    say(f"{then} at {stops}; {', '.join(sheet.spec.budget.counts)} count" if stops else "however many fail, it goes to its end")
    for warning in sheet.warnings:
        warn(warning)
    say(f"{_lengths(sheet)}, and if none fails it {_end(sheet)}")


def _lengths(sheet: Sheet) -> str:
    if not sheet.lengths_of:
        return f"nothing like it was done before; let each take {span(sheet.each)}"
    slow = f", one in ten more than {span(sheet.slow)}" if sheet.slow > sheet.each * 1.2 else ""
    return f"each takes {span(sheet.each)}{slow}, as {sheet.lengths_of} did"


def _end(sheet: Sheet) -> str:
    return f"ends about {clock_time(sheet.forecast.ends_at)}" if sheet.forecast.ends_at else f"would not end: {sheet.forecast.why}"
