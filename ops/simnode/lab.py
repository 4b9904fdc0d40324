"""Any number of simulated nodes in one process: switched on together, found through nodes.json, switched off together."""

import asyncio
import hashlib
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ops.simnode.node import Node
from ops.simnode.node_state import Flavour
from ops.simnode.sshd import SshServer

PORTS = range(20_000, 32_768)  # below the range from which Linux takes ports for outgoing connections
GOING_DOWN_S = 0.2  # from `shutdown` to the end of everything


@dataclass(frozen=True)
class LabSettings:
    """What a lab is made of; see `python -m ops.simnode --help`."""

    state: Path
    nodes: int = 1
    port: int = 0  # of the first node, the others follow; 0: any free ones, kept over restarts
    host: str = "127.0.0.1"
    seed: int = 0
    speed: float = 0.1
    name_prefix: str = "n"
    authorized_keys: Path | None = None
    any_key: bool = False
    flavour: Flavour = field(default_factory=Flavour)


def socket_name(state: Path, which: str) -> str:
    """Abstract socket of a node or of the control door: the same for every process that knows the folder."""
    digest = hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:20]
    return f"vzq-simnode-{digest}-{which}"


class Machine:
    """A node and its SSH server: what is switched on and off together."""

    def __init__(self, node: Node, server: SshServer) -> None:
        self.node = node
        self.server = server
        self._booting: asyncio.Task[None] | None = None
        self._going_down: asyncio.Task[None] | None = None
        node.power = self._power

    def _power(self, what: str) -> None:
        """Somebody on the node said `shutdown`: its answer still goes out."""

        async def soon() -> None:
            await asyncio.sleep(GOING_DOWN_S)
            await (self.reboot() if what == "reboot" else self.power_off())

        self._going_down = asyncio.create_task(soon())

    async def switch_off(self) -> None:
        """End of the lab: what runs is written down to run again at the next start."""
        if self._booting:
            self._booting.cancel()
        await self.server.close()
        if self.node.up:
            await self.node.close()

    async def power_off(self) -> None:
        """Down: connections refused, sessions and everything on the node gone."""
        if self._booting:
            self._booting.cancel()
        await self.server.close()
        if self.node.up:
            await self.node.crash()

    async def power_on(self) -> None:
        """Boot and listen again; containers with ONBOOT=yes start. Waits for a boot that is under way."""
        if self._booting is None or self._booting.done():
            self._booting = asyncio.create_task(self._boot())
        await asyncio.shield(self._booting)

    async def _boot(self) -> None:
        if not self.node.up:
            await self.node.boot()
            await self.server.open()

    async def reboot(self) -> None:
        """Power off now, and on again after the node's boot time, without waiting for it."""
        await self.power_off()
        self._booting = asyncio.create_task(self._boot())

    def about(self) -> dict[str, str | int]:
        """What a client needs to reach the node."""
        key = self.server.key
        return {
            "name": self.node.name,
            "host": self.server.host,
            "port": self.server.port,
            "host_key": key.export_public_key().decode().strip(),
            "fingerprint": key.get_fingerprint(),
            "root": str(self.node.sandbox.root),
        }


Request = dict[str, Any]  # JSON as it came; each operation takes the keys it knows
Operation = Callable[[Machine, Request], Awaitable[object]]


class Lab:
    """The nodes of one state folder."""

    def __init__(self, settings: LabSettings) -> None:
        self.settings = settings
        self.machines: dict[str, Machine] = {}

    async def open(self) -> None:
        """Switch all on; raises OSError when another simulator has this folder."""
        state = self.settings.state
        state.mkdir(parents=True, exist_ok=True)
        ports = _kept_ports(state)
        for number in range(1, self.settings.nodes + 1):
            name = f"{self.settings.name_prefix}{number}"
            machine = self._machine(name, self.settings.port + number - 1 if self.settings.port else ports.get(name, 0))
            await machine.node.open()
            self.machines[name] = machine
            await self._listen(machine)
        fresh = state / "nodes.json.tmp"
        fresh.write_text(json.dumps([machine.about() for machine in self.machines.values()], indent=1) + "\n")
        fresh.replace(state / "nodes.json")

    async def _listen(self, machine: Machine) -> None:
        """Take the port it has, or else one that the kernel gives to nobody by itself, so that it is free again next time."""
        if machine.server.port:
            try:
                await machine.server.open()
                return
            except OSError:
                if self.settings.port:
                    raise
        chance = random.Random(str(machine.node.folder))
        for port in chance.sample(PORTS, 100):
            machine.server.port = port
            try:
                await machine.server.open()
                return
            except OSError:
                continue
        raise OSError(f"100 ports between {PORTS.start} and {PORTS.stop} are taken; choose one with --port")

    def _machine(self, name: str, port: int) -> Machine:
        settings = self.settings
        folder = settings.state / name
        folder.mkdir(exist_ok=True)
        chance = random.Random(f"{settings.seed}/{name}")
        flavour = replace(settings.flavour)
        node = Node(folder, name=name, socket_name=socket_name(settings.state, name), flavour=flavour, speed=settings.speed, chance=chance)
        server = SshServer(node, host=settings.host, port=port, keys_file=settings.authorized_keys, any_key=settings.any_key, chance=chance)
        return Machine(node, server)

    async def close(self) -> None:
        """Switch all off in order: what ran runs again at the next start."""
        for machine in self.machines.values():
            await machine.switch_off()


def _kept_ports(state: Path) -> dict[str, int]:
    """Ports of the last run, so that clients that know them find the nodes again."""
    try:
        return {node["name"]: node["port"] for node in json.loads((state / "nodes.json").read_text())}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
