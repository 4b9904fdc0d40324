"""vzmigrate 4.11: its checks, its order of steps and its words; the steps themselves are in vzmigrate_steps.py.

It is played as the shell script it is: it waits until each line is printed and dies where its reader is gone; the commands
it runs here are children of the caller's process and live on when that is killed; nothing is undone for a killed one.
"""

import os

from ops.simnode import processes
from ops.simnode.calls import Call, Refused
from ops.simnode.conf import Conf
from ops.simnode.rsync import control_path
from ops.simnode.ssh_client import Peer
from ops.simnode.vzmigrate_options import Options, parsed
from ops.simnode.vzmigrate_steps import Move

NO_KEY = "Can't connect to destination address using public key\nError: Please put your public key to destination node"


async def vzmigrate(call: Call) -> int:
    call.command = "vzmigrate"
    options = await parsed(call)
    if options is None:
        return 0
    if options.verbose:
        await call.put("   Loading /etc/vz/vz.conf\n")
    call.ctid = ctid = _container(call, options.container)
    await call.phase("begin")
    await _lock(call, ctid)
    await call.put(f"Locked CT {ctid}\n")
    peer = Peer(call.node, options.host, options.ssh, mux=options.has("--ssh-mux"))
    path = control_path(call.pid)
    call.node.masters[path] = peer
    move = Move(call, ctid, options, peer, control=path if peer.mux else "")
    try:
        await call.phase("locked")
        code = await _migrate(call, ctid, options, move)
    except Refused as refused:
        if refused.message:
            await call.put(f"Error: {refused.message}\n", error=True)
        await move.undo()
        code = refused.code
    finally:  # also of a killed one: ssh ends with its script; the lock file stays
        del call.node.masters[path]
        peer.close()
    call.node.sandbox.lock(ctid).unlink(missing_ok=True)
    return code


def _container(call: Call, word: str) -> int:
    link = call.node.sandbox.names_dir / word
    if word.isdigit():
        return int(word)
    if "/" not in word and link.is_symlink():
        return int(link.readlink().name.removesuffix(".conf"))
    raise Refused(10, f"CT ID {word} is invalid.")


async def _lock(call: Call, ctid: int) -> None:
    """The same file as vzctl's, but with its pid alone, and whoever is named in it is believed to live."""
    path = call.node.sandbox.lock(ctid)
    try:
        with path.open("x") as lock:
            lock.write(f"{call.pid}\n")
    except FileExistsError:
        holder = (path.read_text().splitlines() or [""])[0]
        await call.put(f"/usr/sbin/vzmigrate: 202: cannot create {call.node.sandbox.shown(path)}: File exists\n", error=True)
        await call.put(f"Error: CT {ctid} already locked by PID {holder}\n", error=True)
        await call.put("UID          PID    PPID  C STIME TTY          TIME CMD\n")
        if holder.isdigit() and processes.alive(int(holder)):
            shown = call.node.command_line(int(holder))
            await call.put(f"root     {holder:>7} {1:>7}  0 00:00 ?        00:00:00 {shown}\n")
        raise Refused(20) from None
    except OSError as error:
        await call.put(f"/usr/sbin/vzmigrate: 202: cannot create {call.node.sandbox.shown(path)}: {os.strerror(error.errno or 0)}\n", error=True)
        raise Refused(1) from None


async def _migrate(call: Call, ctid: int, options: Options, move: Move) -> int:
    node = call.node
    if not node.whole(ctid):
        raise Refused(10, f"CT #{ctid} doesn't exist")
    state = node.state(ctid)
    if options.live and not state.running:
        raise Refused(2, "Can't perform live migration of a stopped container")
    verb = "Checking" if options.has("--check-only") else "Starting"
    await call.put(f"{verb} {'live ' if options.live else ''}migration of CT {ctid} to {options.host}\n")
    await _check_there(call, ctid, options, move)
    conf = Conf.read(node.sandbox.conf(ctid))
    await move.note(f"Loading {node.sandbox.shown(conf.path)}")
    await _check_places_and_addresses(call, conf, move)
    if options.has("--check-only"):
        return 0
    await move.prepare(conf)
    await move.sync_first()
    if options.live:
        await move.live()
    elif state.running:
        await move.stopped()
    elif state.mounted:
        await move.mounted()
    await move.clean_up()
    call.effects.append("moved")
    return 0


