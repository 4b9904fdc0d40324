"""`python -m ops.simnode`: start simulated nodes, or speak to those that run (`ctl`)."""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from ops.simnode.control import ControlDoor, ask, carry_out
from ops.simnode.lab import Lab, LabSettings
from ops.simnode.node_state import Flavour

CTL_HELP = """\
usage: python -m ops.simnode ctl --state DIR NODE OPERATION [key=value ...]

  fault command=create action=exit|hang|hold|kill|slow [phase=…] [ctid=N] [code=N] [out=TEXT] [err=TEXT] [seconds=S] [times=N] [after=N]
  faults | clear              the faults there are; forget them all
  held | release | kill       [command=…] [ctid=N] [phase=…] [wait_s=S] [signal=TERM] [group=true]: who stands at a `hold`
  disk free_kib=N free_inodes=N | disk   so much is free on /vz; back to what the containers leave
  slow factor=F               all steps take F times as long (1/F undoes it)
  latency STEP=SECONDS …      another time for a step at speed 1; without one, all of them
  load ctid=N rss_kib=N dirty_kib_s=N    what a container has in memory, which is its dump, and writes a second
  flavour openvz=true kernel=… cpt_version=N cpu_caps=N …   the node is another kind of machine (ops/docs/simnode.md)
  down | up | reboot          power; a reboot ends everything, takes a new boot id and starts ONBOOT=yes
  cut | unreachable | reachable   the network to the node: drop connections now; refuse them; listen again
  silent                      connections stay, but nothing passes any more, as when packets vanish; `reachable` ends it
  lock ctid=N seconds=S       another process, `vzctl stop N`, holds the container's lock
  stranger ctid=N [name=…] [hostname=…] [address=…] [running=true]
  traffic ctid=N [in=BYTES] [out=BYTES]   so much more passed through its venet0
  machine address=…           another machine of the node's network answers for this address
  freeze ctid=N | thaw ctid=N | halt ctid=N | password ctid=N user=root password=…
  packages ctid=N [pending=NAME=VERSION:security,…] [lock_s=S] [interrupted=true] [hang=NAME] [calm=true] …   what its package manager meets
  list | ps | about           as JSON
"""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m ops.simnode",
        description="Start simulated OpenVZ nodes: SSH servers on the loopback with vzctl, vzlist and vzmigrate as on the recorded nodes. "
        "When ready, one JSON line a node is printed (and kept in DIR/nodes.json). "
        "`python -m ops.simnode ctl --help` tells how to give a running node faults.",
    )
    made.add_argument("--state", type=Path, required=True, metavar="DIR", help="folder of the nodes; what is in it is taken up again")
    made.add_argument("--nodes", type=int, default=1, metavar="N", help="how many (default 1)")
    made.add_argument("--port", type=int, default=0, help="of the first node, others follow; 0: any free, kept over restarts")
    made.add_argument("--host", default="127.0.0.1", help="address the SSH servers listen on (default 127.0.0.1)")
    made.add_argument("--seed", type=int, default=0, help="of all that is left to chance")
    made.add_argument("--speed", type=float, default=0.1, metavar="F", help="factor on all latencies: 1 as recorded, 0.1 by default, 0 none")
    made.add_argument("--name-prefix", default="n", help="nodes are called n1, n2, … by default")
    made.add_argument("--authorized-keys", type=Path, metavar="FILE", help="who may log in; read anew at each login")
    made.add_argument("--any-key", action="store_true", help="let any key in (tests)")
    made.add_argument("--faults", type=Path, action="append", default=[], metavar="FILE", help="JSON list of ctl requests for the start")
    made.add_argument("--memory-mib", type=int, default=Flavour.memory_mib)
    made.add_argument("--cpus", type=int, default=Flavour.cpus)
    made.add_argument("--disk-gib", type=int, default=Flavour.disk_kib >> 20)
    made.add_argument("--answer-delay", type=float, default=0.0, metavar="S", help="from address up to first answer, at speed 1")
    made.add_argument("--vswap", action="store_true", help="the node has /proc/vz/vswap")
    return made


async def serve(settings: LabSettings, faults: list[Path]) -> int:
    """Run a lab until TERM or INT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    lab = Lab(settings)
    door = ControlDoor(lab)
    try:
        await door.open()
    except OSError:
        print(f"simnode: another simulator has {settings.state}; stop it or choose another folder", file=sys.stderr)
        return 1
    try:
        await lab.open()
        for path in faults:
            for request in json.loads(path.read_text()):
                await carry_out(lab, request)
        for machine in lab.machines.values():
            print(json.dumps(machine.about()), flush=True)
        await stop.wait()
    except (OSError, ValueError) as error:
        print(f"simnode: {error}", file=sys.stderr)
        return 1
    finally:
        await door.close()
        await lab.close()
    return 0


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def control(words: list[str]) -> int:
    """`ctl`: one request to a running lab, its answer as JSON."""
    if len(words) == 3 and words[0] == "--state" and words[2] == "-":
        return _many(Path(words[1]))
    if len(words) < 4 or words[0] != "--state":
        print(CTL_HELP, end="", file=sys.stdout if "--help" in words else sys.stderr)
        return 0 if "--help" in words else 2
    state, node, operation, *pairs = words[1:]
    try:
        details = {key: _value(value) for key, equals, value in (pair.partition("=") for pair in pairs)}
        print(json.dumps(ask(Path(state), node, operation, **details), indent=1))
    except (ValueError, OSError) as error:
        print(f"simnode ctl: {error}", file=sys.stderr)
        return 1
    return 0


def _many(state: Path) -> int:
    """A JSON list of requests from standard input, as in a file of --faults; it ends with the first that is refused."""
    try:
        for request in json.load(sys.stdin):
            details = {key: value for key, value in request.items() if key not in ("node", "op")}
            ask(state, str(request.get("node")), str(request.get("op")), **details)
    except (ValueError, AttributeError, OSError) as error:
        print(f"simnode ctl: {error}", file=sys.stderr)
        return 1
    return 0


def main(words: list[str]) -> int:
    if words[:1] == ["ctl"]:
        return control(words[1:])
    given = parser().parse_args(words)
    settings = LabSettings(
        state=given.state,
        nodes=given.nodes,
        port=given.port,
        host=given.host,
        seed=given.seed,
        speed=given.speed,
        name_prefix=given.name_prefix,
        authorized_keys=given.authorized_keys,
        any_key=given.any_key,
        flavour=Flavour(
            memory_mib=given.memory_mib, cpus=given.cpus, disk_kib=given.disk_gib << 20, vswap=given.vswap, answer_delay_s=given.answer_delay
        ),
    )
    return asyncio.run(serve(settings, given.faults))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
