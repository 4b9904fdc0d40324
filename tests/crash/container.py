"""What the stand-in node keeps of one container id, and what each command does to it, moment by moment.

Each command is a generator: it yields how long the next stretch takes, and between two yields something on the disk
changes. Dropping it at a yield is `kill -9` there, and what was done until then is the debris (facts §4.4).
"""

from collections.abc import Generator
from dataclasses import dataclass, field

Doing = Generator[float, None, tuple[int, str, str]]  # yields seconds; returns exit code, stdout, stderr
SAMPLE = {"CPUUNITS": "1000", "PHYSPAGES": "0:65536", "SWAPPAGES": "0:65536", "DISKSPACE": "2G:2.2G"}
MARK = "X_VZQ_JOB"


@dataclass
class Container:
    """The files and the kernel's view of one id."""

    ctid: int
    conf: dict[str, str] | None = None
    destroyed: dict[str, str] | None = None  # CTID.conf.destroyed
    private: str = "none"  # none, empty, full
    half_made: bool = False  # CTID.tmp
    mounted: bool = False
    running: bool = False
    lock: object | None = None  # the process that holds it
    stale_lock: bool = False
    password: str = ""
    creates: int = 0  # private areas that were finished
    destroys: int = 0  # whole ones that were taken away
    history: list[str] = field(default_factory=list)  # what was started on it, in order
    strangers_from: int | None = None  # how much of the history there was when it became a stranger's

    def history_after_stranger(self) -> list[str]:
        """What may be asked of a stranger's container: nothing but questions and our own first claim, which is refused."""
        since = self.history[self.strangers_from or 0 :]
        return [word for word in since if word not in ("plant", "clean", "unplant")]

    @property
    def nothing(self) -> bool:
        return self.conf is None and self.private == "none" and not (self.half_made or self.mounted or self.running)

    @property
    def owner(self) -> str | None:
        """Whose mark vzq-ct sees; "" when there is a conf without one."""
        if self.conf is not None:
            return self.conf.get(MARK, "")
        return self.destroyed.get(MARK) if self.destroyed else None


def vzctl(container: Container, me: object, words: list[str], stdin: bytes, node: "HasTemplates") -> Doing:
    """The command behind `vzctl`, under the container's lock."""
    verb, rest = words[0], words[2:]
    if verb == "exec2":
        return (yield from _password(container, stdin))
    if container.lock is not None:
        return 9, "", "Container already locked"
    container.lock, container.stale_lock = me, False
    yield 0.05
    doing = {"create": _create, "set": _set, "start": _start, "stop": _stop, "umount": _umount, "destroy": _destroy}[verb]
    answer = yield from doing(container, rest, node)
    container.lock = None
    return answer


class HasTemplates:
    """What a command needs of the node."""

    templates: tuple[str, ...] = ()


def _create(c: Container, words: list[str], node: HasTemplates) -> Doing:
    if c.conf is None:
        c.conf = dict(SAMPLE)  # vzctl copies a sample then; the engine must never let this happen
    if c.private == "full":
        return 44, "", "Private area already exists"
    template = words[words.index("--ostemplate") + 1]
    if template not in node.templates:
        return 91, "", f"Cached OS template {template} not found"
    c.private = "empty"
    yield 0.2
    c.half_made = True
    yield 3.0
    c.half_made, c.private = False, "full"
    c.creates += 1
    yield 0.5
    c.conf = (c.conf or {}) | {"OSTEMPLATE": template, "VE_LAYOUT": "simfs"}
    c.destroyed = None
    return 0, "Container private area was created", ""


_OPTIONS = {
    "--ram": "PHYSPAGES", "--swap": "SWAPPAGES", "--diskspace": "DISKSPACE", "--diskinodes": "DISKINODES", "--cpus": "CPUS", "--cpuunits": "CPUUNITS",
    "--hostname": "HOSTNAME", "--name": "NAME", "--description": "DESCRIPTION", "--nameserver": "NAMESERVER", "--searchdomain": "SEARCHDOMAIN",
    "--onboot": "ONBOOT", "--ipadd": "IP_ADDRESS",
}  # fmt: skip


def _set(c: Container, words: list[str], _node: HasTemplates) -> Doing:
    values = {_OPTIONS[option]: value for option, value in zip(words[:-1:2], words[1:-1:2], strict=True)}
    for key in ("PHYSPAGES", "SWAPPAGES"):
        if key in values:
            values[key] = f"0:{int(values[key].rstrip('K')) // 4}"
    yield 0.1
    c.conf = (c.conf or {}) | values  # of a missing container too, and says 0
    yield 0.05
    return 0, "CT configuration saved", ""


