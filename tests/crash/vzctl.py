"""What each command of the stand-in node's vzctl does to a container, moment by moment.

Each command is a generator: it yields how long the next stretch takes, and between two yields something on the disk
changes. Dropping it at a yield is `kill -9` there, and what was done until then is the debris (facts §4.4).
"""

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from tests.crash.container import LIVE, SAMPLE, Area, Container

if TYPE_CHECKING:
    from tests.crash.node import Run, StandInNode

Doing = Generator[float, None, tuple[int, str, str]]  # yields seconds; returns exit code, stdout, stderr
Command = Callable[[Container, list[str], "StandInNode"], Doing]


def vzctl(node: "StandInNode", container: Container, run: "Run", words: list[str], stdin: bytes) -> Doing:
    """The command behind `vzctl`, under the container's lock."""
    verb, rest = words[0], words[2:]
    if verb == "exec2":
        return (yield from (_password(container, stdin) if b"root:" in stdin else _script(container)))
    if container.lock is not None:
        return 9, "", "Container already locked"
    container.lock, container.stale_lock = run, False
    yield 0.05
    answer = yield from COMMANDS[verb](container, rest, node)
    container.lock = None
    return answer


def _create(c: Container, words: list[str], node: "StandInNode") -> Doing:
    if c.conf is None:
        c.conf = dict(SAMPLE)  # vzctl copies a sample then; the engine must never let this happen
    if c.area is not None and c.area.full:
        return 44, "", "Private area already exists"
    template = words[words.index("--ostemplate") + 1]
    if template not in node.templates:
        return 91, "", f"Cached OS template {template} not found"
    c.area = Area(c.made + 1)
    yield 0.2
    c.half_made = True
    yield 3.0
    c.made += 1
    c.half_made, c.area = False, Area(c.made, full=True, keys=f"keys of system {c.made}")
    c.effects["made"] += 1
    yield 0.5
    c.conf = (c.conf or {}) | {"OSTEMPLATE": template, "VE_LAYOUT": "simfs"}
    c.destroyed = None
    return 0, "Container private area was created", ""


_OPTIONS = {
    "--ram": "PHYSPAGES", "--swap": "SWAPPAGES", "--diskspace": "DISKSPACE", "--diskinodes": "DISKINODES", "--cpus": "CPUS", "--cpuunits": "CPUUNITS",
    "--hostname": "HOSTNAME", "--name": "NAME", "--description": "DESCRIPTION", "--nameserver": "NAMESERVER", "--searchdomain": "SEARCHDOMAIN",
    "--onboot": "ONBOOT", "--disabled": "DISABLED",
}  # fmt: skip


def _set(c: Container, words: list[str], _node: "StandInNode") -> Doing:
    """First what runs, then the file: killed between both, they differ."""
    values: dict[str, str] = {}
    added, gone = [], []
    for option, value in zip(words[:-1:2], words[1:-1:2], strict=True):
        if option == "--ipadd":
            added.append(value)
        elif option == "--ipdel":
            gone.append(value)
        elif option == "--nameserver" and "NAMESERVER" in values:
            values["NAMESERVER"] += f" {value}"
        else:
            values[_OPTIONS[option]] = value
    for key in ("PHYSPAGES", "SWAPPAGES"):
        if key in values:
            values[key] = f"0:{int(values[key].rstrip('K')) // 4}"
    yield 0.1
    if c.running:
        c.live |= {key: value for key, value in values.items() if key in LIVE}
        c.live["IP_ADDRESS"] = _addresses(c.live.get("IP_ADDRESS", ""), added, gone)
        yield 0.05
    c.conf = (c.conf or {}) | values  # of a missing container too, and says 0
    if added or gone:
        c.conf["IP_ADDRESS"] = _addresses(c.conf.get("IP_ADDRESS", ""), added, gone)
    yield 0.05
    return 0, "CT configuration saved", ""


