"""The container lock of vzctl 4.11: a file made by link(2) that names the holder's process."""

import os
from typing import TYPE_CHECKING

from ops.simnode import processes
from ops.simnode.calls import Refused

if TYPE_CHECKING:
    from ops.simnode.calls import Call


def holder(call: "Call", ctid: int) -> int | None:
    """The pid in the lock file; 0 where the file says nothing of use, None without a file."""
    try:
        first = call.node.sandbox.lock(ctid).read_text().partition("\n")[0]
    except OSError:
        return None
    return int(first) if first.isdigit() else 0


async def take(call: "Call", ctid: int) -> None:
    """Take the lock for the calling process or raise Refused 9; a dead holder's file is removed first, as vzctl does."""
    path = call.node.sandbox.lock(ctid)
    fresh = path.with_name(f"{path.name}.{call.pid}")
    fresh.write_text(f"{call.pid}\n\n")
    fresh.chmod(0o600)
    try:
        while True:
            try:
                os.link(fresh, path)
                return
            except FileExistsError:
                pid = holder(call, ctid)
            if pid is None:
                continue
            if processes.alive(pid):
                await call.err(f"Locked by: pid {pid}, cmdline {call.node.command_line(pid)}")
                raise Refused(9, "Container already locked")
            await call.out(f"Removing stale lock file {call.node.sandbox.shown(path)}")
            path.unlink(missing_ok=True)
    finally:
        fresh.unlink(missing_ok=True)


def give_back(call: "Call", ctid: int) -> None:
    """Remove the lock if it is this call's."""
    if holder(call, ctid) == call.pid:
        call.node.sandbox.lock(ctid).unlink(missing_ok=True)
