"""`vzq doctor`: examines this installation and says of each part how it stands and what to do."""

import os

import typer

from producers.cli import door
from producers.cli.options import Json
from producers.cli.screen import as_json, clean, say
from producers.doctor.check import Check, Verdict

COLOUR = {
    Verdict.OK: typer.colors.GREEN,
    Verdict.LOOK: typer.colors.YELLOW,
    Verdict.FAULT: typer.colors.RED,
    Verdict.UNKNOWN: typer.colors.BRIGHT_BLACK,
}


def doctor(json: Json = False) -> None:
    """Examine this installation: files, servers, what runs, what waits. Exit 0 when nothing is broken, 1 when something is. Mends nothing."""
    door.insist_here()
    from producers.api.settings import ApiSettings  # noqa: PLC0415 - only here
    from producers.doctor import Installation, examine  # noqa: PLC0415
    from producers.embedded.bring_up import Wanted  # noqa: PLC0415 - knows where things are served unless told otherwise

    api = ApiSettings()
    ports = {
        "VZQ_API": api.api,
        "VZQ_SERVICE_METRICS": os.environ.get("VZQ_SERVICE_METRICS") or Wanted.service_metrics,
        "VZQ_WORKER_METRICS": os.environ.get("VZQ_WORKER_METRICS") or Wanted.worker_metrics,
    }
    checks = []
    for check in examine(Installation(door.settings(), api, ports)):
        checks.append(check)
        if not json:
            _line(check)
    broken = sum(check.bad for check in checks)
    if json:
        as_json({"healthy": not broken, "checks": [check.shape for check in checks]})
    else:
        say(f"{broken} of {len(checks)} checks found something broken" if broken else f"nothing is broken ({len(checks)} checks)")
    raise typer.Exit(1 if broken else 0)


def _line(check: Check) -> None:
    """One line a check; typer leaves the colour out where no terminal is."""
    verdict = typer.style(f"{check.verdict:<8}", fg=COLOUR[check.verdict], bold=check.bad)
    typer.echo(f"{verdict}{check.name:<14}{clean(check.what)}{f' → {clean(check.do)}' if check.do else ''}")
