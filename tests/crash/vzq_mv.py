"""What each verb of vzq-mv does on the stand-in nodes, moment by moment, and what its looks print (ops/docs/node-side.md)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.crash.container import MARK, Container, Kept, sight
from tests.crash.vzctl import Doing

if TYPE_CHECKING:
    from tests.crash.node import Run, StandInNode

Verb = Callable[["StandInNode", Container, list[str]], Doing]
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHb0N7d0bJ9q"
NOT_MINE = 17


@dataclass
class MoveFiles:
    """/var/lib/vzq/move/JOB."""

    key: str = ""
    came: dict[int, int] = field(default_factory=dict)  # id → boot in which nothing of it was here


def vzq_mv(node: "StandInNode", _container: Container, run: "Run", words: list[str], _stdin: bytes) -> Doing:
    """The verb behind `vzq-mv`; the ledger's container is the one it is about."""
    yield 0.02
    answer = yield from VERBS[words[0]](node, node.of(int(run.key[0])), words[1:])
    yield 0.02
    return answer


def _ready(node: "StandInNode", c: Container, words: list[str]) -> Doing:
    job, mark = words[1:3]
    if c.conf is None or c.conf.get(MARK) != mark:
        return NOT_MINE, "", "vzq-mv: not of that job"
    if c.lock is not None:
        return 9, "", "vzq-mv: it is locked"
    c.conf["ONBOOT"] = "no"
    yield 0.02
    files = node.moves.setdefault(job, MoveFiles())
    yield 0.05
    files.key = f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5{job} vzq-move-{job}"
    return 0, "", ""


def _authorize(node: "StandInNode", c: Container, words: list[str]) -> Doing:
    if words[1] not in node.moves:
        if not c.nothing:
            return NOT_MINE, "", f"vzq-mv: the id {c.ctid} is taken on this node"
        node.moves[words[1]] = MoveFiles(came={c.ctid: node.boot})
    elif c.conf is None and c.area is None:
        node.moves[words[1]].came[c.ctid] = node.boot  # what an earlier try brought is gone again
    yield 0.02
    node.trusted.add(words[1])
    return 0, "", ""


def _revoke(node: "StandInNode", c: Container, words: list[str]) -> Doing:
    node.trusted.discard(words[0])
    yield 0.02
    files = node.moves.pop(words[0], None)
    if files is not None and c.ctid in files.came:
        c.dump = None
    return 0, "", ""


def _quiet(_node: "StandInNode", _c: Container, _words: list[str]) -> Doing:
    yield 2.0  # what they had just begun on the other node shows there by now
    return 0, "", ""


def _bar(node: "StandInNode", c: Container, words: list[str]) -> Doing:
    job, mark = words[1:]
    if job not in node.moves or c.ctid not in node.moves[job].came:
        return NOT_MINE, "", "vzq-mv: nothing shows that this job brought it"
    if c.lock is not None:
        return 9, "", "vzq-mv: it is being worked on"
    if c.conf is not None and c.conf.get(MARK) != mark and (MARK in c.conf or c.area is not None):
        return NOT_MINE, "", "vzq-mv: not of that job"
    if c.running:
        return 16, "", "vzq-mv: it runs"
    c.mounted, c.dump, c.stale_lock = False, None, False
    yield 0.02
    c.conf = None
    yield 0.02
    if c.area is not None:
        c.kept, c.area = Kept(job, c.area), None
    return 0, "", ""


def _fell(node: "StandInNode", c: Container, words: list[str]) -> Doing:
    job, mark = words[1:]
    if c.lock is not None:
        return 9, "", "vzq-mv: it is being worked on"
    if not c.running:
        return 0, "", ""
    if c.migrated is not None:
        if c.migrated.get(MARK) != mark or c.conf is not None:
            return NOT_MINE, "", "vzq-mv: not of that job"
    elif job not in node.moves or c.ctid not in node.moves[job].came or c.area is not None:
        return NOT_MINE, "", "vzq-mv: nothing shows that this job brought it, or it has its area"
    yield 0.05
    c.halts()
    c.mounted, c.conf = False, None
    return 0, "", ""


