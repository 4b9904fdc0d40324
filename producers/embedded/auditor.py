"""Asks the nodes themselves what there is on them, over SSH and past the house: what the demo's counts stand on.

The one place of this side that speaks SSH. It shares no code with the workers, so it cannot repeat their mistakes.
"""

import asyncio
import json
import re
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from producers.embedded.lab import LabNode

MARKER = re.compile(r"(\d+)\.conf:X_VZQ_JOB=\"?([0-9A-Z]{26})\"?")
LISTING = "vzlist -a -j -o ctid,status,ip"  # fields without free text: safe to read as JSON
MARKERS = 'cd "${VZQ_NODE_ROOT-}/etc/vz/conf" && grep -H "^X_VZQ_JOB=" [0-9]*.conf'
BOOT = re.compile(r"(\d+)\.conf:(ONBOOT|DISABLED)=\"?(yes|no)\"?")
BOOTING = 'cd "${VZQ_NODE_ROOT-}/etc/vz/conf" && grep -H -e "^ONBOOT=" -e "^DISABLED=" [0-9]*.conf'
AREAS = 'ls "${VZQ_NODE_ROOT-}/vz/private"'
PORT = 7000  # where a simulated container answers
ANSWER_S = 3.0
AT_ONCE = 50  # containers that are asked at a time


class SilentNodeError(Exception):
    """A node does not answer, or not in a way that can be read."""


@dataclass(frozen=True)
class Found:
    """A container as it was met on a node."""

    node: str
    ctid: int
    running: bool
    job: str | None  # the marker in its configuration
    answers: bool  # at one of its addresses, from here
    boots: bool = False  # its configuration lets it start when the node does


async def look(nodes: Sequence[LabNode], key: Path) -> list[Found]:
    """Every container on these nodes, whoever made it; raises SilentNodeError when one does not answer."""
    asked = await asyncio.gather(*(_ask(node, key) for node in nodes))
    return [found for node in asked for found in node]


async def releases(nodes: Sequence[LabNode], key: Path, name: str) -> dict[int, str]:
    """By container: what a file of this name in its root says; raises SilentNodeError when a node does not answer."""
    found: dict[int, str] = {}
    for node in nodes:
        try:
            async with _link(node, key) as link:
                told = str((await link.run(f'cd "${{VZQ_NODE_ROOT-}}/vz/private" && grep -H . */{name}', timeout=30)).stdout)
        except (OSError, asyncssh.Error) as error:
            raise SilentNodeError(f"node {node.name} ({node.host}:{node.port}) gives no answer: {error}") from error
        found |= {int(ctid): says for ctid, says in re.findall(rf"^(\d+)/{re.escape(name)}:(.*)$", told, re.MULTILINE)}
    return found


def _link(node: LabNode, key: Path) -> AbstractAsyncContextManager[asyncssh.SSHClientConnection]:
    trusted = asyncssh.import_known_hosts(f"[{node.host}]:{node.port} {node.host_key}\n")
    return asyncssh.connect(
        node.host, node.port, username="root", client_keys=[str(key)], known_hosts=trusted, config=None, agent_path=None, connect_timeout=10
    )


async def _ask(node: LabNode, key: Path) -> list[Found]:
    try:
        return await _met(node, key)
    except (OSError, ValueError, asyncssh.Error) as error:
        raise SilentNodeError(f"node {node.name} ({node.host}:{node.port}) gives no answer that can be read: {error}") from error


async def _met(node: LabNode, key: Path) -> list[Found]:
    async with _link(node, key) as link:
        listing = str((await link.run(LISTING, timeout=30)).stdout)
        markers = dict(MARKER.findall(str((await link.run(MARKERS, timeout=30)).stdout)))
        onboot = _booting(str((await link.run(BOOTING, timeout=30)).stdout))
        areas = {int(name) for name in str((await link.run(AREAS, timeout=30)).stdout).split() if name.isdecimal()}
    listed = {int(row["ctid"]): row for row in json.loads(listing or "[]")}
    turn = asyncio.Semaphore(AT_ONCE)
    answering = await asyncio.gather(*(_answers(row["ip"], turn) for row in listed.values()))
    met = [
        Found(node.name, ctid, row["status"] == "running", markers.get(str(ctid)), answers, ctid in onboot)
        for (ctid, row), answers in zip(listed.items(), answering, strict=True)
    ]
    return met + [Found(node.name, ctid, running=False, job=None, answers=False) for ctid in areas - listed.keys()]


def _booting(told: str) -> set[int]:
    """The containers that start with their node: vzctl's init script takes ONBOOT=yes, unless DISABLED=yes. The last line counts."""
    said = {(int(ctid), key): value for ctid, key, value in BOOT.findall(told)}
    return {ctid for (ctid, key), value in said.items() if key == "ONBOOT" and value == "yes" and said.get((ctid, "DISABLED")) != "yes"}


async def _answers(addresses: Sequence[str], turn: asyncio.Semaphore) -> bool:
    for address in addresses:
        try:
            async with turn, asyncio.timeout(ANSWER_S):
                reader, writer = await asyncio.open_connection(address, PORT)
                line = await reader.readline()
                writer.close()
                await writer.wait_closed()
        except OSError:  # TimeoutError is one
            continue
        if line:
            return True
    return False
