"""`vzq container start|stop|resize|… CTID…`: one command a verb, made from the orders themselves and one table of options."""

import sys
from collections.abc import Callable, Sequence
from inspect import Parameter, Signature
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from models.orders import VERB_ORDERS, Order, UpdateContainer
from producers.cli import door
from producers.cli.door import elsewhere
from producers.cli.options import Because, By, Json, Timeout, Wait, asker, ordered
from producers.cli.screen import as_json, say
from producers.refusals import BadOrder

Ids = Annotated[list[int], typer.Argument(metavar="CTID…", help="Ids of the containers.", min=101)]
Key = Annotated[
    str, typer.Option(help="Your own name for the order of one container: the same key and order again is the same job.", show_default=False)
]

# What an order asks for → the option's name, type, default and help. A field that is not here is an option of its own name and description.
OPTIONS: dict[str, tuple[str, Any, Any, str]] = {
    "fast": ("--fast", bool, False, "Kill it instead of letting it shut down."),
    "fresh_keys": ("--fresh-keys", bool, False, "Go on where ssh keys cannot be kept, i.e. on ploop: the new system makes its own."),
    "generate_password": ("--generate-password", bool, False, "Make one up; `vzq job password` shows it once."),
    "nameservers": ("--nameserver", list[str], ..., "Resolver, up to four times."),
    "password": ("--password-stdin", bool, False, "Read the root password from standard input, one line."),
    "grace_hours": ("--grace-hours", float, None, "How long it can be revived; 168 if left out, 0: purged at once."),
}
COMMON: dict[str, tuple[Any, Any]] = {"key": (Key, ""), "by": (By, ""), "because": (Because, ""), "wait": (Wait, False)}
COMMON |= {"timeout": (Timeout, None), "json": (Json, False)}
NOT_OPTIONS = {"kind", "site", "ctid"}  # which verb it is, and where the container is, which is known


def add_verbs(app: typer.Typer) -> None:
    """Give `app` a command for every order about a container that exists."""
    for order in VERB_ORDERS:
        if order is UpdateContainer:
            continue  # an update has more to say than options hold: `vzq rollout`
        name = str(order.model_fields["kind"].default).removesuffix("-container")
        app.command(name)(_command(order))


def place(asked: Sequence[Order], *, key: str, by: str, because: str, wait: bool, json: bool, timeout: float | None = None) -> None:
    """Place the orders, all or none, and print their jobs; with `wait` follow them and leave with their exit code, at the latest after `timeout`."""
    if elsewhere():
        from producers.cli import remote_screens  # noqa: PLC0415 - needs httpx

        remote_screens.place(asked, key=key, because=because, wait=wait, json=json, timeout=timeout)
        return
    with door.house() as house:
        with house.database.write() as session:
            taken = [house.intake.submit(session, order, by=asker(by), because=because, key=key) for order in asked]
        house.bell.wake()
        if wait:
            from producers.cli.follow import follow  # noqa: PLC0415 - only who waits needs it

            raise typer.Exit(follow(house.database, [accepted.job.id for accepted in taken], json=json, timeout_s=timeout))
        if json:
            as_json([{"ctid": accepted.job.ctid, "job": accepted.job.id, "replay": accepted.replay} for accepted in taken])
            return
        for accepted in taken:
            say(accepted.job.id)


def _command(kind: type[BaseModel]) -> Callable[..., None]:
    def command(containers: list[int], *, key: str, by: str, because: str, wait: bool, timeout: float | None, json: bool, **given: Any) -> None:  # noqa: ANN401 - as the order has it
        if key and len(containers) > 1:
            raise BadOrder({"--key": "names one order; give one container, or an order file with a key a line"})
        if given.pop("password", False):
            given["password"] = sys.stdin.readline().rstrip("\r\n") or "-"  # an empty line is a bad password, not none
        asked = [ordered(kind, {"ctid": ctid, **given}) for ctid in dict.fromkeys(containers)]
        place(asked, key=key, by=by, because=because, wait=wait, json=json, timeout=timeout)  # type: ignore[arg-type]

    options = {field: _option(field, kind) for field in kind.model_fields if field not in NOT_OPTIONS}
    parameters = [Parameter("containers", Parameter.POSITIONAL_OR_KEYWORD, annotation=Ids)]
    parameters += [
        Parameter(field, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
        for field, (annotation, default) in (options | COMMON).items()
    ]
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__doc__ = kind.__doc__
    return command


def _option(field: str, kind: type[BaseModel]) -> tuple[Any, Any]:
    about = kind.model_fields[field]
    usual = ("--" + field.replace("_", "-"), str | None, ... if about.is_required() else None, about.description or "")
    name, of, default, text = OPTIONS.get(field, usual)
    of = str if default is ... and of == str | None else of
    return Annotated[of, typer.Option(name, help=text or f"The new {field}.")], Parameter.empty if default is ... else default
