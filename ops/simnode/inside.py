"""What runs inside containers: `vzctl exec` and friends as real processes, and the fakes that touch the container itself.

There is no real container: a process starts in the private area and has the container's fakes first in its PATH,
but an absolute path in it is the machine's. See ops/docs/simnode.md.
"""

import base64
import hashlib
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from ops.simnode import processes
from ops.simnode.terminal import own

if TYPE_CHECKING:
    from ops.simnode.calls import Call
    from ops.simnode.containers import Containers

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def search_path(node: "Containers", ctid: int) -> str:
    """The container's PATH; it also marks the container's processes."""
    return f"{node.inside_bin(ctid)}:{PATH}"


def family(node: "Containers", ctid: int) -> set[int]:
    """All living processes of the container; to look for them is dear, so not where nothing was ever started."""
    if ctid not in node.inside:
        return set()
    entry = f"PATH={search_path(node, ctid)}"
    return processes.family(node.inside.get(ctid, set()), entry=entry, folder=node.sandbox.private(ctid))


def environment(node: "Containers", ctid: int) -> dict[str, str]:
    """All that `vzctl exec` passes on (facts §2.5)."""
    env = {"HOME": "/", "TERM": "linux", "PATH": search_path(node, ctid)}
    if node.shell_inside(ctid) == "/bin/sh":
        env["SHLVL"] = "1"  # busybox sets it itself
    return env


def begin(call: "Call", ctid: int, argv: list[str], *, stdin: int | None = None, terminal: int | None = None) -> processes.Process:
    """Start a process in the container, on the caller's own files or on a terminal; it outlives the caller.

    vzctl leaves it SIGPIPE ignored (src/lib/exec.c).
    """
    node = call.node
    files = call.files if terminal is None else [terminal] * 3
    process = processes.start(
        argv,
        env=environment(node, ctid),
        cwd=node.sandbox.private(ctid),
        stdin=files[0] if stdin is None else stdin,
        stdout=files[1],
        stderr=files[2],
        own_terminal=None if terminal is None else own,
        sigpipe=False,
    )
    node.inside.setdefault(ctid, set()).add(process.pid)

    async def forget() -> None:
        await process.ended()
        node.inside.get(ctid, set()).discard(process.pid)  # the number may soon be somebody else's

    node.later(forget())
    return process


def hashed(password: str, salt: str) -> str:
    """A line of /etc/shadow cannot be turned back; the scheme only looks like yescrypt."""
    digest = hashlib.scrypt(password.encode(errors="surrogateescape"), salt=salt.encode(), n=16, r=8, p=1, dklen=32)
    return f"$y$j9T${salt}${base64.b64encode(digest, altchars=b'./').decode().rstrip('=')}"


def set_password(private: Path, user: str, password: str) -> bool:
    """Put the hash into the container's shadow file; False where there is no such user."""
    shadow = private / "etc/shadow"
    lines = shadow.read_text().splitlines() if shadow.exists() else []
    for place, line in enumerate(lines):
        name, _, rest = line.partition(":")
        if name == user:
            lines[place] = f"{user}:{hashed(password, secrets.token_hex(8))}:{rest.partition(':')[2]}"
            shadow.write_text("\n".join(lines) + "\n")
            return True
    return False


def password_is(private: Path, user: str, password: str) -> bool:
    """Whether that password opens the account, for tests and stories."""
    for line in (private / "etc/shadow").read_text().splitlines():
        name, stored = line.split(":")[:2]
        if name == user and stored.startswith("$y$"):
            return secrets.compare_digest(stored, hashed(password, stored.split("$")[3]))
    return False


def _ctid(call: "Call") -> int:
    return int(Path(call.path).parent.name)


async def chpasswd(call: "Call") -> int:
    """`user:password` lines from its input become hashes in the container's shadow file."""
    code = 0
    for number, line in enumerate(call.given.decode(errors="surrogateescape").splitlines(), 1):
        user, colon, password = line.partition(":")
        if not colon or not set_password(call.node.sandbox.private(_ctid(call)), user, password):
            await call.noise(f"chpasswd: line {number}: {'user ' + repr(user) + ' does not exist' if colon else 'missing new password'}")
            code = 1
    return code


async def halt(call: "Call") -> int:
    """The container goes down by itself: mounted, not running (ct-crash.txt)."""
    call.node.halt_later(_ctid(call))
    return 0


async def shutdown(call: "Call") -> int:
    """On the node itself: it goes down a moment later and boots again with -r. Inside: as halt."""
    if "/inside/" in call.path:
        return await halt(call)
    call.node.power("reboot" if "-r" in call.words else "off")
    return 0


async def ps(call: "Call") -> int:
    """The container's processes in busybox's form; arguments are not looked at."""
    ctid = _ctid(call)
    node = call.node
    lines = ["PID   USER     COMMAND", "    1 root     init"]
    lines += [f"{pid:>5} root     {node.command_line(pid)}" for pid in sorted(family(node, ctid)) if processes.alive(pid)]
    await call.print("\n".join(lines) + "\n")
    return 0
