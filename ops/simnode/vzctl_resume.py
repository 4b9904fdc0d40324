"""vzctl resume and restore, and start where there is a dump to start from."""

import asyncio

from ops.simnode import vzctl_run
from ops.simnode.calls import Call, Refused
from ops.simnode.checkpoints import Asked, asked, kill, thaw
from ops.simnode.conf import Conf
from ops.simnode.copies import read_dump, take_up_dump
from ops.simnode.vzctl_run import AWK, conf_and_area, run_script

STEPS = ("--undump", "--resume", "--kill")
START_OPTIONS = ("--wait", "--force", "--skip-fsck", "--skip-remount")


async def resume(call: Call, ctid: int, words: list[str]) -> int:
    wish = asked(call, ctid, words, STEPS)
    state = call.node.state(ctid)
    if wish.step == "--resume":
        if not (state.running and state.frozen):
            raise Refused(17, "Unable to resume: container is not restored")
        return await thaw(call, ctid)
    if wish.step == "--kill":
        if not state.running:
            raise Refused(31, "Unable to kill: container is not running")
        code = await kill(call, ctid)
        call.node.unmount(ctid)
        await call.out("Container is unmounted")
        return code
    if state.running:
        raise Refused(32, "Unable to perform restore: container already running")
    return await restore_from(call, ctid, wish)


async def restore_from(call: Call, ctid: int, wish: Asked) -> int:
    """Bring a dumped container back; a dump that cannot be used is put aside as `.fail`."""
    node = call.node
    conf = conf_and_area(call, ctid)
    if not wish.dump.exists():
        shown = node.sandbox.shown(wish.dump)
        raise Refused(17, f"Unable to open {shown}: No such file or directory\nRestoring failed")
    if node.flavour.openvz and not wish.step:
        await call.out("Restoring container ...")
    try:
        await _restore(call, ctid, conf, wish)
    except Refused:
        if wish.dump.exists():
            wish.dump.replace(f"{wish.dump}.fail")
        if node.state(ctid).mounted:
            await node.take_down(ctid)
            node.unmount(ctid)
        raise
    except asyncio.CancelledError:  # killed on the way: what is half restored dies with it
        if not node.started_whole(ctid):
            await node.take_down(ctid)
        raise
    if not wish.own_dump:
        wish.dump.unlink()
    return 0


async def _restore(call: Call, ctid: int, conf: Conf, wish: Asked) -> None:
    node = call.node
    if node.state(ctid).mounted:
        node.unmount(ctid)
        await call.out("Container is unmounted")
    await run_script(call, ctid, "mount")
    node.mount(ctid)
    await call.out("Container is mounted")
    if node.flavour.openvz:
        await call.out("\tundump...")
    kept = read_dump(wish.dump)
    await call.phase("undump", node.latency.base["undump"] + node.latency.amount("undump-kib", kept["rss_kib"]))
    node.run(ctid, conf)
    take_up_dump(node, ctid, kept)
    node.table[ctid].frozen = True
    addresses = (conf.get("IP_ADDRESS") or "").split()
    if addresses:
        await call.out(f"Adding IP address(es): {' '.join(addresses)}")
        if node.addresses_up() & set(addresses):
            raise Refused(78, f"Unable to add IP {min(node.addresses_up() & set(addresses))}: Address already in use")
        await call.noise(AWK)
        if wish.probes:
            await call.phase("probe", "addresses")
        for address in addresses:
            await node.add_address(ctid, address)
    node.start_is_whole(ctid)
    await call.out("Container start in progress...")
    call.effects.append("restored")
    if not wish.step or wish.step == "--resume":
        if node.flavour.openvz:
            await call.out("\tresume...")
        await call.phase("resume", "resume")
        node.freeze(ctid, frozen=False)


async def start(call: Call, ctid: int, words: list[str]) -> int:
    """A suspended container goes on; one whose dump cannot be used is started cold without a word of that."""
    node = call.node
    if node.sandbox.dump(ctid).exists() and not node.state(ctid).running and set(words) <= set(START_OPTIONS):
        quiet, call.quiet = call.quiet, True
        try:
            return await restore_from(call, ctid, Asked("", node.sandbox.dump(ctid), own_dump=False, probes=True))
        except Refused:
            pass
        finally:
            call.quiet = quiet
    return await vzctl_run.start(call, ctid, words)