def _addresses(there: str, added: list[str], gone: list[str]) -> str:
    kept = [address for address in there.split() if address not in (*gone, *added)]
    return " ".join([*kept, *added])


def _start(c: Container, _words: list[str], _node: "StandInNode") -> Doing:
    if c.running:
        return 32, "", "Container is already running"
    if c.conf is None:
        return 14, "", "Container config file does not exist"
    if c.conf.get("DISABLED") == "yes":
        return 105, "", "Container start disabled"
    if c.private != "full":
        return 43, "", "Container private area does not exist"
    c.mounted = True
    yield 0.8
    c.boots()
    c.effects["started"] += 1
    yield 0.3
    return 0, "Container start in progress...", ""


def _stop(c: Container, _words: list[str], _node: "StandInNode") -> Doing:
    if not c.running:
        return 0, "", "Unable to stop: container is not running"
    yield 0.4
    c.halts()
    c.effects["stopped"] += 1
    yield 0.2
    c.mounted = False
    return 0, "Container was stopped", ""


def _umount(c: Container, _words: list[str], _node: "StandInNode") -> Doing:
    if c.running:
        return 32, "", "Container is running"
    if not c.mounted:
        return 40, "", "CT is not mounted"
    yield 0.1
    c.mounted = False
    return 0, "", ""


def _destroy(c: Container, _words: list[str], _node: "StandInNode") -> Doing:
    if c.running:
        return 32, "Container is currently running. Stop it first.", ""
    if c.mounted:
        return 41, "Container is currently mounted (umount first)", ""
    if c.conf is None:
        return 14, "", "Container config file does not exist"
    if c.private == "full":
        c.effects["destroyed"] += 1
    c.area = None
    yield 0.3
    c.destroyed, c.conf = c.conf, None
    return 0, "Container private area was destroyed", ""


def _checkpoint(c: Container, words: list[str], _node: "StandInNode") -> Doing:
    yield 0.05
    if words[0] == "--resume":
        return thawed(c), "", ""
    if not c.running:
        return 31, "", "Container is not running"
    c.halts()
    return 0, "Killing...", ""


def _restore(c: Container, words: list[str], _node: "StandInNode") -> Doing:
    yield 0.1
    if words[0] == "--dumpfile":
        return restored(c, frozen=False), "", ""
    if not c.running:
        return 31, "", "Container is not running"
    c.halts()
    yield 0.05
    c.mounted = False
    return 0, "", ""


def thawed(c: Container) -> int:
    """`--resume`: it goes on; the exit code."""
    if not c.running or not c.frozen:
        return 31 if not c.running else 16
    c.frozen = False
    c.copies.woke(c)
    return 0


def restored(c: Container, *, frozen: bool) -> int:
    """From vzmigrate's dump; frozen until it is let go on; the exit code."""
    if c.running:
        return 32
    if c.dump is None or c.conf is None or c.private != "full":
        return 17
    c.mounted = c.running = True
    c.frozen, c.memory, c.live = frozen, c.dump.memory, dict(c.dump.live)
    if not frozen:
        c.copies.woke(c)
    return 0


COMMANDS: dict[str, Command] = {
    "create": _create, "set": _set, "start": _start, "stop": _stop, "umount": _umount, "destroy": _destroy,
    "chkpnt": _checkpoint, "restore": _restore,
}  # fmt: skip


def _script(c: Container) -> Doing:
    """One that was ordered; its first line takes effect."""
    if not c.awake:
        return 31, "", "Container is not running"
    yield 0.1
    c.effects["script"] += 1
    yield 0.5
    return 0, "done\n", "vzq-end 0\n"


def _password(c: Container, stdin: bytes) -> Doing:
    if not c.running or c.area is None:
        return 31, "", "Container is not running"
    yield 0.1
    c.area.password = stdin.decode().split("root:")[1].splitlines()[0]
    c.effects["password"] += 1
    yield 0.1
    return 0, "vzq-password:0", ""
