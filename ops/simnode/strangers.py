"""What an administrator does behind vzq's back: containers of his own, and a lock held by his own vzctl."""

import os
import shlex
import signal
from typing import TYPE_CHECKING

from ops.simnode import processes
from ops.simnode.conf import Conf
from ops.simnode.templates import TEMPLATES, find, unpack

if TYPE_CHECKING:
    from ops.simnode.node import Node


async def make(node: "Node", ctid: int, *, name: str, hostname: str, address: str, running: bool) -> None:
    """A whole container that nobody ordered; raises ValueError when the id is in use."""
    if node.sandbox.conf(ctid).exists() or node.sandbox.private(ctid).exists():
        raise ValueError(f"container {ctid} is on {node.name} already")
    template = TEMPLATES["busybox-mini-x86_64"]
    found = find(template.name, node.sandbox.cache_dir)
    private = node.sandbox.private(ctid)
    private.mkdir()
    if found:
        unpack(found[1], private)
    node.sandbox.mount_point(ctid).mkdir(exist_ok=True)
    conf = Conf(node.sandbox.conf(ctid), node.sandbox.sample("vswap-256m").read_text())
    wishes = {"VE_LAYOUT": "simfs", "OSTEMPLATE": template.name, "VE_ROOT": "/vz/root/$VEID", "VE_PRIVATE": "/vz/private/$VEID"}
    for key, value in {**wishes, "IP_ADDRESS": address, "NAME": name, "HOSTNAME": hostname}.items():
        if value:
            conf.set(key, value)
    conf.save()
    if name:
        (node.sandbox.names_dir / name).symlink_to(f"/etc/vz/conf/{ctid}.conf")
    node.disk.sizes[ctid] = template.kib
    if running:
        await node.bring_up(ctid, conf, address.split())
    node.save()


async def hold_lock(node: "Node", ctid: int, seconds: float) -> int:
    """Lock the container by a real process that shows as `vzctl stop CTID`; returns its pid."""
    folder = node.folder / "strangers"
    folder.mkdir(exist_ok=True)
    script = folder / "stop"  # run by a shell that calls itself vzctl: its command line reads `vzctl stop CTID`
    script.write_text(f"sleep {shlex.quote(str(seconds))}\n")
    lock = node.sandbox.lock(ctid)
    process = processes.start(
        ["vzctl", "stop", str(ctid)], executable="/bin/sh", env=node.environment, cwd=folder, stdin=None, stdout=None, stderr=None
    )
    fresh = lock.with_name(f"{lock.name}.{process.pid}")
    fresh.write_text(f"{process.pid}\n\n")
    fresh.chmod(0o600)
    try:
        os.link(fresh, lock)
    except FileExistsError:
        process.send(signal.SIGTERM)
        raise ValueError(f"container {ctid} is locked already") from None
    finally:
        fresh.unlink()

    async def release() -> None:
        await process.ended()
        if lock.exists() and lock.read_text().startswith(f"{process.pid}\n"):
            lock.unlink()

    node.later(release())
    return process.pid
