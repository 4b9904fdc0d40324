"""`/bin/true` 300 times over ten nodes: bare asyncssh, our links, and our links with the node's runner (ledgered, detached, fenced).

All talk to the same plain SSH servers, with at most eight channels a connection; connecting is included.
"""

import asyncio
import json
import os
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncssh

from models.clock import SystemClock
from tests.bench.figures import Report, Target
from tests.bench.rounds_of import interleaved
from tests.bench.surroundings import Place, started, wait_until
from workers.commands import Command
from workers.node.install import install
from workers.node.runner import Direction, Runner, StepKey
from workers.transport.links import Links
from workers.transport.ssh import NodeAddress

CHANNELS = 8
TIMEOUT = timedelta(seconds=120)
BARE, LINKS, RUNNER = "bare asyncssh", "our links", "our links and runner"
FIGURE = "commands/s"


def run(place: Place, rounds: int, *, commands: int, nodes: int) -> Report:
    """`commands` over `nodes` servers, in each round anew."""
    report = Report("fanout", f"{commands} x `/bin/true` over {nodes} nodes, at most {CHANNELS} channels a connection, connecting included")
    folder = place.folder / "fanout"
    folder.mkdir()
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(folder / "client")
    key.write_public_key(folder / "client.pub")
    with started("tests.bench.plain_sshd", str(folder), str(nodes), env=os.environ):
        wait_until((folder / "servers.json").exists, "the SSH servers")
        servers: list[dict[str, Any]] = json.loads((folder / "servers.json").read_text())
        addresses = [NodeAddress(f"n{at}", "127.0.0.1", server["port"], "root", server["host_key"]) for at, server in enumerate(servers)]
        asyncio.run(_install(folder, addresses))
        contenders: dict[str, Callable[[Path, Sequence[NodeAddress], int], Awaitable[None]]] = {BARE: _bare, LINKS: _links, RUNNER: _runner}
        found = interleaved({name: lambda way=way: _per_second(way, folder, addresses, commands) for name, way in contenders.items()}, rounds)  # type: ignore[misc]
    for name, series in found.items():
        report.add(name, FIGURE, series, against="" if name == BARE else BARE)
    report.targets.append(Target("our links against bare asyncssh", report.ratio(LINKS, BARE, FIGURE), 0.95, "at least"))
    report.notes.append(
        "the runner starts a dozen processes a command on the node; here all nodes share this machine's processors, in a fleet each has its own"
    )
    return report


def _per_second(
    way: Callable[[Path, Sequence[NodeAddress], int], Awaitable[None]], folder: Path, addresses: Sequence[NodeAddress], commands: int
) -> float:
    async def timed() -> float:
        begun = time.perf_counter()
        await way(folder, addresses, commands)
        return commands / (time.perf_counter() - begun)

    return asyncio.run(timed())


async def _install(folder: Path, addresses: Sequence[NodeAddress]) -> None:
    links = _opened(folder)
    await asyncio.gather(*(install(links.to(address)) for address in addresses))
    await links.close()


async def _bare(folder: Path, addresses: Sequence[NodeAddress], commands: int) -> None:
    async def at(address: NodeAddress, number: int) -> None:
        pinned = [asyncssh.import_public_key(address.host_key)]
        options: dict[str, Any] = {
            "client_keys": [str(folder / "client")],
            "known_hosts": (pinned, [], []),
            "username": "root",
            "config": None,
            "agent_path": None,
        }
        async with asyncssh.connect(address.host, address.port, **options) as connection:
            channels = asyncio.Semaphore(CHANNELS)

            async def one() -> None:
                async with channels:
                    ended = await connection.run("/bin/true")
                if ended.exit_status != 0:
                    raise RuntimeError(f"true ended with {ended.exit_status}")

            await asyncio.gather(*(one() for _ in range(number)))

    await asyncio.gather(*(at(address, len(range(start, commands, len(addresses)))) for start, address in enumerate(addresses)))


async def _links(folder: Path, addresses: Sequence[NodeAddress], commands: int) -> None:
    links = _opened(folder)

    async def one(number: int) -> None:
        ended = await links.to(addresses[number % len(addresses)]).run(["/bin/true"], timeout=TIMEOUT)
        if ended.code:
            raise RuntimeError(f"true ended with {ended.code}")

    await asyncio.gather(*(one(number) for number in range(commands)))
    await links.close()


async def _runner(folder: Path, addresses: Sequence[NodeAddress], commands: int) -> None:
    links, clock = _opened(folder), SystemClock()
    token = time.time_ns()  # grows from round to round, so that none is refused

    async def one(number: int) -> None:
        runner = Runner(links.to(addresses[number % len(addresses)]), clock=clock)
        key = StepKey(str(1000 + number), token // 1_000_000, f"JOB{token}", "true", Direction.DO, 1)
        ended = await runner.begin(key, Command("true", ["/bin/true"], timeout=TIMEOUT))
        if ended.code:
            raise RuntimeError(f"true ended with {ended.code}")

    await asyncio.gather(*(one(number) for number in range(commands)))
    await links.close()


def _opened(folder: Path) -> Links:
    return Links(client_key=folder / "client", clock=SystemClock(), rng=random.Random(1))
