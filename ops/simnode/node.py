"""One simulated node: its sandbox, which of its containers run, and its life from boot to crash."""

import asyncio
import json
import os
import random
import signal
import time
import traceback
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ops.simnode import inside, processes
from ops.simnode.answers import Answers
from ops.simnode.calls import Call, CallServer
from ops.simnode.conf import Conf
from ops.simnode.disk import Disk
from ops.simnode.faults import Faults
from ops.simnode.latency import Latency
from ops.simnode.node_state import Flavour, Running
from ops.simnode.sandbox import Sandbox
from ops.simnode.templates import TEMPLATES, Template
from ops.simnode.tools import install_inside, install_on_node, tool_named

SECRET_OPTIONS = ("--userpasswd",)


class Node:
    """A node and all that happens on it."""

    def __init__(self, folder: Path, *, name: str, socket_name: str, flavour: Flavour, speed: float, chance: random.Random) -> None:
        self.folder = folder.absolute()
        self.name = name
        self.socket_name = socket_name
        self.flavour = flavour
        self.sandbox = Sandbox(self.folder / "root")
        self.latency = Latency(speed, chance)
        self.faults = Faults()
        self.answers = Answers(self)
        self.disk = Disk(self)
        self.calls = CallServer(self, tool_named)
        self.table: dict[int, Running] = {}
        self.inside: dict[int, set[int]] = {}  # session leaders started in each container
        self.went_down: dict[int, asyncio.Event] = {}  # set when a running container goes down
        self.up = False  # powered on
        self.tasks: set[asyncio.Task[None]] = set()

    # -- power ------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Switch on after an ordinary switch-off: what ran runs again as it was."""
        flavour = self.flavour
        self.sandbox.furnish(memory_mib=flavour.memory_mib, cpus=flavour.cpus, vswap=flavour.vswap)
        install_on_node(self)
        processes.end(processes.started_with(self.marker))  # left by a simulator that was killed
        saved = self._state_file
        if saved.exists():
            kept = json.loads(saved.read_text())
            self.table = {int(ctid): Running(**state) for ctid, state in kept["containers"].items()}
            self.disk.sizes = {int(ctid): kib for ctid, kib in kept["disk"].items()}
        self.calls.open(self.socket_name)
        self.up = True
        for ctid, state in self.table.items():
            self._prepare_inside(ctid)
            for address in state.addresses:
                await self.answers.open(ctid, address, after_s=0.0)

    async def close(self) -> None:
        """Switch off in order: the table is kept, commands under way die where they are."""
        self.up = False
        self.save()
        await self._end_all()

    async def crash(self) -> None:
        """Power off: every process is gone and nothing runs any more; the files stay as they are."""
        self.up = False
        await self._end_all()
        self.table = {}
        self.save()

    async def boot(self) -> None:
        """Power on after a crash: a new boot id, and containers with ONBOOT=yes start."""
        await asyncio.sleep(self.latency.seconds(self.flavour.boot_s))
        self.sandbox.boot_id_file.write_text(f"{uuid.uuid4()}\n")
        self.calls.open(self.socket_name)
        self.up = True
        for ctid in self.sandbox.ctids():
            conf = Conf.read(self.sandbox.conf(ctid))
            if ctid and conf.get("ONBOOT") == "yes" and conf.get("DISABLED") != "yes" and self.whole(ctid):
                await self.bring_up(ctid, conf, (conf.get("IP_ADDRESS") or "").split())

    async def _end_all(self) -> None:
        for task in self.tasks:
            task.cancel()
        await self.answers.close_all()
        await self.calls.close()
        for ctid in list(self.inside):
            self.kill_inside(ctid)
        processes.end(processes.started_with(self.marker))

    # -- containers -------------------------------------------------------------------------------------------

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
        return shell if os.path.exists(shell) else "/bin/sh"

    async def warn_of_broken_lines(self, call: Call, ctid: int) -> None:
        """Say which lines of the configuration cannot be read, as every real command does first."""
        conf = self.conf_of(ctid)
        for number in conf.broken_lines if conf else ():
            await call.err(f"Warning: can't parse {self.sandbox.shown(conf.path)}:{number} ('=' not found), skipping")

    async def is_mounted(self, call: Call, ctid: int) -> bool:
        """As vzctl finds out: with a complaint where the mount point does not exist."""
        point = self.sandbox.mount_point(ctid)
        if not point.exists() and not point.is_symlink():
            await call.err(f"stat({self.sandbox.shown(point)}): No such file or directory")
        return self.state(ctid).mounted

    def mount(self, ctid: int) -> None:
        point = self.sandbox.mount_point(ctid)
        if point.is_dir() and not point.is_symlink():
            point.rmdir()
        point.unlink(missing_ok=True)
        point.symlink_to(os.path.relpath(self.sandbox.private(ctid), point.parent))
        self.table.setdefault(ctid, Running()).mounted = True
        self.save()

    def unmount(self, ctid: int) -> None:
        point = self.sandbox.mount_point(ctid)
        point.unlink(missing_ok=True)
        point.mkdir(exist_ok=True)
        self.table.pop(ctid, None)
        self.save()

    async def bring_up(self, ctid: int, conf: Conf, addresses: list[str]) -> None:
        """Mount and run at once, without a command (boot, a stranger)."""
        self.mount(ctid)
        self.run(ctid, conf)
        self.start_is_whole(ctid)
        for address in addresses:
            await self.add_address(ctid, address)

    def run(self, ctid: int, conf: Conf) -> None:
        """Init runs from now on."""
        state = self.table[ctid]
        name = conf.get("HOSTNAME")
        state.running, state.starting, state.since = True, True, time.time()
        self.went_down[ctid] = asyncio.Event()
        self._prepare_inside(ctid)
        self.set_hostname(ctid, name or self.name, written=bool(name))
        self.save()

    def freeze(self, ctid: int, *, frozen: bool) -> None:
        """Stop or go on with everything in a running container; its address is accepted on but silent meanwhile."""
        if not self.state(ctid).running:
            raise ValueError(f"container {ctid} does not run on {self.name}")
        self.table[ctid].frozen = frozen
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
        self._prepare_inside(ctid)
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

        self.later(asyncio.create_task(go_down()))

    def _prepare_inside(self, ctid: int) -> None:
        install_inside(self, ctid)

    def set_hostname(self, ctid: int, name: str, *, written: bool = True) -> None:
        """Name the running container; only the part before the first dot or blank counts (transcripts)."""
        short = name.replace(".", " ").split(" ")[0]
        self.table[ctid].hostname = short
        (self.inside_bin(ctid) / ".hostname").write_text(f"{short}\n")
        if written and (etc := self.sandbox.private(ctid) / "etc").is_dir():
            (etc / "hostname").write_text(f"{short}\n")
        self.save()

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
        self.went_down.pop(ctid, asyncio.Event()).set()
        self.save()

    def kill_inside(self, ctid: int) -> None:
        if (self.inside_bin(ctid)).exists():
            processes.end(inside.family(self, ctid))
        self.inside.pop(ctid, None)

    def later(self, work: "asyncio.Task[None]") -> None:
        """Keep work that outlives the call which began it (a halting container)."""
        self.tasks.add(work)
        work.add_done_callback(self.tasks.discard)

    # -- files ------------------------------------------------------------------------------------------------

    @property
    def bin_dir(self) -> Path:
        return self.folder / "bin"

    def inside_bin(self, ctid: int) -> Path:
        return self.folder / "inside" / str(ctid)

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
        }

    @property
    def _state_file(self) -> Path:
        return self.folder / "run.json"

    def save(self) -> None:
        """Write the run state down so that a switched-off lab comes back as it was."""
        state = {"containers": {str(c): asdict(s) for c, s in self.table.items()}, "disk": self.disk.sizes}
        fresh = self._state_file.with_suffix(".tmp")
        fresh.write_text(json.dumps(state))
        os.replace(fresh, self._state_file)

    def log(self, call: Call, text: str) -> None:
        """A line of vzctl.log."""
        at = datetime.now().astimezone().strftime("%Y-%m-%dT%H:%M:%S%z")
        with self.sandbox.log_file.open("a", errors="surrogateescape") as log:
            log.write("".join(f"{at} {call.tool} : CT {call.ctid} : {line}\n" for line in text.splitlines()))

    def journal(self, call: Call, code: int | None) -> None:
        """A line of journal.jsonl for each call that may change something; `exit` null: it was killed."""
        if call.tool != "vzctl" or call.command in ("status", ""):
            return
        entry: dict[str, Any] = {
            "at": datetime.fromtimestamp(call.began, UTC).isoformat(),
            "seconds": round(time.time() - call.began, 4),
            "node": self.name,
            "pid": call.pid,
            "command": call.command,
            "ctid": call.ctid,
            "argv": [call.tool, *without_secrets(call.words)],
            "exit": code,
            "effects": call.effects,
        }
        with (self.folder / "journal.jsonl").open("a") as journal:
            journal.write(json.dumps(entry, ensure_ascii=True) + "\n")

    def report(self, call: Call, error: Exception) -> None:
        """A fault of the simulator itself, for its author."""
        with (self.folder / "simulator-errors.log").open("a") as log:
            log.write(f"{[call.tool, *without_secrets(call.words)]}\n{''.join(traceback.format_exception(error))}\n")

    def command_line(self, pid: int) -> str:
        """How a process of this node shows in `ps`: thin clients by their tool's name."""
        call = self.calls.running.get(pid)
        return call.shown if call else processes.command_line(pid)


def without_secrets(words: list[str]) -> list[str]:
    """The words with passwords blotted out: no file of the simulator ever has one."""
    hidden = list(words)
    for place, word in enumerate(words):
        option, given, value = word.partition("=")
        if option in SECRET_OPTIONS and given:
            hidden[place] = f"{option}={value.partition(':')[0]}:***"
        elif place and words[place - 1] in SECRET_OPTIONS:
            hidden[place] = f"{value_user(word)}:***"
    return hidden


def value_user(word: str) -> str:
    return word.partition(":")[0]
