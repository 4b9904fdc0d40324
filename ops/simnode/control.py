"""The door for tests and people: tell a node to have a fault, to lose power, to hold a stranger; ask what it has.

Requests and answers are one JSON object a line on an abstract socket named after the state folder.
"""

import asyncio
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ops.simnode import inside, strangers
from ops.simnode.faults import Fault
from ops.simnode.lab import Lab, Machine, socket_name

Request = dict[str, Any]  # JSON as it came; each operation takes the keys it knows
Operation = Callable[[Machine, Request], Awaitable[object]]


async def _fault(machine: Machine, request: Request) -> object:
    machine.node.faults.add(Fault(**request))
    return machine.node.faults.shown()


async def _clear(machine: Machine, _: Request) -> object:
    machine.node.faults.clear()
    machine.node.disk.fixed_free_kib = None
    return []


async def _faults(machine: Machine, _: Request) -> object:
    return machine.node.faults.shown()


async def _disk(machine: Machine, request: Request) -> object:
    free = request.get("free_kib")
    machine.node.disk.fixed_free_kib = None if free is None else int(free)
    return {"free_kib": machine.node.disk.free_kib}


async def _slow(machine: Machine, request: Request) -> object:
    machine.node.latency.speed *= float(request["factor"])
    return {"speed": machine.node.latency.speed}


async def _down(machine: Machine, _: Request) -> object:
    await machine.power_off()
    return {"up": machine.node.up}


async def _up(machine: Machine, _: Request) -> object:
    await machine.power_on()
    return machine.about()


async def _reboot(machine: Machine, _: Request) -> object:
    await machine.reboot()
    return {"up": machine.node.up}


async def _cut(machine: Machine, _: Request) -> object:
    return {"connections": machine.server.cut()}


async def _unreachable(machine: Machine, _: Request) -> object:
    await machine.server.close()
    return {}


async def _reachable(machine: Machine, _: Request) -> object:
    await machine.server.close()
    await machine.server.open()
    return machine.about()


async def _silent(machine: Machine, _: Request) -> object:
    machine.server.silence()
    return {"connections": len(machine.server.connections)}


async def _lock(machine: Machine, request: Request) -> object:
    return {"pid": await strangers.hold_lock(machine.node, int(request["ctid"]), float(request["seconds"]))}


async def _stranger(machine: Machine, request: Request) -> object:
    await strangers.make(
        machine.node,
        int(request["ctid"]),
        name=str(request.get("name", "")),
        address=str(request.get("address", "")),
        running=bool(request.get("running", False)),
    )
    return _shown(machine, int(request["ctid"]))


async def _freeze(machine: Machine, request: Request) -> object:
    machine.node.freeze(int(request["ctid"]), frozen=True)
    return _shown(machine, int(request["ctid"]))


async def _thaw(machine: Machine, request: Request) -> object:
    machine.node.freeze(int(request["ctid"]), frozen=False)
    return _shown(machine, int(request["ctid"]))


async def _halt(machine: Machine, request: Request) -> object:
    await machine.node.take_down(int(request["ctid"]))
    return _shown(machine, int(request["ctid"]))


async def _password(machine: Machine, request: Request) -> object:
    private = machine.node.sandbox.private(int(request["ctid"]))
    return {"is": inside.password_is(private, request.get("user", "root"), request["password"])}


async def _list(machine: Machine, _: Request) -> object:
    node = machine.node
    ctids = sorted({*node.sandbox.ctids(), *node.table, *node.sandbox.private_ids()} - {0})
    return [_shown(machine, ctid) for ctid in ctids]


async def _ps(machine: Machine, _: Request) -> object:
    node = machine.node
    inner = [{"pid": pid, "ctid": ctid, "argv": node.command_line(pid)} for ctid in node.inside for pid in sorted(inside.family(node, ctid))]
    outer = [{"pid": call.pid, "ctid": call.ctid, "argv": call.shown} for call in node.calls.running.values()]
    return {"commands": outer, "inside": inner, "connections": len(machine.server.connections)}


async def _about(machine: Machine, _: Request) -> object:
    return {**machine.about(), "up": machine.node.up}


OPERATIONS: dict[str, Operation] = {
    "fault": _fault, "clear": _clear, "faults": _faults, "disk": _disk, "slow": _slow, "down": _down, "up": _up,
    "reboot": _reboot, "cut": _cut, "silent": _silent, "unreachable": _unreachable, "reachable": _reachable, "lock": _lock,
    "stranger": _stranger, "freeze": _freeze, "thaw": _thaw, "halt": _halt, "password": _password, "list": _list,
    "ps": _ps, "about": _about,
}  # fmt: skip


def _shown(machine: Machine, ctid: int) -> dict[str, object]:
    node = machine.node
    state = asdict(node.state(ctid))
    conf = node.conf_of(ctid)
    return {
        "ctid": ctid,
        "conf": conf is not None,
        "private": node.sandbox.private(ctid).exists(),
        "whole": node.whole(ctid) and any(node.sandbox.private(ctid).iterdir()),
        "locked": node.sandbox.lock(ctid).exists(),
        "name": conf.get("NAME") if conf else None,
        **state,
    }


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
