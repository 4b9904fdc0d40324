"""Ranges of addresses: what can be a pool, and what meets another one. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from pydantic import TypeAdapter, ValidationError

from models.fleet import NOT_ASKED, Pool
from models.whitelist import Address as AddressText
from producers.refusals import BadOrder

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


def given_out(cidr: str, first: str = "", last: str = "") -> Range:
    """The range of a new pool; raises BadOrder for what cannot be one."""
    try:
        network = ip_network(cidr)
    except ValueError as error:
        hint = f"; did you mean {ip_network(cidr, strict=False)}?" if "host bits" in str(error) else "; write e.g. 192.0.2.0/24"
        raise BadOrder({"cidr": f"{error}{hint}"}) from None
    if network.is_multicast or network.network_address.is_unspecified:
        raise BadOrder({"cidr": f"{network} has no addresses that a host can have"})
    if network.version == 4 and network.num_addresses > LARGEST:
        raise BadOrder({"cidr": f"{network} has {network.num_addresses} addresses, a pool has at most {LARGEST}; split it"})
    whole = network.num_addresses <= 2  # point to point and single addresses have no network and broadcast address
    low = network.network_address if whole else network.network_address + 1
    high = network.broadcast_address if whole or network.version == 6 else network.broadcast_address - 1
    problems: dict[str, str] = {}
    ends = []
    for option, text, otherwise in (("first", first, low), ("last", last, high)):
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
        problems["first"] = f"{ends[0]} comes after the last one, {ends[1]}"
    if problems:
        raise BadOrder(problems)
    return Range(str(network), ends[0], ends[1])


def refuse_overlap(span: Range, pools: Iterable[Pool]) -> None:
    """Raises BadOrder when an address would be given out by two pools."""
    for pool in pools:
        if span.meets(range_of(pool)):
            raise BadOrder({"cidr": f"{span.first} to {span.last} meets pool {pool.name!r} of site {pool.site} ({pool.first} to {pool.last})"})


def checked_probe(text: str) -> str:
    """`icmp`, `tcp:PORT` or `none`; raises BadOrder."""
    how, _, port = text.partition(":")
    if text in ("icmp", NOT_ASKED) or (
        how == "tcp" and port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535 and str(int(port)) == port
    ):
        return text
    raise BadOrder({"probe": f"{text!r} is neither icmp nor tcp:PORT with a port from 1 to 65535, nor none"})


def resolvers(given: list[str]) -> list[str]:
    """The resolvers' addresses; raises BadOrder."""
    if len(given) > MOST_NAMESERVERS:
        raise BadOrder({"nameservers": f"{len(given)} are too many; at most {MOST_NAMESERVERS}"})
    try:
        return [_ADDRESS.validate_python(address) for address in given]
    except ValidationError as error:
        raise BadOrder({"nameservers": error.errors(include_input=False)[0]["msg"].removeprefix("Value error, ")}) from None


def range_of(pool: Pool) -> Range:
    """What a pool gives out."""
    return Range(pool.cidr, ip_address(pool.first), ip_address(pool.last))
