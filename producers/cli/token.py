"""`vzq token`: who may use the HTTP API."""

import re
from datetime import datetime, timedelta
from typing import Annotated

import typer
from sqlmodel import select

from models.access import Scope, Token
from producers import tokens
from producers.cli import door
from producers.cli.options import Because, By, Json, asker, word
from producers.cli.screen import as_json, clock_time, say, table, warn
from producers.refusals import BadOrder
from producers.shapes import token_shape

app = typer.Typer(no_args_is_help=True, help="Who may use the HTTP API.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The token's name; order keys belong to it.")]
Expires = Annotated[str, typer.Option("--expires", metavar="TIME", help="How long it is valid: 90d, 12h; for ever if left out.", show_default=False)]
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


@app.command()
def create(
    name: Name,
    *,
    scope: Annotated[
        str, typer.Option(help=f"What it allows: {', '.join(tokens.ORDER)}, each with those before it; {Scope.ALERT}: Alertmanager's webhook alone.")
    ],
    customer: Annotated[str, typer.Option(help="Sees and orders only this customer's containers.", show_default=False)] = "",
    expires: Expires = "",
    by: By = "",
    because: Because = "",
    json: Json = False,
) -> None:
    """Make a token and print it; it cannot be shown again."""
    if scope not in set(Scope):
        raise BadOrder({"--scope": f"there is no scope {scope!r}; known: {', '.join(Scope)}"})
    bound = word(customer, "--customer") if customer else None
    with door.database() as database, database.write() as session:
        now = database.now(session)
        token, secret = tokens.create(
            session,
            name=word(name, "NAME"),
            scope=Scope(scope),
            customer=bound,
            expires_at=_end(expires, now),
            now=now,
            by=asker(by),
            because=because,
        )
    _show(token, secret, json=json)


@app.command()
def renew(name: Name, expires: Expires = "", by: By = "", because: Because = "", json: Json = False) -> None:
    """Another secret for the same name; the old one is worth nothing from now on, the order keys stay known."""
    with door.database() as database, database.write() as session:
        now = database.now(session)
        token, secret = tokens.renew(session, name, expires_at=_end(expires, now), now=now, by=asker(by), because=because)
    _show(token, secret, json=json)


@app.command("list")
def list_(json: Json = False) -> None:
    """All tokens, without their secrets."""
    with door.database() as database, database.read() as session:
        found = session.exec(select(Token).order_by(Token.name)).all()
        now = database.now(session)
    if json:
        as_json([token_shape(token) for token in found])
        return
    rows = [
        (token.name, token.scope, token.customer or "", _standing(token, now), clock_time(token.used_at) or "never", token.created_by)
        for token in found
    ]
    table(("token", "scope", "customer", "state", "used", "made by"), rows, empty="no tokens; make one with `vzq token create NAME --scope order`")


@app.command()
def revoke(name: Name, by: By = "", because: Because = "", json: Json = False) -> None:
    """From now on it opens nothing."""
    with door.database() as database, database.write() as session:
        token = tokens.revoke(session, name, now=database.now(session), by=asker(by), because=because)
    as_json(token_shape(token)) if json else say(f"token {name} is revoked")


def _show(token: Token, secret: str, *, json: bool) -> None:
    if json:
        as_json(token_shape(token) | {"secret": secret})
        return
    say(secret)
    warn(f"token {token.name}, scope {token.scope}: keep it now, it cannot be shown again")


def _end(expires: str, now: datetime) -> datetime | None:
    if not expires:
        return None
    found = re.fullmatch(r"([0-9]{1,5})([mhd])", expires)
    if found is None or int(found[1]) == 0:
        raise BadOrder({"--expires": f"{expires!r} is not a time; write e.g. 90d, 12h or 30m"})
    return now + int(found[1]) * UNITS[found[2]]


def _standing(token: Token, now: datetime) -> str:
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is None:
        return "valid"
    return "expired" if token.expires_at <= now else f"valid until {clock_time(token.expires_at)}"
