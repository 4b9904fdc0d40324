"""`vzq pool`: the addresses that containers get."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from sqlalchemy import func
from sqlmodel import select

from models.fleet import Address, Pool
from producers import ranges
from producers.audit import audit
from producers.cli import door
from producers.cli.options import Because, By, Json, Site, asker, word
from producers.cli.screen import as_json, say, table
from producers.ranges import Range, range_of
from producers.refusals import BadOrder
from producers.shapes import pool_shape

app = typer.Typer(no_args_is_help=True, help="The addresses that containers get.")
OPTIONS = {"cidr": "CIDR", "first": "--first", "last": "--last", "probe": "--probe", "nameservers": "--nameserver"}


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The pool's name.")],
    cidr: Annotated[str, typer.Argument(metavar="CIDR", help="The network, e.g. 192.0.2.0/24.")],
    *,
    first: Annotated[str, typer.Option(help="First address given out; the network's first host if left out.", show_default=False)] = "",
    last: Annotated[str, typer.Option(help="Last address given out; the network's last host if left out.", show_default=False)] = "",
    site: Site = "",
    probe: Annotated[str, typer.Option(help="How a container on it is asked whether it answers: icmp, tcp:PORT, or none: not asked.")] = "icmp",
    nameserver: Annotated[list[str] | None, typer.Option(help="Resolver of its containers, up to four times.")] = None,
    by: By = "",
    because: Because = "",
    json: Json = False,
) -> None:
    """Add a range of addresses. The same pool again changes nothing; a range that meets another pool's is refused."""
    span = given_out(cidr, first, last)
    pool = Pool(
        name=word(name, "NAME"),
        site=word(site or door.settings().site, "--site"),
        cidr=span.cidr,
        first=str(span.first),
        last=str(span.last),
        probe=checked_probe(probe),
        nameservers=_resolvers(nameserver or []),
    )
    shape = pool_shape(pool, used=0, size=span.size)
    with door.database() as database, database.write() as session:
        database.lock(session, "pools")
        pools = session.exec(select(Pool)).all()
        known = next((other for other in pools if other.name == name), None)
        if known is not None and pool_shape(known, used=0, size=span.size) != shape:
            raise BadOrder({"NAME": f"there is a pool {name!r} with another range, site, probe or resolvers; take another name"})
        if known is None:
            with _by_option():
                ranges.refuse_overlap(span, pools)
            session.add(pool)
            subject, data = f"pool:{pool.name}", {"now": pool.model_dump()}
            audit(session, at=database.now(session), by=asker(by), action="pool put", subject=subject, because=because, data=data)
    as_json(shape) if json else say(f"pool {name}: {span.first} to {span.last}, {span.size} addresses, site {shape['site']}, probe {shape['probe']}")


@app.command("list")
def list_(json: Json = False) -> None:
    """All pools, with how many of their addresses are in use."""
    with door.database() as database, database.read() as session:
        pools = session.exec(select(Pool).order_by(Pool.site, Pool.name)).all()
        used: dict[str, int] = dict(session.execute(select(Address.pool, func.count()).group_by(Address.pool)).all())
    shapes = [pool_shape(pool, used=used.get(pool.name, 0), size=range_of(pool).size) for pool in pools]
    if json:
        as_json(shapes)
        return
    rows = [
        (shape["name"], shape["site"], f"{shape['first']} - {shape['last']}", f"{shape['used']}/{shape['size']}", shape["probe"]) for shape in shapes
    ]
    table(("pool", "site", "addresses", "used", "probe"), rows, empty="no pools; add one with `vzq pool add public 192.0.2.0/24`", right=("used",))


def given_out(cidr: str, first: str = "", last: str = "") -> Range:
    """The range of a new pool; raises BadOrder for what cannot be one."""
    with _by_option():
        return ranges.given_out(cidr, first, last)


def _resolvers(given: list[str]) -> list[str]:
    with _by_option():
        return ranges.resolvers(given)


def checked_probe(text: str) -> str:
    """`icmp`, `tcp:PORT` or `none`; raises BadOrder."""
    with _by_option():
        return ranges.checked_probe(text)


@contextmanager
def _by_option() -> Iterator[None]:
    """A field is named by the option it came from."""
    try:
        yield
    except BadOrder as bad:
        raise BadOrder({OPTIONS.get(field, field): what for field, what in bad.problems.items()}) from None
