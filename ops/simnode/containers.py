"""The containers of a node: which are mounted, run or are frozen, and what they show of themselves."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ops.simnode import copies, inside, network, processes
from ops.simnode.answers import Answers
from ops.simnode.calls import Call
from ops.simnode.conf import Conf
from ops.simnode.disk import Disk
from ops.simnode.latency import Latency
from ops.simnode.node_state import Flavour, Load, Running
from ops.simnode.sandbox import Sandbox
from ops.simnode.templates import TEMPLATES, Template
from ops.simnode.tools import install_inside


class Containers:
    """Run state of all containers of one node; `node.py` adds power and commands to it."""

    def __init__(self, folder: Path, *, name: str, flavour: Flavour, latency: Latency) -> None:
        self.folder = folder.absolute()
        self.name = name
        self.flavour = flavour
        self.latency = latency
        self.sandbox = Sandbox(self.folder / "root")
        self.answers = Answers(self)
        self.disk = Disk(self)
        self.table: dict[int, Running] = {}
        self.network: set[str] = set()  # addresses for which other machines of the node's network answer
        self.inside: dict[int, set[int]] = {}  # session leaders started in each container
        self.went_down: dict[int, asyncio.Event] = {}  # set when a running container goes down
        self.tasks: set[asyncio.Task[None]] = set()
        self.loads: dict[int, Load] = {}
        self.synced: dict[str, float] = {}  # private area and where it was copied to → when the copy began (monotonic)
        self.power: Callable[[str], None] = lambda _: None  # its machine's switch (lab.py)

    def state(self, ctid: int) -> Running:
        return self.table.get(ctid) or Running()

    def whole(self, ctid: int) -> bool:
        """Configuration and private area are both there (`exist`)."""
        return self.sandbox.conf(ctid).exists() and self.sandbox.private(ctid).exists()

    def template(self, conf: Conf) -> Template:
        return TEMPLATES.get(conf.get("OSTEMPLATE") or "", TEMPLATES["busybox-mini-x86_64"])

    def conf_of(self, ctid: int) -> Conf | None:
        """The container's configuration as it is now, None where there is none."""
        path = self.sandbox.conf(ctid)
        return Conf.read(path) if path.exists() else None

    def shell_inside(self, ctid: int) -> str:
        """What `vzctl exec` runs commands with: bash where the template has it."""
        conf = self.conf_of(ctid)
        shell = self.template(conf).shell if conf else "/bin/sh"
        return shell if Path(shell).exists() else "/bin/sh"

    async def warn_of_broken_lines(self, call: Call, ctid: int) -> None:
        """Say which lines of the configuration cannot be read, as every real command does first."""
        conf = self.conf_of(ctid)
        if conf is None:
            return
        for number in conf.broken_lines:
            await call.err(f"Warning: can't parse {self.sandbox.shown(conf.path)}:{number} ('=' not found), skipping")

    async def is_mounted(self, call: Call, ctid: int) -> bool:
        """As vzctl finds out: with a complaint where the mount point does not exist."""
        point = self.sandbox.mount_point(ctid)
        if not point.exists() and not point.is_symlink():
            await call.err(f"stat({self.sandbox.shown(point)}): No such file or directory")
        return self.state(ctid).mounted

    def inside_bin(self, ctid: int) -> Path:
        """The folder of fakes that is first in the container's PATH."""
        return self.folder / "inside" / str(ctid)

    def mount(self, ctid: int) -> None:
        point = self.sandbox.mount_point(ctid)
        if point.is_dir() and not point.is_symlink():
            point.rmdir()
        point.unlink(missing_ok=True)
        point.symlink_to(os.path.relpath(self.sandbox.private(ctid), point.parent))
        self.table.setdefault(ctid, Running()).mounted = True
        self.save()

    def unmount(self, ctid: int) -> None:
        network.cease(self, ctid)
        point = self.sandbox.mount_point(ctid)
        point.unlink(missing_ok=True)
        point.mkdir(exist_ok=True)
        self.table.pop(ctid, None)
        self.save()

    async def bring_up(self, ctid: int, conf: Conf, addresses: list[str], kept: Mapping[str, Any] | None = None) -> None:
        """Mount and run at once, without a command (boot, a stranger); with `kept`, where a dump was made."""
        self.mount(ctid)
        self.run(ctid, conf)
        if kept:
            copies.take_up_dump(self, ctid, kept)
        self.start_is_whole(ctid)
        for address in addresses:
            await self.add_address(ctid, address)

    def run(self, ctid: int, conf: Conf) -> None:
        """Init runs from now on."""
        state = self.table[ctid]
        name = conf.get("HOSTNAME")
        state.running, state.starting, state.since = True, True, time.time()
        self.went_down[ctid] = asyncio.Event()
        install_inside(self, ctid)
        network.begin(self, ctid)
        self.set_hostname(ctid, name or self.name, written=bool(name))
        self.save()

    def freeze(self, ctid: int, *, frozen: bool) -> None:
        """Stop or go on with everything in a running container; its address is accepted on but silent meanwhile."""
        if not self.state(ctid).running:
            raise ValueError(f"container {ctid} does not run on {self.name}")
        self.table[ctid].frozen = frozen
        for address in self.answers.listening:
            if address in self.table[ctid].addresses:
                self.answers.note(ctid, address, up=not frozen)
        processes.end(inside.family(self, ctid), signal.SIGSTOP if frozen else signal.SIGCONT)
        self.save()

    def started_whole(self, ctid: int) -> bool:
        """Whether the container would live on without the command that started it."""
        return not self.state(ctid).starting

    def start_is_whole(self, ctid: int) -> None:
        self.table[ctid].starting = False
        self.save()

    def lend_environment(self, ctid: int) -> None:
        """Fakes for a container that does not run (runscript): it has the node's name."""
        install_inside(self, ctid)
        (self.inside_bin(ctid) / ".hostname").write_text(f"{self.name}\n")

    def addresses_up(self) -> set[str]:
        return {address for state in self.table.values() for address in state.addresses}

    def default(self, key: str) -> str:
        """A value of vz.conf."""
        return Conf.read(self.sandbox.root / "etc/vz/vz.conf").get(key) or ""

    def halt_later(self, ctid: int) -> None:
        """The container's own halt: it goes down in its time, whoever asked and whether he still lives."""

        async def go_down() -> None:
            conf = self.conf_of(ctid)
            await self.latency.of(self.template(conf).halt_s if conf else 1.0)
            await self.take_down(ctid)

        self.later(go_down())

    def set_hostname(self, ctid: int, name: str, *, written: bool = True) -> None:
        """Name the running container; only the part before the first dot or blank counts (transcripts)."""
        short = name.replace(".", " ").split(" ")[0]
        self.table[ctid].hostname = short
        (self.inside_bin(ctid) / ".hostname").write_text(f"{short}\n")
        if written and (etc := self.sandbox.private(ctid) / "etc").is_dir():
            (etc / "hostname").write_text(f"{short}\n")
        self.save()

    async def probe(self, call: Call, address: str) -> None:
        """The duplicate check behind a new address: as ERROR_ON_ARPFAIL=no has it, a warning and no more."""
        if address in self.network:
            await call.err(f"arpsend: {address} is detected on another computer : 52:54:00:00:00:01")
            await call.err(f"vps-net_add WARNING: arpsend -c 1 -w 1 -D -e {address} eth0 FAILED")

    async def add_address(self, ctid: int, address: str) -> None:
        self.table[ctid].addresses.append(address)
        self.write_addresses(ctid)
        await self.answers.open(ctid, address, after_s=self.latency.seconds(self.flavour.answer_delay_s))

    async def remove_address(self, ctid: int, address: str) -> None:
        self.table[ctid].addresses.remove(address)
        self.write_addresses(ctid)
        await self.answers.close(ctid, address)

    def write_addresses(self, ctid: int) -> None:
        (self.inside_bin(ctid) / ".addresses").write_text("".join(f"{a}\n" for a in self.table[ctid].addresses))
        self.save()

    async def take_down(self, ctid: int) -> None:
        """Init is gone: its processes and addresses too; the container stays mounted."""
        state = self.table.get(ctid)
        if state is None or not state.running:
            return
        for address in list(state.addresses):
            await self.answers.close(ctid, address)
        self.table[ctid] = Running(mounted=True)
        self.kill_inside(ctid)
        network.cease(self, ctid)
        self.went_down.pop(ctid, asyncio.Event()).set()
        self.save()

    def kill_inside(self, ctid: int) -> None:
        if (self.inside_bin(ctid)).exists():
            processes.end(inside.family(self, ctid))
        self.inside.pop(ctid, None)

    def load(self, ctid: int) -> Load:
        return self.loads.get(ctid) or Load()

    # -- the table on disk --------------------------------------------------------------------------------------

    @property
    def _state_file(self) -> Path:
        return self.folder / "run.json"

    def save(self) -> None:
        """Write the run state down so that a switched-off lab comes back as it was."""
        state = {"containers": {str(c): asdict(s) for c, s in self.table.items()}, "disk": self.disk.sizes}
        state["loads"] = {str(ctid): asdict(load) for ctid, load in self.loads.items()}
        fresh = self._state_file.with_suffix(".tmp")
        fresh.write_text(json.dumps(state))
        fresh.replace(self._state_file)

    async def restore(self) -> None:
        """Take up the state of the last run; a container whose start was not done then died with the command."""
        if not self._state_file.exists():
            return
        kept = json.loads(self._state_file.read_text())
        self.disk.sizes = {int(ctid): kib for ctid, kib in kept["disk"].items()}
        self.loads = {int(ctid): Load(**load) for ctid, load in kept.get("loads", {}).items()}
        for ctid, saved in kept["containers"].items():
            state = Running(**saved)
            self.table[int(ctid)] = Running(mounted=True) if state.starting else state
        for ctid, state in self.table.items():
            if not state.running:
                continue
            self.went_down[ctid] = asyncio.Event()
            install_inside(self, ctid)
            for address in state.addresses:
                await self.answers.open(ctid, address, after_s=0.0)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do work that outlives the call which began it (a halting container) and ends with the node."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
