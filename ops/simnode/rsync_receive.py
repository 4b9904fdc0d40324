"""The receiving end of rsync: files as they come, room as there is, and what is there too much goes only after the last one."""

import asyncio
import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ops.simnode.calls import Call

BROKEN, NO_ROOM = 12, 11


async def receive(call: "Call", target: str) -> int:
    """Write what comes on the caller's input below `target`; 12 when it ends too early, 11 when the disk is full."""
    place = call.node.sandbox.root / target.strip("/")
    reader = asyncio.StreamReader(limit=1 << 30)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(call.files[0]), "rb", buffering=0)
    )
    try:
        about = await _line(reader)
        await call.phase("receive")
        kept: set[str] = set()
        room = Room(call, place, about)
        while not (entry := await _line(reader)).get("end"):
            body = await reader.readexactly(entry.get("bytes", 0))
            if not room.take(len(body)):
                await call.noise(f'rsync: [receiver] write failed on "{target}{entry["name"]}": No space left on device (28)')
                await call.noise("rsync error: error in file IO (code 11) at receiver.c(657) [receiver=3.5.0]")
                return NO_ROOM
            _write(place / entry["name"] if entry["name"] else place, entry, body)
            kept.add(entry["name"])
        await call.phase("received")
        _remove_others(place, kept)
        room.whole()
    except (asyncio.IncompleteReadError, json.JSONDecodeError):
        return BROKEN
    finally:
        transport.close()
    return 0


class Room:
    """The simulated disk while a copy comes in: it fills in step with the bytes."""

    def __init__(self, call: "Call", place: Path, about: dict[str, Any]) -> None:
        self.disk = call.node.disk
        self.kib = int(about["kib"])
        self.bytes = max(int(about["bytes"]), 1)
        self.ctid = int(place.name) if place.parent == call.node.sandbox.private_dir else None
        self.had_kib = self.disk.sizes.get(self.ctid, 0) if self.ctid is not None else 0
        self.free_kib = self.disk.free_kib + self.had_kib
        self.came = 0

    def take(self, much: int) -> bool:
        self.came += much
        now = round(self.kib * min(self.came / self.bytes, 1.0))
        if now > self.free_kib:
            return False
        if self.ctid is not None:
            self.disk.sizes[self.ctid] = max(now, self.had_kib)
        return True

    def whole(self) -> None:
        if self.ctid is not None:
            self.disk.sizes[self.ctid] = self.kib


async def _line(reader: asyncio.StreamReader) -> dict[str, Any]:
    line = await reader.readline()
    if not line.endswith(b"\n"):
        raise asyncio.IncompleteReadError(line, None)
    entry: dict[str, Any] = json.loads(line)
    return entry


def _write(path: Path, entry: dict[str, Any], body: bytes) -> None:
    if path.is_symlink() or (path.exists() and path.is_dir() != bool(entry.get("folder"))):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    if "link" in entry:
        path.symlink_to(entry["link"])
        return
    if entry.get("folder"):
        path.mkdir(parents=True, exist_ok=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.rsync")
        fresh.write_bytes(body)
        fresh.replace(path)
    path.chmod(entry["mode"])
    os.utime(path, ns=(entry["mtime_ns"], entry["mtime_ns"]))


def _remove_others(place: Path, kept: set[str]) -> None:
    """--delete."""
    if not place.is_dir():
        return
    for path in sorted(place.rglob("*"), reverse=True):
        if str(path.relative_to(place)) not in kept:
            with contextlib.suppress(OSError):
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