async def _check_there(call: Call, ctid: int, options: Options, move: Move) -> None:
    """Everything that can be known before anything is changed there, in the script's order."""
    await call.phase("connect")
    if (await move.there("/bin/true")).code:
        raise Refused(4, NO_KEY)
    await call.phase("checks")
    if (await move.there('"$VZQ_NODE_ROOT"/etc/init.d/vz status', shown=options.verbose)).code:
        raise Refused(14, "OpenVZ is not running on destination node")
    suspended = call.node.sandbox.dump(ctid).exists() and not call.node.state(ctid).running
    if options.live:
        await _check_checkpointing(call, move)
    said = await move.there(f"vzctl status {ctid}")
    if said.out.split()[2:3] == ["exist"]:
        raise Refused(9, f"CT #{ctid} already exists on destination node")
    if call.node.flavour.openvz and (options.live or suspended):
        await _check_versions(call, ctid, options, move)


async def _check_checkpointing(call: Call, move: Move) -> None:
    if call.node.flavour.openvz:
        if not call.node.flavour.checkpointing:
            raise Refused(14, "vzcpt module is not loaded on source node")
        if (await move.there('test -e "$VZQ_NODE_ROOT"/proc/rst')).code:
            raise Refused(14, "vzrst module is not loaded on destination node")
        return
    if await move.here("criu", "check"):
        raise Refused(14, "CPT is not available on source node")
    if (await move.there("criu check", shown=move.options.verbose)).code:
        raise Refused(14, "CPT is not available on destination node")


async def _check_versions(call: Call, ctid: int, options: Options, move: Move) -> None:
    """Images, processors and modules of OpenVZ kernels."""
    flavour = call.node.flavour
    await move.note("Checking for CPT version compatibility")
    if (await move.there(f"vzcptcheck version {flavour.cpt_version}")).code:
        raise Refused(17, "CPT version check failed: destination node has an older version")
    await move.note("Checking for CPU flags compatibility")
    caps = (await move.there("vzcptcheck caps")).out.strip()
    if await move.here("vzcptcheck", "caps", str(ctid), caps, shown="nothing") and not options.may_fail("cpu"):
        raise Refused(18, "CPU capabilities check failed: destination node lacks features of the source")
    if flavour.ipv6 and (await move.there('test -e "$VZQ_NODE_ROOT"/proc/net/if_inet6')).code and not options.may_fail("ipv6"):
        raise Refused(14, "ipv6 module is not loaded on destination node")


async def _check_places_and_addresses(call: Call, conf: Conf, move: Move) -> None:
    await move.note("Getting remote VE_ROOT and VE_PRIVATE")
    said = await move.there('cat "$VZQ_NODE_ROOT"/etc/vz/vz.conf')
    if said.code or "VE_PRIVATE=" not in said.out:
        raise Refused(19, "Can't get VE_ROOT or VE_PRIVATE from destination node")
    if conf.get("VE_LAYOUT") == "ploop" and (await move.there('test -e "$VZQ_NODE_ROOT"/proc/vz/ploop_minor')).code:
        raise Refused(16, "ploop is not supported on destination node")
    addresses = (conf.get("IP_ADDRESS") or "").split()
    if addresses:
        await move.note(f"Checking IPs on destination node: {' '.join(addresses)}  ")
        running = (await move.there("vzlist -H -o ip")).out.split()
        if set(addresses) & set(running):
            raise Refused(12, "IP address(es) already in use on destination node")
    await call.phase("checked")
