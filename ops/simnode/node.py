"""One simulated node: power and commands on top of its containers."""

import asyncio
import contextlib
import random
import uuid
from collections.abc import Mapping
from pathlib import Path

from ops.simnode import processes
from ops.simnode.calls import CallServer, Refused
from ops.simnode.conf import Conf
from ops.simnode.containers import Containers
from ops.simnode.copies import read_dump
from ops.simnode.faults import Faults
from ops.simnode.journal import Journal
from ops.simnode.latency import Latency
from ops.simnode.node_state import Flavour
from ops.simnode.ssh_client import Peer
from ops.simnode.tools import install_on_node, tool_named


class Node(Containers):
    """A node and all that happens on it."""

    def __init__(self, folder: Path, *, name: str, socket_name: str, flavour: Flavour, speed: float, chance: random.Random) -> None:
        super().__init__(folder, name=name, flavour=flavour, latency=Latency(speed, chance))
        self.socket_name = socket_name
        self.faults = Faults()
        self.journal = Journal(name, log_file=self.sandbox.log_file, folder=self.folder)
        self.calls = CallServer(self, tool_named)
        self.masters: dict[str, Peer] = {}  # ssh connections that tools share (--ssh-mux), by ControlPath
        self.up = False  # powered on

    async def open(self) -> None:
        """Switch on after an ordinary switch-off: what ran runs again as it was."""
        self.sandbox.furnish(self.flavour)
        install_on_node(self)
        processes.end(processes.started_with(self.marker))  # left by a simulator that was killed
        await self.restore()
        self.calls.open(self.socket_name)
        self.up = True

    async def close(self) -> None:
        """Switch off in order: the table is kept, commands under way die where they are."""
        self.up = False
        await self._end_all()
        self.save()

    async def crash(self) -> None:
        """Power off: every process is gone and nothing is mounted or runs any more; the files stay as they are."""
        self.up = False
        await self._end_all()
        for ctid in list(self.table):
            self.unmount(ctid)

    async def boot(self) -> None:
        """Power on after a crash: a new boot id, and containers with ONBOOT=yes start."""
        await asyncio.sleep(self.latency.seconds(self.flavour.boot_s))
        self.sandbox.boot_id_file.write_text(f"{uuid.uuid4()}\n")
        self.calls.open(self.socket_name)
        self.up = True
        for ctid in self.sandbox.ctids():
            conf = Conf.read(self.sandbox.conf(ctid))
            if ctid and conf.get("ONBOOT") == "yes" and conf.get("DISABLED") != "yes" and self.whole(ctid):
                await self._start_at_boot(ctid, conf)

    def become(self, flavour: Flavour) -> None:
        """Another kind of machine from now on."""
        self.flavour = flavour
        self.sandbox.show(flavour)
        install_on_node(self)

    async def _start_at_boot(self, ctid: int, conf: Conf) -> None:
        """As `vzctl start` does it: from a dump that can be used, else cold."""
        dump, addresses = self.sandbox.dump(ctid), (conf.get("IP_ADDRESS") or "").split()
        kept = None
        if dump.exists():
            with contextlib.suppress(Refused):
                kept = read_dump(dump)
        await self.bring_up(ctid, conf, addresses, kept)
        dump.unlink(missing_ok=True)

    async def _end_all(self) -> None:
        for task in list(self.tasks):
            task.cancel()
        await self.answers.close_all()
        await self.calls.close()
        for ctid in list(self.table):
            self.kill_inside(ctid)
        processes.end(processes.started_with(self.marker))

    @property
    def bin_dir(self) -> Path:
        return self.folder / "bin"

    @property
    def marker(self) -> str:
        """Environment entry by which processes of this node are known."""
        return f"VZQ_SIMNODE={self.socket_name}"

    @property
    def environment(self) -> Mapping[str, str]:
        """What sshd gives a command on this node."""
        name, _, value = self.marker.partition("=")
        return {
            name: value,
            "HOME": str(self.sandbox.home),
            "USER": "root",
            "LOGNAME": "root",
            "SHELL": "/bin/sh",
            "PATH": f"{self.bin_dir}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "VZQ_NODE_ROOT": str(self.sandbox.root),
            "PERL_BADLANG": "0",  # the tools are Perl, which otherwise complains of a locale that this machine lacks
        }

    def command_line(self, pid: int) -> str:
        """How a process of this node shows in `ps`: thin clients by their tool's name."""
        call = self.calls.running.get(pid)
        return call.shown if call else processes.command_line(pid)
