"""`vzq pool`: the addresses that containers get."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import func
from sqlmodel import select

from models.fleet import Address, Pool
from models.whitelist import Address as AddressText
from producers.cli import door
from producers.cli.options import Json, Site, word
from producers.cli.screen import as_json, say, table
from producers.refusals import BadOrder
from producers.shapes import pool_shape

app = typer.Typer(no_args_is_help=True, help="The addresses that containers get.")
LARGEST = 1 << 20  # IPv4 addresses in a pool: finding a free one in a full pool walks it
MOST_NAMESERVERS = 4  # as in an order
_ADDRESS: TypeAdapter[str] = TypeAdapter(AddressText)


@dataclass(frozen=True)
class Range:
    """The addresses that are given out, both ends included."""

    cidr: str
    first: IPv4Address | IPv6Address
    last: IPv4Address | IPv6Address

    @property
    def size(self) -> int:
        """How many there are."""
        return int(self.last) - int(self.first) + 1

    def meets(self, other: "Range") -> bool:
        """The two have an address in common."""
        return self.first.version == other.first.version and int(self.first) <= int(other.last) and int(other.first) <= int(self.last)


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The pool's name.")],
    cidr: Annotated[str, typer.Argument(metavar="CIDR", help="The network, e.g. 192.0.2.0/24.")],
    *,
    first: Annotated[str, typer.Option(help="First address given out; the network's first host if left out.", show_default=False)] = "",
    last: Annotated[str, typer.Option(help="Last address given out; the network's last host if left out.", show_default=False)] = "",
    site: Site = "",
    probe: Annotated[str, typer.Option(help="How a container on it is asked whether it answers: icmp, or tcp:PORT.")] = "icmp",
    nameserver: Annotated[list[str] | None, typer.Option(help="Resolver of its containers, up to four times.")] = None,
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
        nameservers=resolvers(nameserver or []),
    )
    shape = pool_shape(pool, used=0, size=span.size)
    with door.database() as database, database.write() as session:
        database.lock(session, "pools")
        pools = session.exec(select(Pool)).all()
        known = next((other for other in pools if other.name == name), None)
        if known is not None and pool_shape(known, used=0, size=span.size) != shape:
            raise BadOrder({"NAME": f"there is a pool {name!r} with another range, site, probe or resolvers; take another name"})
        if known is None:
            refuse_overlap(span, pools)
            session.add(pool)
    as_json(shape) if json else say(f"pool {name}: {span.first} to {span.last}, {span.size} addresses, site {shape['site']}, probe {shape['probe']}")


@app.command("list")
def list_(json: Json = False) -> None:
    """All pools, with how many of their addresses are in use."""
    with door.database() as database, database.read() as session:
        pools = session.exec(select(Pool).order_by(Pool.site, Pool.name)).all()
        used: dict[str, int] = dict(session.execute(select(Address.pool, func.count()).group_by(Address.pool)).all())
    shapes = [pool_shape(pool, used=used.get(pool.name, 0), size=_range(pool).size) for pool in pools]
    if json:
        as_json(shapes)
        return
    rows = [
        (shape["name"], shape["site"], f"{shape['first']} - {shape['last']}", f"{shape['used']}/{shape['size']}", shape["probe"]) for shape in shapes
    ]
    table(("pool", "site", "addresses", "used", "probe"), rows, empty="no pools; add one with `vzq pool add public 192.0.2.0/24`", right=("used",))


def given_out(cidr: str, first: str = "", last: str = "") -> Range:
    """The range of a new pool; raises BadOrder for what cannot be one."""
    try:
        network = ip_network(cidr)
    except ValueError as error:
        hint = f"; did you mean {ip_network(cidr, strict=False)}?" if "host bits" in str(error) else "; write e.g. 192.0.2.0/24"
        raise BadOrder({"CIDR": f"{error}{hint}"}) from None
    if network.is_multicast or network.network_address.is_unspecified:
        raise BadOrder({"CIDR": f"{network} has no addresses that a host can have"})
    if network.version == 4 and network.num_addresses > LARGEST:
        raise BadOrder({"CIDR": f"{network} has {network.num_addresses} addresses, a pool has at most {LARGEST}; split it"})
    whole = network.num_addresses <= 2  # point to point and single addresses have no network and broadcast address
    low = network.network_address if whole else network.network_address + 1
    high = network.broadcast_address if whole or network.version == 6 else network.broadcast_address - 1
    problems: dict[str, str] = {}
    ends = []
    for option, text, otherwise in (("--first", first, low), ("--last", last, high)):
        try:
            end = ip_address(text) if text else otherwise
        except ValueError as error:
            problems[option] = str(error)
            continue
        if end not in network:
            problems[option] = f"{end} is not in {network}"
        elif not int(low) <= int(end) <= int(high):
            problems[option] = f"{end} is the network's own or its broadcast address"
        ends.append(end)
    if not problems and int(ends[0]) > int(ends[1]):
        problems["--first"] = f"{ends[0]} comes after --last {ends[1]}"
    if problems:
        raise BadOrder(problems)
    return Range(str(network), ends[0], ends[1])


def refuse_overlap(span: Range, pools: Iterable[Pool]) -> None:
    """Raises BadOrder when an address would be given out by two pools."""
    for pool in pools:
        if span.meets(_range(pool)):
            raise BadOrder({"CIDR": f"{span.first} to {span.last} meets pool {pool.name!r} of site {pool.site} ({pool.first} to {pool.last})"})


def checked_probe(text: str) -> str:
    """`icmp` or `tcp:PORT`; raises BadOrder."""
    how, _, port = text.partition(":")
    if text == "icmp" or (
        how == "tcp" and port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535 and str(int(port)) == port
    ):
        return text
    raise BadOrder({"--probe": f"{text!r} is neither icmp nor tcp:PORT with a port from 1 to 65535"})


def resolvers(given: list[str]) -> list[str]:
    """The resolvers' addresses; raises BadOrder."""
    if len(given) > MOST_NAMESERVERS:
        raise BadOrder({"--nameserver": f"{len(given)} are too many; at most {MOST_NAMESERVERS}"})
    try:
        return [_ADDRESS.validate_python(address) for address in given]
    except ValidationError as error:
        raise BadOrder({"--nameserver": error.errors(include_input=False)[0]["msg"].removeprefix("Value error, ")}) from None


def _range(pool: Pool) -> Range:
    return Range(pool.cidr, ip_address(pool.first), ip_address(pool.last))
