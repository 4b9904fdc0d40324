"""`rsync` between nodes as vzmigrate uses it: a real stream over ssh, cut off where the link is cut, with the time its bytes take.

Only folders and files of the node's /vz are known; anything else is the machine's own rsync. The wire is not rsync's: a line
of JSON about the whole, a line for each file followed by its bytes, and a last line without which the copy is not whole.
"""

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import asyncssh

from ops.simnode.copies import figures_of_a_copy
from ops.simnode.rsync_receive import receive
from ops.simnode.ssh_client import Peer, finished
from ops.simnode.ssh_options import BadOption

if TYPE_CHECKING:
    from ops.simnode.calls import Call

SEEN_S = 0.5  # of a copy that takes longer, /proc tells how far it is
STEPS = 20  # the time of a transfer passes in so many parts, so that a kill finds it in the middle
SERVER = "rsync --server -lHogDtpAXrSe.iLsfxCIvu --delete --numeric-ids ."
NO_CONNECTION, BROKEN = 255, 12


async def rsync(call: "Call") -> int:
    """One end: `--server`, or the one that sends."""
    if "--server" in call.words:
        return await receive(call, call.words[-1])
    host, colon, target = call.words[-1].partition(":") if len(call.words) > 1 else ("", "", "")
    source = call.node.sandbox.real(call.words[-2] if colon else "")
    if not colon or not source.is_relative_to(call.node.sandbox.root):
        await call.write(b"x", "\0".join(["/usr/bin/rsync", *call.words]).encode(errors="surrogateescape"))
        return 0
    return await send(call, source, host.rpartition("@")[2], target)


async def send(call: "Call", source: Path, host: str, target: str) -> int:
    node = call.node
    await call.phase("connect")
    peer, borrowed = _peer(call, host)
    try:
        connection = await peer.connect()
    except (asyncssh.Error, OSError, BadOption, ValueError) as error:
        await call.noise(f"ssh: connect to host {host}: {error}")
        await call.noise(f"rsync error: unexplained error (code {NO_CONNECTION}) at io.c(226) [sender=3.5.0]")
        return NO_CONNECTION
    began = time.monotonic()
    try:
        process = await connection.create_process(f"{SERVER} {shlex.quote(target)}", encoding=None)
        ended = asyncio.create_task(finished(process))
        with contextlib.suppress(BrokenPipeError, ConnectionError, asyncssh.Error, OSError):
            await _pour(call, process, source)
        said = await ended
    except (asyncssh.Error, OSError) as error:
        await call.noise(f"rsync: connection unexpectedly closed: {error}")
        return BROKEN
    finally:
        shutil.rmtree(node.sandbox.root / f"proc/{call.pid}", ignore_errors=True)
        if not borrowed:
            await peer.leave(connection)
    await node.latency.rest_of("rsync", began)
    if said.err:
        await call.noise(said.err.rstrip("\n"))
    return BROKEN if said.code == NO_CONNECTION else said.code


def _peer(call: "Call", host: str) -> tuple[Peer, bool]:
    """How to get there: over the open connection that -e names, or a new one."""
    shell = shlex.split(call.words[call.words.index("-e") + 1])[1:] if "-e" in call.words else []
    path = next((word.removeprefix("ControlPath=") for word in shell if word.startswith("ControlPath=")), "")
    if path in call.node.masters:
        return call.node.masters[path], True
    return Peer(call.node, host, shlex.join(shell), mux=False), False


async def _pour(call: "Call", process: "asyncssh.SSHClientProcess[bytes]", source: Path) -> None:
    """Send the whole, in parts that take their time together."""
    node = call.node
    about, kib, seconds = figures_of_a_copy(node, source, call.words[-1])
    written = node.sandbox.root / f"proc/{call.pid}/io" if node.latency.speed * seconds > SEEN_S else None
    process.stdin.write(line(about))
    await process.stdin.drain()
    await call.phase("send")
    pieces = list(_pieces(source))
    for step in range(STEPS):
        for piece in pieces[step::STEPS] if seconds else pieces if not step else []:
            process.stdin.write(piece)
        if written is not None:
            written.parent.mkdir(exist_ok=True)
            written.write_text(f"rchar: 0\nwchar: {int(kib * 1024 * step / STEPS)}\n")
        if seconds:
            await process.stdin.drain()
            await node.latency.of(seconds / STEPS)
        if process.channel.is_closing():
            return
    await call.phase("sent")
    process.stdin.write(line({"end": True}))
    process.stdin.write_eof()


def line(values: dict[str, object]) -> bytes:
    return json.dumps(values).encode() + b"\n"


def _pieces(source: Path) -> Iterator[bytes]:
    """Each folder, link and file below, a folder before what is in it."""
    paths = [source] if source.is_file() else sorted(source.rglob("*"))
    for path in paths:
        with contextlib.suppress(FileNotFoundError):  # it vanished: rsync's 24, which vzmigrate takes as well
            seen = path.lstat()
            name = "" if path == source else str(path.relative_to(source))
            about: dict[str, object] = {"name": name, "mode": stat.S_IMODE(seen.st_mode), "mtime_ns": seen.st_mtime_ns}
            if path.is_symlink():
                yield line({**about, "link": str(path.readlink())})
            elif path.is_dir():
                yield line({**about, "folder": True})
            elif stat.S_ISREG(seen.st_mode):
                body = path.read_bytes()
                yield line({**about, "bytes": len(body)}) + body


def control_path(pid: int) -> str:
    """Where ssh would keep the socket of a shared connection."""
    return f"/tmp/vzmigrate-ssh.{pid}/mux-{os.getpid()}"