def _start(c: Container, _words: list[str], _node: HasTemplates) -> Doing:
    if c.running:
        return 32, "", "Container is already running"
    if c.conf is None:
        return 14, "", "Container config file does not exist"
    if c.private != "full":
        return 43, "", "Container private area does not exist"
    c.mounted = True
    yield 0.8
    c.running = True
    yield 0.3
    return 0, "Container start in progress...", ""


def _stop(c: Container, _words: list[str], _node: HasTemplates) -> Doing:
    if not c.running:
        return 0, "", "Container is not running"
    yield 0.4
    c.running = False
    yield 0.2
    c.mounted = False
    return 0, "Container was stopped", ""


def _umount(c: Container, _words: list[str], _node: HasTemplates) -> Doing:
    if c.running:
        return 32, "", "Container is running"
    if not c.mounted:
        return 40, "", "CT is not mounted"
    yield 0.1
    c.mounted = False
    return 0, "", ""


def _destroy(c: Container, _words: list[str], _node: HasTemplates) -> Doing:
    if c.running:
        return 32, "Container is currently running. Stop it first.", ""
    if c.mounted:
        return 41, "Container is currently mounted (umount first)", ""
    if c.conf is None:
        return 14, "", "Container config file does not exist"
    if c.private == "full":
        c.destroys += 1
    c.private = "none"
    yield 0.3
    c.destroyed, c.conf = c.conf, None
    return 0, "Container private area was destroyed", ""


def _password(c: Container, stdin: bytes) -> Doing:
    if not c.running:
        return 31, "", "Container is not running"
    yield 0.1
    c.password = stdin.decode().split("root:")[1].splitlines()[0]
    yield 0.1
    return 0, "vzq-password:0", ""


def vzq_ct(c: Container, words: list[str]) -> Doing:
    """plant, clean, unplant (ops/docs/node-side.md)."""
    if c.lock is not None:
        return 9, "", f"vzq-ct: container {c.ctid} is locked"
    yield 0.02
    answer = yield from {"plant": _plant, "clean": _clean, "unplant": _unplant}[words[0]](c, words[2], words)
    yield 0.02
    return answer


def _plant(c: Container, job: str, words: list[str]) -> Doing:
    if c.conf is None and c.private == "none" and not c.half_made:
        c.conf = dict(SAMPLE) | {"VE_LAYOUT": words[4], "ORIGIN_SAMPLE": words[3], MARK: job}
    elif c.conf is None or c.conf.get(MARK) != job:
        return 17, "", f"vzq-ct: container {c.ctid} is somebody else's"
    yield 0.0
    return 0, "", ""


def _clean(c: Container, job: str, _words: list[str]) -> Doing:
    if c.owner is None and c.private == "none" and not c.half_made:
        return 0, "", ""
    if c.owner != job:
        return 17, "", "vzq-ct: not of this job"
    if c.running:
        return 16, "", "vzq-ct: it runs"
    c.half_made, c.stale_lock = False, False
    yield 0.02
    c.private = "none" if c.private == "empty" else c.private
    return 0, "", ""


def _unplant(c: Container, job: str, _words: list[str]) -> Doing:
    if c.owner not in (None, job):
        return 17, "", "vzq-ct: not of this job"
    if c.owner == job:
        if c.private != "none" or c.half_made:
            return 16, "", "vzq-ct: clean first"
        c.conf = None
        yield 0.02
        if c.destroyed and c.destroyed.get(MARK) == job:
            c.destroyed = None
    return 0, "", ""


def sight(c: Container, boot_id: str) -> str:
    """What `vzq-ct look` prints."""
    status = (
        "exist" if c.conf is not None and c.private != "none" else "deleted",
        "mounted" if c.mounted else "unmounted",
        "running" if c.running else "down",
    )
    lock = "live" if c.lock is not None else "stale" if c.stale_lock else "none"
    lines = [
        f"vzq-ct1 look ctid={c.ctid}", f"status={' '.join(status)}", "status_rc=0", f"private={c.private}",
        f"half_made={'yes' if c.half_made else 'no'}", "migrated=no", f"lock={lock}", "lock_pid=4711", f"lock_by=vzctl something {c.ctid}",
        f"boot_id={boot_id}", f"conf={'yes' if c.conf is not None else 'no'}",
    ]  # fmt: skip
    return "\n".join([*lines, *(f'|{key}="{value}"' for key, value in (c.conf or {}).items()), "end", ""])
