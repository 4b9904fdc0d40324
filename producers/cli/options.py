"""Options that many commands share, and what stands for them when they are left out."""

import getpass
import os
from collections.abc import Mapping
from typing import Annotated, TypeVar

import typer
from pydantic import BaseModel, TypeAdapter, ValidationError

from models.whitelist import Word
from producers.refusals import BadOrder

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
By = Annotated[str, typer.Option("--by", envvar="VZQ_BY", help="Who asks; the login name if left out.", show_default=False)]
Because = Annotated[str, typer.Option("--because", help="Why, in your own words; kept with the job.", show_default=False)]
Wait = Annotated[bool, typer.Option("--wait", help="Follow to the end; exit 0 when it is done, 1 when not.")]
Timeout = Annotated[float | None, typer.Option("--timeout", min=0, help="Stop waiting after so many seconds, with exit code 5.", show_default=False)]
Site = Annotated[str, typer.Option("--site", help="Site; the installation's own (VZQ_SITE) if left out.", show_default=False)]

O = TypeVar("O", bound=BaseModel)  # noqa: E741 - an order


def asker(by: str) -> str:
    """Who asks: as given, else the login name."""
    if by:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.geteuid()}"


def ordered(kind: type[O], given: Mapping[str, object], names: Mapping[str, str] | None = None) -> O:
    """The order with what was given, options left out left out; raises BadOrder naming each option that is wrong, as `names` has it."""
    try:
        return kind.model_validate(
            {field: value for field, value in given.items() if value is not None and value is not False and value not in ("", [], (), {})}
        )
    except ValidationError as error:
        problems: dict[str, str] = {}
        for problem in error.errors(include_url=False, include_input=False):
            field = str(problem["loc"][0]) if problem["loc"] else kind.__name__
            option = (names or {}).get(field, "--" + field.replace("_", "-") if problem["loc"] else field)
            problems.setdefault(option, problem["msg"].removeprefix("Value error, "))
        raise BadOrder(problems) from None


def labels(given: list[str] | None, option: str) -> dict[str, str]:
    """NAME=VALUE pairs; raises BadOrder. That both are plain words is seen to by the order itself."""
    pairs = [text.partition("=") for text in given or []]
    wrong = [name for name, equals, _ in pairs if not equals]
    if wrong or len({name for name, _, _ in pairs}) < len(pairs):
        raise BadOrder({option: f"{wrong[0]!r} is not NAME=VALUE" if wrong else "one name stands twice"})
    return {name: value for name, _, value in pairs}


def word(text: str, what: str) -> str:
    """A plain name; raises BadOrder."""
    try:
        return _WORD.validate_python(text)
    except ValidationError as error:
        raise BadOrder({what: error.errors(include_input=False)[0]["msg"].removeprefix("Value error, ")}) from None


_WORD: TypeAdapter[str] = TypeAdapter(Word)