def _retire(_node: "StandInNode", c: Container, words: list[str]) -> Doing:
    if c.conf is None:
        return 0, "", ""
    if c.lock is not None:
        return 9, "", "vzq-mv: it is being worked on"
    if c.conf.get(MARK) != words[2]:
        return NOT_MINE, "", "vzq-mv: not of that job"
    if c.running or c.mounted:
        return 16, "", "vzq-mv: it is in use"
    yield 0.02
    c.migrated, c.conf, c.stale_lock = c.conf, None, False
    c.dump = None
    return 0, "", ""


def _leave(node: "StandInNode", c: Container, words: list[str]) -> Doing:
    if c.lock is not None:
        return 9, "", "vzq-mv: it is being worked on"
    if c.migrated is not None and c.conf is None:
        if c.migrated.get(MARK) != words[2]:
            return NOT_MINE, "", "vzq-mv: not of that job"
        c.conf, c.migrated = c.migrated | {"ONBOOT": "no", "DISABLED": "yes"}, None
        yield 0.02
    if c.conf is not None:
        if c.conf.get("DISABLED") != "yes" or c.conf.get(MARK) != words[2]:
            return NOT_MINE, "", "vzq-mv: not the copy that was kept"
        if c.running or c.mounted:
            return 16, "", "vzq-mv: it is in use"
        c.area = None
        yield 0.2
        c.destroyed, c.conf = c.conf, None
    c.dump = None
    return (yield from _revoke(node, c, words[1:]))


def _arrive(node: "StandInNode", c: Container, words: list[str]) -> Doing:
    job, mark, onboot = words[1:]
    if c.conf is None or c.conf.get(MARK) != mark:
        return NOT_MINE, "", "vzq-mv: not of that job"
    if c.lock is not None:
        return 9, "", "vzq-mv: it is locked"
    c.conf["ONBOOT"] = onboot
    yield 0.02
    return (yield from _revoke(node, c, [job]))


VERBS: dict[str, Verb] = {
    "ready": _ready, "authorize": _authorize, "revoke": _revoke, "quiet": _quiet, "fell": _fell, "bar": _bar, "retire": _retire,
    "arrive": _arrive, "leave": _leave,
}  # fmt: skip


# -- what only reads ---------------------------------------------------------------------------------------------------


def asked(node: "StandInNode", words: list[str]) -> str:
    """`look`, `told` and `facts`."""
    c = node.of(int(words[1]))
    if words[0] == "look":
        return look(node, c, words[2])
    if words[0] == "told":
        runs = [run for run in node.runs.values() if run.key[1:3] == (words[2], "move")]
        return "\n".join(["vzq-mv1 told sent=0", *(runs[-1].said if runs else [])]) + "\n"
    return facts(c)


def look(node: "StandInNode", c: Container, job: str) -> str:
    """The container, and how far the move is here."""
    files = node.moves.get(job)
    came = files is not None and c.ctid in files.came
    flight = node.flights.get(job)
    left = flight is not None and asyncio.get_running_loop().time() < flight.until
    lines = [
        f"vzq-mv1 look ctid={c.ctid}", f"pulse={_pulse(c)}",
        f"dump={'yes' if c.dump else 'no'}", f"dump_file=/vz/dump/tmp-dump.{c.ctid}", f"came={'yes' if came else 'no'}",
        f"came_boot={f'boot-{files.came[c.ctid]}' if files is not None and came else ''}", f"boot_id=boot-{node.boot}",
        f"trusted={'yes' if job in node.trusted else 'no'}", "address=192.0.2.11", f"folder=/var/lib/vzq/move/{job}",
        f"key={files.key if files else ''}", f"suspended_s={node.suspended.get(job, '')}", f"left={'yes' if left else 'no'}",
    ]  # fmt: skip
    return sight(c, f"boot-{node.boot}") + "\n".join([*lines, "end", ""])


def _pulse(c: Container) -> str:
    if not c.running:
        return "down"
    return "stray" if c.conf is None else "frozen" if c.frozen else "alive"


def facts(c: Container) -> str:
    """For the preflight: nothing but what is under the id already is in the way."""
    lines = [f"vzq-mv1 facts ctid={c.ctid}", "service=running", "dump_free_kib=99999999", "vzmigrate=yes", f"peer_key={HOST_KEY}"]
    lines += [f"trace=/etc/vz/conf/{c.ctid}.conf"] if not c.nothing else []
    return "\n".join([*lines, "end", ""])
