"""vzctl suspend and chkpnt: as CRIU does it on an upstream kernel (recorded), or an OpenVZ kernel (facts §2.6)."""

from ops.simnode import inside
from ops.simnode.calls import Call, Refused
from ops.simnode.checkpoints import Asked, asked, kill, thaw
from ops.simnode.copies import write_dump
from ops.simnode.vzctl_resume import restore_from
from ops.simnode.vzctl_run import AWK

STEPS = ("--suspend", "--dump", "--resume", "--kill")


async def suspend(call: Call, ctid: int, words: list[str]) -> int:
    wish = asked(call, ctid, words, STEPS)
    state = call.node.state(ctid)
    if not state.running:
        if wish.step == "--kill" and state.mounted:  # CRIU has killed it with the dump
            return await kill(call, ctid)
        if wish.step == "--resume" and wish.dump.exists():
            return await restore_from(call, ctid, wish)
        raise Refused(31, "Unable to setup checkpointing: container is not running")
    if call.node.flavour.openvz and not wish.step:
        await call.out("Setting up checkpoint...")
    if wish.step == "--resume":
        return await thaw(call, ctid)
    if wish.step == "--kill":
        return await kill(call, ctid)
    if wish.step in ("", "--suspend"):
        await _freeze(call, ctid, alone=bool(wish.step))
    if wish.step in ("", "--dump"):
        await _dump(call, ctid, wish)
    if not wish.step:
        await _go_down(call, ctid)
    return 0


async def _freeze(call: Call, ctid: int, *, alone: bool) -> None:
    node = call.node
    if node.flavour.openvz:
        await call.out("\tsuspend...")
        foreign = sorted(inside.family(node, ctid))
        if foreign:
            await call.err("Can not suspend container: Device or resource busy")
            name = node.command_line(foreign[0]).partition(" ")[0].rpartition("/")[2]
            await call.err(f"Error: external process {foreign[0]}/{foreign[0]}({name}) inside CT (e.g. vzctl enter or vzctl exec).")
            raise Refused(16, "Checkpointing failed")
    elif alone:
        await call.out("Suspending...")
    node.freeze(ctid, frozen=True)
    await call.phase("suspend", "suspend")


async def _dump(call: Call, ctid: int, wish: Asked) -> None:
    """Write the state; from now on the node has no route to the container. CRIU ends its processes too."""
    node = call.node
    state = node.state(ctid)
    if node.flavour.openvz:
        await call.out("\tdump...")
    try:
        await call.phase("dump", node.latency.base["dump"] + node.latency.amount("dump-kib", node.load(ctid).rss_kib))
    except Refused as refused:
        if not wish.step:
            node.freeze(ctid, frozen=False)
        raise Refused(refused.code, refused.message or "Checkpointing failed") from None
    addresses = list(state.addresses)
    write_dump(node, ctid, wish.dump)
    for address in addresses:
        await node.answers.close(ctid, address)
    if not node.flavour.openvz:
        await node.take_down(ctid)
        await call.err("Checkpointing finished successfully")
    call.effects.append("dumped")
    if addresses:
        await call.noise(AWK)


async def _go_down(call: Call, ctid: int) -> None:
    """The end of a whole suspend."""
    node = call.node
    if node.flavour.openvz:
        await call.out("\tkill...")
    await call.phase("kill")
    await node.take_down(ctid)
    if node.flavour.openvz:
        await call.out("Checkpointing completed successfully")
    call.effects.append("suspended")
    node.unmount(ctid)
    await call.out("Container is unmounted")
