"""An empty word is a variable of a script that was not set: no command takes it for an option that was left out, which may mean all there is."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import typer

from producers.refusals import BadOrder

WHAT = "is empty; leave it out if you mean that"
TAKEN = "''"  # in the help of an option to which an empty word says something


def refuse_empty(command: Any) -> None:  # noqa: ANN401 - typer keeps the type of its commands private
    """Let this command, or all below this group, raise BadOrder for each empty word they are given."""
    below = getattr(command, "commands", None)
    for one in (below or {}).values():
        refuse_empty(one)
    if below is None:
        command.invoke = partial(_invoke, command.invoke)


def folder(text: str) -> Path:
    """A folder as it was named; `Path("")` would be wherever one happens to be."""
    if not text.strip():
        raise typer.BadParameter(WHAT)
    return Path(text)


def _invoke(inner: Callable[[Any], Any], ctx: Any) -> Any:  # noqa: ANN401 - as above
    for param in ctx.command.params:
        given = ctx.params.get(param.name)
        if not isinstance(given, str) or given.strip() or ctx.get_parameter_source(param.name).name != "COMMANDLINE":
            continue
        if param.name != "because" and TAKEN not in (getattr(param, "help", None) or ""):  # no reason at all is as good
            what = param.opts[0] if param.param_type_name == "option" else (param.metavar or param.name.upper()).strip("[]")
            raise BadOrder({what: WHAT})
    return inner(ctx)
