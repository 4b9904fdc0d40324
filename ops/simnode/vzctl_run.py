"""vzctl start, stop, restart, mount, umount, status."""

import asyncio
import os
import subprocess

from ops.simnode import processes
from ops.simnode.calls import Call, Refused
from ops.simnode.conf import Conf
from ops.simnode.node_state import Running

UNPRIVILEGED = "WARNING: Running container unprivileged. USER_NS not supported, or runtime disabled"
AWK = "awk: cmd. line:9: warning: regexp escape sequence `\\ ' is not a known regexp operator"
STOP_TIMEOUT_S = 120.0
WAIT_LIMIT_S = 3600.0
LEAST_S = 0.5  # a machine that is told to be fast still needs a moment to halt


def no_more(words: list[str], *known: str) -> set[str]:
    """The options given, all of them known; raises Refused 21 otherwise, as getopt has it."""
    for word in words:
        if word not in known:
            raise Refused(21, f"vzctl: unrecognized option '{word}'" if word.startswith("-") else f"Invalid parameter: {word}")
    return set(words)


def conf_and_area(call: Call, ctid: int) -> Conf:
    """The configuration, if there is a private area to go with it; raises Refused 43."""
    conf = Conf.read(call.node.sandbox.conf(ctid))
    private = call.node.sandbox.private(ctid)
    if not private.exists():
        raise Refused(43, f"Container private area {call.node.sandbox.shown(private)} does not exist")
    return conf


async def run_script(call: Call, ctid: int, what: str) -> None:
    """The node's and the container's own action scripts; raises Refused 79 when one fails."""
    conf_dir = call.node.sandbox.conf_dir
    for script in (conf_dir / f"vps.{what}", conf_dir / f"{ctid}.{what}"):
        if not os.access(script, os.X_OK):
            continue
        env = {**call.node.environment, "VEID": str(ctid)}
        process = processes.start([str(script)], env=env, cwd=conf_dir, stdin=subprocess.DEVNULL, stdout=call.files[1], stderr=call.files[2])
        if await process.ended():
            raise Refused(79, f"Error executing {what} script {call.node.sandbox.shown(script)}")


async def start(call: Call, ctid: int, words: list[str]) -> int:
    given = no_more(words, "--wait", "--force", "--skip-fsck", "--skip-remount")
    if call.node.state(ctid).running:
        raise Refused(32, "Container is already running")
    conf = Conf.read(call.node.sandbox.conf(ctid))
    if conf.get("DISABLED") == "yes" and "--force" not in given:
        raise Refused(105, "Container start disabled")
    conf_and_area(call, ctid)
    return await bring_up(call, ctid, conf, wait="--wait" in given)


async def bring_up(call: Call, ctid: int, conf: Conf, *, wait: bool = False, scripts: bool = True) -> int:
    """Cold start with all it prints. Killed on the way, the kernel ends init with vzctl: mounted, down."""
    node = call.node
    addresses = (conf.get("IP_ADDRESS") or "").split() if scripts else []
    await call.out("Starting container...")
    if node.state(ctid).mounted:
        node.unmount(ctid)
        await call.out("Container is unmounted")
    await run_script(call, ctid, "mount")
    node.mount(ctid)
    await call.out("Container is mounted")
    await call.phase("mounted")
    if conf.broken_lines:
        shown = node.sandbox.shown(conf.path)
        await call.noise(f"/usr/libexec/vzctl/scripts/vps-prestart: {len(conf.lines) + 1}: {shown}: Syntax error: Unterminated quoted string")
    try:
        return await _start_init(call, ctid, conf, addresses, wait=wait)
    except asyncio.CancelledError:
        if not node.started_whole(ctid):
            await node.take_down(ctid)
        raise


async def _start_init(call: Call, ctid: int, conf: Conf, addresses: list[str], *, wait: bool) -> int:
    node = call.node
    await call.phase("env", "env")
    node.run(ctid, conf)
    await call.err(UNPRIVILEGED)
    if not (node.sandbox.private(ctid) / "sbin/init").exists():
        await call.err("Unable to start init, probably incorrect template")
        await call.err("Container start failed")
        await kill_and_unmount(call, ctid, fast=True)
        return 47
    if addresses:
        await call.out(f"Adding IP address(es): {' '.join(addresses)}")
        await call.phase("addresses", 0.03)
        for address in addresses:
            if address in node.addresses_up():
                await call.err(f"Unable to add IP {address}: Address already in use")
                await call.err("Container start failed")
                await kill_and_unmount(call, ctid, fast=True)
                return 78
        await call.noise(AWK)
        await call.phase("probe", "addresses")
        for address in addresses:
            await node.probe(call, address)
            await node.add_address(ctid, address)
    await call.phase("init", "init")
    node.start_is_whole(ctid)
    call.effects.append("started")
    if not wait:
        await call.out("Container start in progress...")
        return 0
    await call.out("Container start in progress, waiting ...")
    return await _wait_for_runlevel(call, ctid, conf)


