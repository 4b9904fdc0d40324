"""vzmigrate of the stand-in node, moment by moment (facts §5.2, §5.6): dropping it at a yield is `kill -9` there, and nothing is undone.

What it had just begun on the other node comes to its end there all the same, unless that node goes down.
"""

import asyncio
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.crash.container import Container, Dump
from tests.crash.vzctl import Doing, restored, thawed

if TYPE_CHECKING:
    from tests.crash.node import Run, StandInNode

Stretch = Generator[float, None, None]
_JOB = re.compile(r"/move/([0-9A-Z]{26})/key")
_ON_ITS_WAY = 0.01  # back from the other node
_GLANCE = 0.02  # so soon it notices that its ssh died


class Failed(Exception):
    """A step failed: what was done is taken back, last first, then it ends with this code."""

    def __init__(self, code: int) -> None:
        self.code = code


@dataclass
class Flight:
    """A command that runs on the other node; it does not depend on who sent it."""

    effect: Callable[[], int]
    node: "StandInNode"
    boot: int
    until: float
    code: int | None = None

    def land(self) -> None:
        """It ends; on a node that went down meanwhile it never did anything."""
        if self.code is None:
            self.code = self.effect() if self.node.boot == self.boot else 255


def vzmigrate(node: "StandInNode", c: Container, run: "Run", words: list[str], _stdin: bytes) -> Doing:
    """From `node` to the only other one."""
    if c.lock is not None or c.stale_lock:
        return 20, "", f"Error: CT {c.ctid} already locked"
    c.lock = run
    move = Move(node, next(peer for peer in node.peers.values() if peer is not node), c, run, words)
    run.said.append(f"Locked CT {c.ctid}")
    try:
        yield from move.through(online="--online" in words)
    except Failed as failed:
        yield from move.take_back()
        c.lock = None
        return failed.code, "\n".join(run.said), "Error: as it happens"
    c.lock = None
    return 0, "\n".join(run.said), ""


