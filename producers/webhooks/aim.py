"""Where a webhook may be aimed: never at the inside of somebody's network, unless the operator allows that network.

The name is resolved here and the post goes to the very address that was checked: a name that changes its address
between check and post gains nothing.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]


class BadAimError(Exception):
    """The address is not one a webhook may be sent to."""


@dataclass(frozen=True)
class Target:
    """Where to connect, and whom to name there."""

    url: str  # with the checked address in place of the name
    host: str  # for the Host header and TLS


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a name; raises OSError when there are none."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def aim(url: str, allowed: Sequence[Network], *, resolve: Resolve = resolve) -> Target:
    """The checked target of a webhook's URL; raises BadAimError with what is wrong."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise BadAimError(f"{url!r} is not a URL: {error}") from error
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise BadAimError(f"{url!r} is not an http(s) URL")
    if parts.username or parts.password:
        raise BadAimError("a webhook's URL may not carry a name or password; the signature is what proves us")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        addresses = [ip_address(address.partition("%")[0]) for address in resolve(parts.hostname, port)]
    except (OSError, ValueError) as error:
        raise BadAimError(f"{parts.hostname} cannot be resolved: {error}") from error
    for address in addresses:
        if not _may(address, allowed):
            raise BadAimError(f"{parts.hostname} is {address}, an internal address; VZQ_WEBHOOK_NETWORKS allows networks by name")
    first = addresses[0]
    shown = f"[{first}]" if isinstance(first, IPv6Address) else str(first)
    host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
    return Target(parts._replace(netloc=f"{shown}:{port}").geturl(), host)


def _may(address: IPv4Address | IPv6Address, allowed: Sequence[Network]) -> bool:
    mapped = getattr(address, "ipv4_mapped", None)
    inner = mapped if mapped is not None else address
    return bool(inner.is_global and not inner.is_multicast) or any(inner in network for network in allowed)
