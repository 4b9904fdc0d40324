"""vzctl destroy."""

import shutil

from ops.simnode.calls import Call
from ops.simnode.vzctl_create import NO_QUOTA
from ops.simnode.vzctl_run import no_more


async def destroy(call: Call, ctid: int, words: list[str]) -> int:
    no_more(words)
    node = call.node
    state = node.state(ctid)
    if state.running:
        await call.out("Container is currently running. Stop it first.")
        return 32
    point = node.sandbox.mount_point(ctid)
    if await node.is_mounted(call, ctid):
        await call.out("Container is currently mounted (umount first)")
        return 41
    private = node.sandbox.private(ctid)
    await call.out(f"Destroying container private area: {node.sandbox.shown(private)}")
    for _ in range(2):
        await call.err(NO_QUOTA)
    shutil.rmtree(private, ignore_errors=True)
    node.disk.sizes.pop(ctid, None)
    call.effects.append("destroyed")
    await call.phase("removed", "destroy")
    if point.exists():
        point.rmdir()
    else:
        await call.err(f"Warning: failed to remove {node.sandbox.shown(point)}: No such file or directory")
    _forget(call, ctid)
    await call.out("Container private area was destroyed")
    return 0


def _forget(call: Call, ctid: int) -> None:
    """The configuration is kept as `.destroyed`; the name, the dump and the container's fakes go."""
    node = call.node
    conf = node.sandbox.conf(ctid)
    kept = node.conf_of(ctid)
    name = kept.get("NAME") if kept else None
    link = node.sandbox.names_dir / (name or "")
    if name and link.is_symlink() and link.readlink().name == conf.name:
        link.unlink()
    conf.replace(f"{conf}.destroyed")
    node.sandbox.dump(ctid).unlink(missing_ok=True)
    shutil.rmtree(node.inside_bin(ctid), ignore_errors=True)
    node.save()