async def _wait_for_runlevel(call: Call, ctid: int, conf: Conf) -> int:
    """Wait for the container's own word (/.vzfifo); images without the line never say it."""
    node = call.node
    down = node.went_down[ctid]
    rc_script = node.sandbox.private(ctid) / "etc/init.d/rcS"
    if rc_script.exists() and "vzfifo" in rc_script.read_text(errors="replace"):
        await call.phase("boot", node.template(conf).boot_s)
        if not down.is_set():
            await call.out("Container started successfully")
            return 0
    else:
        try:
            await asyncio.wait_for(down.wait(), WAIT_LIMIT_S)
        except TimeoutError:
            raise Refused(133, "Container wait failed: timeout") from None
    if node.state(ctid).mounted:
        node.unmount(ctid)
    raise Refused(133, "Container wait failed")


async def stop(call: Call, ctid: int, words: list[str]) -> int:
    given = no_more(words, "--fast", "--skip-umount")
    if not call.node.state(ctid).running:
        await call.err("Unable to stop: container is not running")
        return 0
    return await kill_and_unmount(call, ctid, fast="--fast" in given, unmount="--skip-umount" not in given)


async def kill_and_unmount(call: Call, ctid: int, *, fast: bool, unmount: bool = True) -> int:
    """Bring a running container down, gently unless `fast`, and unmount it."""
    node = call.node
    conf = Conf.read(node.sandbox.conf(ctid))
    had_addresses = bool(node.state(ctid).addresses)
    if fast:
        await call.out("Killing container ...")
        await call.phase("killing", "kill")
        await node.take_down(ctid)
    else:
        await call.out("Stopping container ...")
        await call.phase("stopping")
        await _halt_or_kill(call, ctid, conf)
    await call.out("Container was stopped")
    call.effects.append("stopped")
    if had_addresses:
        await call.noise(AWK)
    if not unmount:
        return 0
    await call.phase("stopped", "umount")
    if not node.state(ctid).mounted:  # a `start --wait` that was waiting has done it
        raise Refused(40, "CT is not mounted")
    node.unmount(ctid)
    await call.out("Container is unmounted")
    return 0


async def _halt_or_kill(call: Call, ctid: int, conf: Conf) -> None:
    """Run the container's own halt; what does not go down in time is killed."""
    node = call.node
    down = node.went_down[ctid]
    limit = conf.get("STOP_TIMEOUT") or ""
    timeout_s = float(limit) if limit.isdigit() else STOP_TIMEOUT_S
    halt = node.sandbox.private(ctid) / "sbin/halt"
    if halt.exists() and "halt" in halt.read_text(errors="replace").partition("\n")[2]:
        node.halt_later(ctid)
    try:
        await asyncio.wait_for(down.wait(), max(node.latency.seconds(timeout_s), LEAST_S))
    except TimeoutError:
        await call.out("Killing container ...")
        await call.phase("killing", "kill")
        await node.take_down(ctid)


async def restart(call: Call, ctid: int, words: list[str]) -> int:
    given = no_more(words, "--fast", "--skip-umount", "--wait", "--force", "--skip-fsck", "--skip-remount")
    await call.out("Restarting container")
    if call.node.state(ctid).running:
        await kill_and_unmount(call, ctid, fast="--fast" in given)
    return await start(call, ctid, [word for word in words if word in ("--wait", "--force")])


async def mount(call: Call, ctid: int, words: list[str]) -> int:
    no_more(words)
    conf_and_area(call, ctid)
    if await call.node.is_mounted(call, ctid):
        await call.err("Container is already mounted")
        return 0
    await run_script(call, ctid, "mount")
    call.node.mount(ctid)
    await call.out("Container is mounted")
    return 0


async def umount(call: Call, ctid: int, words: list[str]) -> int:
    no_more(words)
    state: Running = call.node.state(ctid)
    if state.running:
        raise Refused(32, "Container is running -- stop it first")
    if not await call.node.is_mounted(call, ctid):
        raise Refused(40, "CT is not mounted")
    await call.node.latency.of("umount")
    call.node.unmount(ctid)
    await call.out("Container is unmounted")
    return 0


async def status(call: Call, ctid: int, _words: list[str]) -> int:
    """`CTID n exist|deleted mounted|unmounted running|down[ suspended]`, exit 0 for any number."""
    node = call.node
    quiet, call.quiet = call.quiet, False  # the complaint about the mount point is shown in any case
    mounted = await node.is_mounted(call, ctid)
    call.quiet = quiet
    state = node.state(ctid)
    line = f"CTID {ctid} {'exist' if node.whole(ctid) else 'deleted'} {'mounted' if mounted else 'unmounted'}"
    line += " running" if state.running else " down"
    if not state.running and node.sandbox.dump(ctid).exists():
        line += " suspended"
    await call.print(f"{line}\n")
    return 0
