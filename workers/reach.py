"""Ask a container's own address whether it answers, from where the customer stands: outside the node."""

import asyncio
from ipaddress import ip_address

import httpx
from icmplib import ICMPLibError, async_ping

from models.errors import Permanent

PATIENCE_S = 1.0
PAGE_S = 5.0


async def answers(address: str, probe: str, *, patience_s: float = PATIENCE_S) -> bool:
    """One question by `icmp` or `tcp:PORT`. A TCP service must send or close: a frozen server still accepts connections.

    Raises Permanent where this host cannot ask in this way. Safe to repeat.
    """
    if probe == "icmp":
        return await _ping(address, patience_s)
    kind, _, port = probe.partition(":")
    if kind != "tcp" or not port.isdigit():
        raise Permanent(f"probe {probe!r} of the address pool cannot be asked by icmp or tcp:PORT; mend it with `vzq pool`")
    return await _tcp(address, int(port), patience_s)


async def _ping(address: str, patience_s: float) -> bool:
    try:
        return bool((await async_ping(address, count=1, timeout=patience_s, privileged=False)).is_alive)
    except ICMPLibError:
        return await _ping_by_program(address, patience_s)  # this host gives plain users no ICMP sockets


async def _ping_by_program(address: str, patience_s: float) -> bool:
    try:
        ping = await asyncio.create_subprocess_exec(
            "ping",
            "-n",
            "-c",
            "1",
            "-W",
            str(max(1, round(patience_s))),
            address,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise Permanent("this management host may not send ICMP and has no `ping`; install iputils-ping or probe the pool by tcp:PORT") from None
    return await ping.wait() == 0


async def _tcp(address: str, port: int, patience_s: float) -> bool:
    try:
        async with asyncio.timeout(patience_s):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                writer.write_eof()  # who waits for its client to speak closes in its turn, if anybody inside is awake
                await reader.read(1)  # nothing at all is a proper close
                return True
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


async def takes_connections(address: str, port: int, *, patience_s: float = PATIENCE_S) -> bool:
    """Somebody listens there. That is less than an answer, but most services wait to be spoken to."""
    try:
        async with asyncio.timeout(patience_s):
            _, writer = await asyncio.open_connection(address, port)
            writer.close()
    except (OSError, TimeoutError):
        return False
    return True


async def page_answers(address: str, port: int, path: str, status: int, *, patience_s: float = PAGE_S) -> str:
    """Why this page does not answer with this status; empty: it does. Redirections are not followed: what they say is an answer too."""
    host = f"[{address}]" if ip_address(address).version == 6 else address
    url = f"http://{host}:{port}{path}"
    try:
        async with asyncio.timeout(patience_s), httpx.AsyncClient(trust_env=False) as client, client.stream("GET", url) as answer:
            return "" if answer.status_code == status else f"{url} answered {answer.status_code} instead of {status}"
    except (httpx.HTTPError, OSError, TimeoutError) as error:
        return f"{url} did not answer ({type(error).__name__})"
