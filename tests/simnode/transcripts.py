"""Reading the recordings, and making a recording and a replay alike where they may differ."""

import getpass
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "data/transcripts"
HEAD = re.compile(r"\[(node\w+|host)\] \$ (.*)")
EXIT = re.compile(r"exit: (-?\d+)  wall: ([\d.]+)(?:  \(ssh client killed after ([\d.]+) s\))?")


@dataclass(frozen=True)
class Block:
    """One recorded command."""

    command: str
    out: tuple[str, ...]
    err: tuple[str, ...]
    code: int | None  # None: the ssh client was killed
    killed_after_s: float = 0.0
    node: str = "nodeA"


def read(name: str) -> list[Block]:
    """The commands of one transcript in order."""
    blocks: list[Block] = []
    node, command, part, parts = "", "", "", {"out": [], "err": []}
    for line in (FOLDER / f"{name}.txt").read_text().splitlines():
        if head := HEAD.fullmatch(line):
            node, command, part, parts = head[1], head[2], "", {"out": [], "err": []}
        elif line.startswith("--- "):
            part = {"stdout": "out", "stderr": "err"}.get(line.split()[1], "")
        elif ended := EXIT.fullmatch(line):
            killed = ended[3]
            code = None if killed else int(ended[1])
            blocks.append(Block(command, tuple(parts["out"]), tuple(parts["err"]), code, float(killed or 0), node))
            part = ""
        elif part:
            parts[part].append(line)
    return blocks


SAME = [  # what may differ in any recording: pids, dates, sizes, owners, link counts
    (re.compile(r"Locked by: pid \d+"), "Locked by: pid N"),
    (re.compile(r"line 1: +\d+ Killed +"), "line 1: N Killed "),
    (re.compile(r"\[\d+\] \d+"), "[job]"),
    (re.compile(r"^([dlcb-][rwxst-]{9}) +\d+ +(\S+) +(\S+) +\d+ \w{3} +\d+ [\d:]+ ", re.MULTILINE), r"\1 \2 \3 DATE "),
    (re.compile(r"^total \d+$"), "total N"),
    (re.compile(r"^/bin/sh: \d+: "), "/bin/sh: "),  # dash gives the line, busybox does not
    (re.compile(r"^sh: \d+: "), "sh: "),
    (re.compile(r"\bnode1\b"), "nodeA"),
    (re.compile(r"available: \d+"), "available: N"),
    (re.compile(r"^(  +(?:Suspend \+ Dump|Copy dump file|Second rsync|Undump \+ Resume|Total suspended time)): +\d+\.\d\d$"), r"\1: T"),
    (re.compile(r"another computer : [0-9a-f:]+"), "another computer : MAC"),
    (re.compile(r"locked by PID \d+"), "locked by PID N"),
    (re.compile(r"write failed on \S+: No"), "write failed on FILE: No"),  # whichever file met the end of the disk
]


def alike(lines: Sequence[str], *, root: Path, without: re.Pattern[str] | None = None) -> list[str]:
    """The lines with what may differ made equal; lines that match `without` left out."""
    text = [line.replace(str(root), "") for line in lines]
    for pattern, same in SAME:
        text = [pattern.sub(same, line) for line in text]
    user = getpass.getuser()
    text = [re.sub(rf"^(\S{{10}}) {user} {user} ", r"\1 root root ", line) for line in text]
    return [line.rstrip() for line in text if not (without and without.search(line))]


PLACES = re.compile(r"(?<![\w./-])(/etc/vz|/vz|/root|/tmp)(?=[/\s;\"']|$)")


def for_sandbox(command: str, *, root: Path, pace: float) -> str:
    """The command with the node's own paths in its sandbox, and pauses as much shorter as the node is faster."""
    placed = PLACES.sub(lambda found: f"{root}{found[1]}", command)
    return re.sub(r"\bsleep ([\d.]+)", lambda found: f"sleep {float(found[1]) * pace:.3f}", placed)
