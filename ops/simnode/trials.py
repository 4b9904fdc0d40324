"""What a node is told to suffer and to be: faults and holds, its disk and its pace, another kind of machine."""

import asyncio
import os
import signal
from dataclasses import asdict, replace

from ops.simnode.faults import Fault
from ops.simnode.lab import Machine, Operation, Request


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


TRIALS: dict[str, Operation] = {
    "fault": _fault, "clear": _clear, "faults": _faults, "held": _held, "release": _release, "kill": _kill, "latency": _latency, "load": _load,
    "flavour": _flavour, "disk": _disk, "slow": _slow,
}  # fmt: skip
