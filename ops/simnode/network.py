"""What the kernel of a simulated node counts of a container's network, shown in the node's /proc as the real one does."""

import itertools
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops.simnode.containers import Containers

FIRST_PID = 10_000_000  # no process of this machine has such a number
_pids = itertools.count(FIRST_PID + time.time_ns() // 1_000_000 % 1_000_000_000)
HEAD = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
"""


def begin(node: "Containers", ctid: int) -> None:
    """The container's init runs, and its counters begin at nothing."""
    pid = next(_pids)
    proc = node.sandbox.root / f"proc/{pid}"
    (proc / "net").mkdir(parents=True)
    (proc / "stat").write_text(f"{pid} (init) S 1 {pid} {pid} " + "0 " * 15 + f"{time.monotonic_ns() // 10_000_000} 0 0\n")
    if node.flavour.openvz:
        (proc / "status").write_text(f"Name:\tinit\nPid:\t{pid}\nenvID:\t{ctid}\nVPid:\t1\n")
    note = _note(node, ctid)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(f"{pid}\n")
    count(node, ctid, received=0, sent=0)


def cease(node: "Containers", ctid: int) -> None:
    """Init is gone, and its counters with it."""
    note = _note(node, ctid)
    if note.exists():
        shutil.rmtree(node.sandbox.root / f"proc/{int(note.read_text())}", ignore_errors=True)
        note.unlink()


def count(node: "Containers", ctid: int, *, received: int, sent: int) -> None:
    """So many bytes more went in and out."""
    file = node.sandbox.root / f"proc/{int(_note(node, ctid).read_text())}/net/dev"
    there = [int(word) for word in file.read_text().splitlines()[-1].partition(":")[2].split()] if file.exists() else [0] * 16
    there[0], there[8] = there[0] + received, there[8] + sent
    lo = "    lo: 4711 5 0 0 0 0 0 0 4711 5 0 0 0 0 0 0\n"
    file.write_text(HEAD + lo + f"venet0:{' '.join(str(number) for number in there)}\n")


def _note(node: "Containers", ctid: int) -> Path:
    """Where vzctl writes the init's number; under an OpenVZ kernel it is the simulator's own."""
    folder = "var/lib/simnode" if node.flavour.openvz else "var/lib/vzctl/vepid"
    return node.sandbox.root / folder / str(ctid)
