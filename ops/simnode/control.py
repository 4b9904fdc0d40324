"""The door for tests and people: tell a node to have a fault, to lose power, to hold a stranger; ask what it has.

Requests and answers are one JSON object a line on an abstract socket named after the state folder.
"""

import asyncio
import json
import os
import socket
import struct
from pathlib import Path
from typing import Any

from ops.simnode.lab import Lab, Request, socket_name
from ops.simnode.operations import OPERATIONS


async def carry_out(lab: Lab, request: Request) -> object:
    """Do one request `{"node": …, "op": …, …}`; raises ValueError with a sentence for the asker."""
    rest = dict(request)
    name, operation = rest.pop("node", None), rest.pop("op", None)
    if operation not in OPERATIONS:
        raise ValueError(f"unknown operation {operation!r}; there are {', '.join(sorted(OPERATIONS))}")
    if name not in lab.machines:
        raise ValueError(f"there is no node {name!r} in {lab.settings.state}; there are {', '.join(lab.machines)}")
    try:
        return await OPERATIONS[operation](lab.machines[name], rest)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{operation}: {error} is missing or unknown; see ops/docs/simnode.md") from error


class ControlDoor:
    """Serves requests for one lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, path=f"\0{socket_name(self.lab.settings.state, 'ctl')}", limit=1 << 20)

    async def close(self) -> None:
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        if struct.unpack("3i", peer)[1] == os.getuid():
            while line := await reader.readline():
                try:
                    answer: object = {"ok": await carry_out(self.lab, json.loads(line))}
                except (ValueError, OSError) as error:
                    answer = {"error": str(error)}
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        writer.close()


def ask(state: Path, node: str, operation: str, **details: object) -> Any:  # noqa: ANN401  JSON of the operation's own shape
    """Ask a running lab from any process; raises ValueError with the lab's sentence, ConnectionError when none runs."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        try:
            link.connect(f"\0{socket_name(state, 'ctl')}")
        except ConnectionRefusedError:
            raise ConnectionError(f"no simulator runs on {state}; start one with `python -m ops.simnode --state {state}`") from None
        link.sendall(json.dumps({"node": node, "op": operation, **details}).encode() + b"\n")
        answer = json.loads(link.makefile().readline() or '{"error": "the simulator ended meanwhile"}')
    if "error" in answer:
        raise ValueError(answer["error"])
    return answer["ok"]