class Move:
    """One try."""

    def __init__(self, node: "StandInNode", peer: "StandInNode", c: Container, run: "Run", words: list[str]) -> None:
        self.node, self.peer, self.run = node, peer, run
        self.here, self.there = c, peer.of(c.ctid)
        found = _JOB.search(" ".join(words))
        self.job = found[1] if found else ""
        self._undo: list[Callable[[], Stretch]] = []
        self._boot = peer.boot

    # -- how it reaches the other node ------------------------------------------------------------------------------

    def _remote(self, seconds: float, effect: Callable[[], int], code: int) -> Stretch:
        """A command there; raises Failed when it fails, or its node went down."""
        loop = asyncio.get_running_loop()
        flight = Flight(effect, self.peer, self._boot, loop.time() + seconds)
        self.node.flights[self.job] = flight
        loop.call_later(seconds, flight.land)
        self.run.ssh_gone = False
        while (left := flight.until + _ON_ITS_WAY - loop.time()) > 0:
            yield min(left, _GLANCE)
            if self.run.ssh_gone:
                raise Failed(code)  # and over there it goes on
        if flight.code:
            raise Failed(code)

    def _say(self, line: str) -> None:
        self.run.said.append(line)

    # -- the way ------------------------------------------------------------------------------------------------------

    def through(self, *, online: bool) -> Stretch:
        yield 0.1
        if self.job not in self.peer.trusted or self.job not in self.node.moves:
            raise Failed(4)
        c, p = self.here, self.there
        if c.conf is None or c.private != "full":
            raise Failed(10)
        yield from self._remote(0.1, lambda: int(p.conf is not None and p.area is not None), 9)
        was_up = c.running
        if online and not was_up:
            raise Failed(2)
        yield from self._prepare()
        self._say("Syncing private")
        yield from self._copy(1.0)
        if online:
            yield from self._live()
        elif was_up:
            yield from self._stopped()
        elif c.mounted:
            c.mounted = False
        yield from self._clean_up(online=online)

    def _prepare(self) -> Stretch:
        c, p = self.here, self.there

        def torn() -> int:
            p.conf = {}
            return 0

        def conf() -> int:
            p.conf = dict(c.conf or {})
            return 0

        def folders() -> int:
            p.area = replace(c.area, full=False, complete=False) if c.area else None
            return 0

        self._say("Preparing remote node")
        self._undo.append(self._forget_there)
        yield from self._remote(0.05, torn, 6)  # `cat >` empties it first
        yield from self._remote(0.05, conf, 6)
        yield from self._remote(0.1, folders, 6)

    def _copy(self, seconds: float) -> Stretch:
        """One pass of rsync: in its middle half of the files are there."""
        c, p = self.here, self.there

        def half() -> int:
            if p.area is not None:
                p.area.full = True
            return 0 if p.area is not None else 23

        def whole() -> int:
            if p.area is None or c.area is None:
                return 23
            p.area = replace(c.area, complete=not c.awake)  # of a running one it is a torn picture
            return 0

        yield from self._remote(seconds / 2, half, 6)
        yield from self._remote(seconds / 2, whole, 6)

    def _live(self) -> Stretch:
        c, p = self.here, self.there
        self._say("Live migrating container...")
        self._undo.append(self._resume_here)
        yield 0.05
        c.frozen = True
        self._say("Dumping container")
        yield 0.2
        c.dump = Dump(c.memory, dict(c.live))
        if not self.node.openvz:
            c.halts()  # criu ends what it has dumped
        self._say("Copying dumpfile")

        def dump_there() -> int:
            p.dump = c.dump
            return 0 if c.dump else 6

        yield from self._remote(0.1, dump_there, 6)
        self._say("Syncing private (2nd pass)")
        yield from self._copy(0.1)
        self._say("Undumping container")
        self._undo.append(self._kill_there)
        yield from self._remote(0.3, self._undumping(), 7)
        self._say("Resuming container")
        yield from self._remote(0.05, lambda: thawed(p), 7)
        self._undo.clear()
        self._say("  Total suspended time:   0.81")
        self.node.suspended[self.job] = "0.81"

    def _undumping(self) -> Callable[[], int]:
        """It has read conf and dump when it begins: who takes them away meanwhile gets processes that belong to nothing."""
        p, dump, ready = self.there, self.there.dump, self.there.conf is not None and self.there.private == "full"

        def effect() -> int:
            if p.running or dump is None or not ready:
                return 32 if p.running else 17
            p.mounted = p.running = p.frozen = True
            p.memory, p.live = dump.memory, dict(dump.live)
            return 0

        return effect

    def _stopped(self) -> Stretch:
        c, p = self.here, self.there
        self._say("Stopping container")
        self._undo.append(self._start_here)
        yield 0.4
        c.halts()
        c.effects["stopped"] += 1
        c.mounted = False
        self._say("Syncing private (2nd pass)")
        yield from self._copy(0.1)
        self._say("Starting container")

        def start() -> int:
            if p.conf is None or p.area is None:
                return 14
            p.boots()
            p.effects["started"] += 1
            return 0

        yield from self._remote(0.8, start, 7)
        self._undo.clear()

    def _clean_up(self, *, online: bool) -> Stretch:
        c, p = self.here, self.there
        self._undo.clear()
        self._say("Cleaning up")
        yield 0.05
        if online:
            c.halts()
            yield 0.05
            c.mounted = False
            yield 0.05
            c.dump = None

            def no_dump() -> int:
                p.dump = None
                return 0

            yield from self._quietly(0.1, no_dump)
        c.migrated, c.conf = c.conf, None
        yield 0.05

    # -- and back -------------------------------------------------------------------------------------------------------

    def take_back(self) -> Stretch:
        """The other node comes first; with the connection gone nothing is done there."""
        while self._undo:
            yield from self._undo.pop()()

    def _forget_there(self) -> Stretch:
        def forget() -> int:
            self.there.copies.given_up(self.there)
            self.there.conf = self.there.area = None
            return 0

        yield from self._quietly(0.1, forget)

    def _kill_there(self) -> Stretch:
        def kill() -> int:
            self.there.halts()
            self.there.mounted, self.there.dump = False, None
            self.there.copies.given_up(self.there)
            return 0

        yield from self._quietly(0.2, kill)

    def _resume_here(self) -> Stretch:
        yield 0.1
        if self.here.dump is not None and not self.here.running:
            restored(self.here, frozen=False)
        elif self.here.frozen:
            thawed(self.here)
        self.here.dump = None

    def _start_here(self) -> Stretch:
        yield 0.8
        if not self.here.running and self.here.conf is not None:
            self.here.boots()

    def _quietly(self, seconds: float, effect: Callable[[], int]) -> Stretch:
        try:
            yield from self._remote(seconds, effect, 1)
        except Failed:
            return
