"""The door for tests and people: tell a node to have a fault, to lose power, to hold a stranger; ask what it has.

Requests and answers are one JSON object a line on an abstract socket named after the state folder.
"""

import asyncio
import json
import os
import signal
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ops.simnode import inside, network, strangers
from ops.simnode.faults import Fault
from ops.simnode.lab import Lab, Machine, socket_name

Request = dict[str, Any]  # JSON as it came; each operation takes the keys it knows
Operation = Callable[[Machine, Request], Awaitable[object]]


async def _fault(machine: Machine, request: Request) -> object:
    machine.node.faults.add(Fault(**request))
    return machine.node.faults.shown()


async def _clear(machine: Machine, _: Request) -> object:
    machine.node.faults.clear()
    machine.node.disk.fixed_free_kib = machine.node.disk.fixed_free_inodes = None
    return []


async def _faults(machine: Machine, _: Request) -> object:
    return machine.node.faults.shown()


def _wanted(request: Request) -> dict[str, object]:
    return {key: request[key] for key in ("pid", "command", "ctid", "phase") if key in request}


async def _held(machine: Machine, request: Request) -> object:
    """Who is held; with `wait_s`, as soon as somebody is."""
    faults, wanted = machine.node.faults, _wanted(request)
    if "wait_s" not in request:
        return [held.shown() for held in faults.held(wanted)]
    try:
        async with asyncio.timeout(float(request["wait_s"])):
            return [held.shown() for held in await faults.wait_held(wanted)]
    except TimeoutError:
        raise ValueError(f"nobody with {wanted} was held within {request['wait_s']} s") from None


async def _release(machine: Machine, request: Request) -> object:
    held = machine.node.faults.held(_wanted(request))
    for one in held:
        one.go.set()
    return [one.shown() for one in held]


async def _kill(machine: Machine, request: Request) -> object:
    """End held calls by a signal, or with `group` all of their process groups."""
    number = signal.Signals[f"SIG{request.get('signal', 'KILL')}"]
    held = machine.node.faults.held(_wanted(request))
    for one in held:
        if request.get("group"):
            os.killpg(os.getpgid(one.call.pid), number)
        else:
            os.kill(one.call.pid, number)
    return [one.shown() for one in held]


async def _latency(machine: Machine, request: Request) -> object:
    """Seconds of named steps and amounts a second, at speed 1."""
    latency = machine.node.latency
    for name, wanted in request.items():
        if name in latency.per_second:
            latency.per_second[name] = float(wanted)
        elif name in latency.base:
            latency.base[name] = float(wanted)
        else:
            raise ValueError(f"there is no step {name!r}; there are {', '.join([*latency.base, *latency.per_second])}")
    return {"speed": latency.speed, **latency.base, **latency.per_second}


async def _load(machine: Machine, request: Request) -> object:
    node, ctid = machine.node, int(request.pop("ctid"))
    node.loads[ctid] = replace(node.load(ctid), **request)
    node.save()
    return asdict(node.load(ctid))


async def _flavour(machine: Machine, request: Request) -> object:
    """Make the node another kind of machine; what its files say of it is written anew."""
    machine.node.become(replace(machine.node.flavour, **request))
    return asdict(machine.node.flavour)


async def _disk(machine: Machine, request: Request) -> object:
    free = request.get("free_kib")
    inodes = request.get("free_inodes")
    disk = machine.node.disk
    disk.fixed_free_kib = None if free is None else int(free)
    disk.fixed_free_inodes = None if inodes is None else int(inodes)
    return {"free_kib": disk.free_kib, "free_inodes": disk.figures("i")[1]}


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


async def _machine(machine: Machine, request: Request) -> object:
    machine.node.network.add(str(request["address"]))
    return sorted(machine.node.network)


async def _traffic(machine: Machine, request: Request) -> object:
    network.count(machine.node, int(request["ctid"]), received=int(request.get("in", 0)), sent=int(request.get("out", 0)))
    return {}


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
    "stranger": _stranger, "machine": _machine, "traffic": _traffic, "freeze": _freeze, "thaw": _thaw, "halt": _halt, "password": _password,
    "list": _list, "ps": _ps, "about": _about, "held": _held, "release": _release, "kill": _kill, "latency": _latency, "load": _load,
    "flavour": _flavour,
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
