"""vzctl suspend and resume with their steps: as CRIU does it on an upstream kernel (recorded), or an OpenVZ kernel (facts §2.6)."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

from ops.simnode import inside, vzctl_run
from ops.simnode.calls import Call, Refused
from ops.simnode.conf import Conf
from ops.simnode.vzctl_run import AWK, conf_and_area, run_script

SUSPEND_STEPS = ("--suspend", "--dump", "--resume", "--kill")
RESTORE_STEPS = ("--undump", "--resume", "--kill")
WITH_VALUE = ("--dumpfile", "--flags", "--context")
START_OPTIONS = ("--wait", "--force", "--skip-fsck", "--skip-remount")
SWITCHES = ("--skip_arpdetect", "--skip-remount", "--skip-fsck")


@dataclass(frozen=True)
class Asked:
    """The words of one call."""

    step: str  # empty: all of them
    dump: Path
    own_dump: bool  # not $DUMPDIR/Dump.CTID
    probes: bool  # for its addresses, before they are taken


def asked(call: Call, ctid: int, words: list[str], steps: tuple[str, ...]) -> Asked:
    given: dict[str, str] = {}
    step, rest = "", list(words)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name in steps:
            if step:
                raise Refused(20, "Only one of the sub-actions can be used at once")
            step = name
        elif name in WITH_VALUE:
            if not equals and not rest:
                raise Refused(20, f"vzctl: option '{name}' requires an argument")
            given[name] = value if equals else rest.pop(0)
        elif name in SWITCHES:
            given[name] = ""
        else:
            raise Refused(20, f"vzctl: unrecognized option '{name}'" if name.startswith("-") else f"Invalid parameter: {name}")
    sandbox = call.node.sandbox
    dump = sandbox.root / given["--dumpfile"].lstrip("/") if "--dumpfile" in given else sandbox.dump(ctid)
    if "--dumpfile" in given and given["--dumpfile"].startswith(str(sandbox.root)):
        dump = Path(given["--dumpfile"])
    return Asked(step, dump, "--dumpfile" in given, "--skip_arpdetect" not in given)


# -- suspend ---------------------------------------------------------------------------------------------------------


async def suspend(call: Call, ctid: int, words: list[str]) -> int:
    wish = asked(call, ctid, words, SUSPEND_STEPS)
    state = call.node.state(ctid)
    if not state.running:
        if wish.step == "--kill" and state.mounted:  # CRIU has killed it with the dump
            return await _kill(call, ctid)
        if wish.step == "--resume" and wish.dump.exists():
            return await restore_from(call, ctid, wish)
        raise Refused(31, "Unable to setup checkpointing: container is not running")
    if call.node.flavour.openvz and not wish.step:
        await call.out("Setting up checkpoint...")
    if wish.step == "--resume":
        return await _thaw(call, ctid)
    if wish.step == "--kill":
        return await _kill(call, ctid)
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
    node.write_dump(ctid, wish.dump)
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


async def _thaw(call: Call, ctid: int) -> int:
    node = call.node
    await call.out("\tresume..." if node.flavour.openvz else "Resuming...")
    await call.phase("resume", "resume")
    for address in node.state(ctid).addresses:  # gone since --dump
        await node.answers.open(ctid, address, after_s=0.0)
    node.start_is_whole(ctid)
    node.freeze(ctid, frozen=False)
    call.effects.append("resumed")
    return 0


async def _kill(call: Call, ctid: int) -> int:
    await call.out("\tkill..." if call.node.flavour.openvz else "Killing...")
    await call.phase("kill")
    await call.node.take_down(ctid)
    call.effects.append("killed")
    return 0


# -- resume and start ----------------------------------------------------------------------------------------------------------


async def resume(call: Call, ctid: int, words: list[str]) -> int:
    wish = asked(call, ctid, words, RESTORE_STEPS)
    state = call.node.state(ctid)
    if wish.step == "--resume":
        if not (state.running and state.frozen):
            raise Refused(17, "Unable to resume: container is not restored")
        return await _thaw(call, ctid)
    if wish.step == "--kill":
        if not state.running:
            raise Refused(31, "Unable to kill: container is not running")
        code = await _kill(call, ctid)
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
    node.take_up_dump(ctid, kept)
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


def read_dump(path: Path) -> dict[str, float]:
    """What a dump holds; raises Refused 17 for one that is none."""
    try:
        kept: dict[str, float] = json.loads(path.read_text())
        kept["rss_kib"] += 0
    except (ValueError, KeyError, TypeError):
        raise Refused(17, "Error: image is broken\nRestoring failed") from None
    return kept
