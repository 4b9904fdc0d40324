"""An empty word is a variable of a script that was not set: no command takes it for an option that was left out, which may mean all there is."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import typer

from producers.refusals import BadOrder

WHAT = "is empty; leave it out if you mean that"
TAKEN = "''"  # in the help of an option to which an empty word says something


def guard(command: Any) -> None:  # noqa: ANN401 - typer keeps the type of its commands private
    """Let this command, or all below this group, refuse what is empty before anything is done."""
    below = getattr(command, "commands", None)
    for one in (below or {}).values():
        guard(one)
    if below is None:
        command.invoke = partial(_invoke, command.invoke)


def refuse_empty(ctx: Any) -> None:  # noqa: ANN401 - as above
    """Raises BadOrder for an empty word among those that a command was called with."""
    for param in ctx.command.params:
        option, given = param.param_type_name == "option", ctx.params.get(param.name)
        several = option and isinstance(given, list | tuple)  # among its arguments a command for containers may have empty ones
        words = [given] if isinstance(given, str) else given if several else []
        if all(not isinstance(word, str) or word.strip() for word in words) or ctx.get_parameter_source(param.name).name != "COMMANDLINE":
            continue
        if param.name != "because" and TAKEN not in (getattr(param, "help", None) or ""):  # no reason at all is as good
            raise BadOrder({param.opts[0] if option else (param.metavar or param.name.upper()).strip("[]"): WHAT})


def folder(text: str) -> Path:
    """A folder as it was named; `Path("")` would be wherever one happens to be."""
    if not text.strip():
        raise typer.BadParameter(WHAT)
    return Path(text)


def _invoke(inner: Callable[[Any], Any], ctx: Any) -> Any:  # noqa: ANN401 - as above
    refuse_empty(ctx)
    return inner(ctx)
