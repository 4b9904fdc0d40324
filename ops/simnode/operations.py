"""What can be asked of a node: power, its network, its containers and what an administrator does behind one's back."""

from dataclasses import asdict

from ops.simnode import inside, network, package_book, strangers
from ops.simnode.lab import Machine, Operation, Request
from ops.simnode.trials import TRIALS


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
        hostname=str(request.get("hostname", "")),
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


async def _packages(machine: Machine, request: Request) -> object:
    return package_book.tell(machine.node.sandbox.private(int(request.pop("ctid"))), request)


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


OPERATIONS: dict[str, Operation] = {
    **TRIALS,
    "down": _down, "up": _up, "reboot": _reboot, "cut": _cut, "silent": _silent, "unreachable": _unreachable, "reachable": _reachable,
    "lock": _lock, "stranger": _stranger, "machine": _machine, "traffic": _traffic, "freeze": _freeze, "thaw": _thaw, "halt": _halt,
    "password": _password, "packages": _packages, "list": _list, "ps": _ps, "about": _about,
}  # fmt: skip
