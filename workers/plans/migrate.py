"""A container goes to another node: exactly one copy runs whatever is killed, and none but that one can start by itself.

What shall hold is read from both nodes, so the same list of steps is the way forward and the way on after any crash:

1. The copy that runs has left the source only when the target's runs (alive, not merely restored), or when the source's
   configuration is gone, which vzmigrate takes away last. `arrived` says so, and is the pivot.
2. Until then whatever the move brought to the target is first made unable to start there (`bar`), then the source's copy
   goes on (thawed, restored from vzmigrate's dump, or started).
3. From then on the source's copy is ended and made unable to start (`retire`), then the target's may start with its node.
ONBOOT is `no` on the source before anything is copied, so the copy on the target has it too: no reboot of either node
starts a second one.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from models.errors import Locked, Permanent, Unexpected
from models.orders import ORDER, MigrateContainer
from models.standing import Standing
from workers.claims import Claim
from workers.commands import Command
from workers.openvz.ends import End, MoveSight
from workers.openvz.preflight import PASSING, Refusal
from workers.openvz.vzctl import Vzctl
from workers.openvz.vzmigrate import Judged, Vzmigrate
from workers.plans.container import Subject
from workers.plans.move_check import Preflight, wants_online
from workers.steps import Plan, Step, Wait

Shows = Callable[[MoveSight], bool]
PREFLIGHT_WITHIN = timedelta(minutes=15)
ANSWER_WITHIN = timedelta(minutes=3)
ONLINE_TRIES = 2  # a connection that was just being opened makes the first fail (facts §11)
CANNOT = frozenset({14, 17, 18})  # exit codes of vzmigrate that no second try online changes


class Migration:
    """The plan of one move."""

    def __init__(self, claim: Claim, words: Vzmigrate, preflight: Preflight, *, source: Subject, target: Subject) -> None:
        order = ORDER.validate_python(claim.job.order)
        assert isinstance(order, MigrateContainer)  # noqa: S101 - the table of moves says so
        self._claim = claim
        self._order = order
        self._words = words
        self._preflight = preflight
        self._source = source
        self._target = target
        self._driver = Vzctl()
        self._ct = source.ct
        self._from, self._to = preflight.source.name, preflight.target.name
        self._runs = source.row.standing is Standing.RUNNING  # as the last look showed: suspended to a dump, it need not answer
        self._alive = False  # the last look had a command executed in it on the target

    def plan(self) -> Plan[MoveSight]:
        """Forward and back."""
        return Plan(do=self._do(), undo=self._undo(), check=self._check, beyond=self.arrived, result=self._result)

    # -- what the two looks mean -----------------------------------------------------------------------------------------

    def arrived(self, m: MoveSight) -> bool:
        """The target has the container: its copy runs, or the source's is no container any more; or so it was before, and is for good."""
        there = m.target.sight.whole and self._ours(m.target)
        gone = m.source.sight.conf is None and (m.source.sight.migrated or m.source.empty)
        if gone and not there:
            raise Unexpected(
                f"container {self._ct} was put away on {self._from} and is not whole on {self._to}; look for it on both, nothing was touched",
                signature="move: neither node has it",
            )
        return gone or self._claim.job.past_pivot or (there and m.target.came and m.target.pulse == "alive")

    def _ready(self, m: MoveSight) -> bool:
        return bool(m.source.key) and self._driver.has_onboot(m.source.sight, onboot=False)

    @staticmethod
    def _awaited(m: MoveSight) -> bool:
        """The target lets the move in, and would show a reboot since; one from before this try, when nothing was there, tells nothing."""
        return m.target.trusted and m.target.came and not (m.target.rebooted and m.target.empty)

    def _should_run(self, m: MoveSight) -> bool:
        """By the books, and nobody has suspended it to a dump."""
        return self._source.row.standing is Standing.RUNNING and not (m.source.sight.suspended or m.target.sight.suspended)

    def _ours(self, end: End) -> bool:
        return self._source.is_ours(end.sight)

    # -- steps -----------------------------------------------------------------------------------------------------------

    def _do(self) -> list[Step[MoveSight] | Wait]:
        words, driver, ct = self._words, self._driver, self._ct
        old, new, arrived = self._from, self._to, self.arrived
        up = self._source.row.standing is Standing.RUNNING
        return [
            Wait("preflight", self._clear_to_go, PREFLIGHT_WITHIN),
            Step("ready", lambda _: words.ready(), lambda m: arrived(m) or self._ready(m), node=old),
            *self._home("", arrived),
            Step("authorize", self._authorize, lambda m: arrived(m) or self._awaited(m), locks=False, node=new),
            Step("unlock", lambda _: driver.unlock(ct), lambda m: arrived(m) or not m.source.sight.stale_lock, node=old),
            Step("move", self._move, arrived, node=old, critical=True),
            *self._leave(),
            Step("start-there", lambda _: driver.start(ct), self._is_up, node=new, critical=True),
            Step("arrive", lambda _: words.arrive(onboot=up), lambda m: self._has_arrived(m, onboot=up), node=new),
            Wait("exec", self._executes, ANSWER_WITHIN),
            Wait("answer", self._answers, ANSWER_WITHIN, every=timedelta(milliseconds=100)),
            self._last(),
        ]  # fmt: skip

    def _undo(self) -> list[Step[MoveSight]]:
        driver, ct = self._driver, self._ct
        up = self._source.row.standing is Standing.RUNNING
        return [
            *self._home("-back", lambda _: False),
            Step(
                "let-boot", lambda _: driver.set_onboot(ct, onboot=up),
                lambda m: not self._ours(m.source) or driver.has_onboot(m.source.sight, onboot=up), node=self._from,
            ),
            Step("revoke-back", lambda _: self._words.revoke(), self._settled, locks=False, node=self._to),
            self._forget("forget-back"),
        ]  # fmt: skip

    def _home(self, suffix: str, arrived: Shows) -> list[Step[MoveSight]]:
        """It is on the source as it should be, and the target has no copy that could start; so after a killed try, or back for good."""
        words, driver, ct, old, new = self._words, self._driver, self._ct, self._from, self._to

        def empty(m: MoveSight) -> bool:
            return arrived(m) or m.target.empty or not m.target.came or self._strange(m)

        def runs(m: MoveSight) -> bool:
            return arrived(m) or not self._should_run(m) or not m.source.sight.whole or not self._ours(m.source) or m.source.sight.running

        return [
            Step(f"quiet{suffix}", lambda _: words.quiet(), lambda m: not m.source.left, locks=False, node=old),
            Step(f"fell{suffix}", lambda _: words.fell(), lambda m: arrived(m) or not m.target.came or not m.target.stray, locks=False, node=new),
            Step(f"drop-restored{suffix}", lambda _: words.drop_restored(), lambda m: empty(m) or m.target.pulse != "frozen", node=new),
            Step(f"bar{suffix}", self._bar, empty, node=new),
            Step(f"thaw{suffix}", lambda _: words.thaw(), lambda m: arrived(m) or m.source.pulse != "frozen", node=old, critical=True),
            Step(f"go-on{suffix}", self._go_on, runs, node=old, critical=True),
            Step(
                f"drop{suffix}", lambda _: driver.drop(ct, self._claim.job.id),
                lambda m: m.target.sight.aside != self._claim.job.id, locks=False, node=new,
            ),
        ]  # fmt: skip

    def _leave(self) -> list[Step[MoveSight]]:
        """The target has run: whatever is left of the source's copy ends, and can start no more."""
        words, driver, ct, old = self._words, self._driver, self._ct, self._from
        return [
            Step("quiet-after", lambda _: words.quiet(), lambda m: not m.source.left, locks=False, node=old),
            Step("stop-twin", lambda _: driver.stop(ct, fast=True), lambda m: m.source.pulse != "alive", node=old),
            Step("kill-frozen", lambda _: words.kill_frozen(), lambda m: m.source.pulse != "frozen", node=old),
            Step("fell-twin", lambda _: words.fell(), lambda m: not m.source.stray, locks=False, node=old),
            Step("umount", lambda _: driver.umount(ct), lambda m: m.source.sight.conf is None or not m.source.sight.mounted, node=old),
            Step("retire", lambda _: words.retire(), lambda m: m.source.sight.conf is None, locks=False, node=old),
        ]

    def _last(self) -> Step[MoveSight]:
        """It answers from the target: the source has nothing of it any more, or only the copy that was to be kept."""
        if self._order.keep_source:
            return self._forget("forget")
        gone: Shows = lambda m: m.source.empty and not m.source.sight.migrated and not m.source.key  # noqa: E731 - read where it is used
        return Step("leave", lambda _: self._words.leave(), gone, locks=False, node=self._from)

    def _forget(self, name: str) -> Step[MoveSight]:
        return Step(name, lambda _: self._words.revoke(), lambda m: not m.source.key, locks=False, node=self._from)

    @staticmethod
    def _settled(m: MoveSight) -> bool:
        """The target trusts nobody for this move any more."""
        return not (m.target.trusted or m.target.came)

    # -- what they need --------------------------------------------------------------------------------------------------

    def _check(self, m: MoveSight) -> None:
        self._source.must_be_ours(m.source.sight)

    async def _clear_to_go(self) -> bool:
        """Before anything is begun; what passes by itself is waited for without end but the deadline."""
        if self._claim.job.begun:
            return True
        now = self._preflight.clock.now()
        opens = self._order.opens_at(now)
        if opens is not None:
            raise Locked(f"its window {self._order.window} ({self._order.zone}) is closed until {opens:%Y-%m-%d %H:%M} UTC", after=opens - now)
        online = wants_online(self._order, self._source.row)
        found = await self._in_the_way(online=online)
        if found and online and self._order.mode == "online-else-offline":
            found = await self._in_the_way(online=False)
        passing = [refusal for refusal in found if refusal.code in PASSING]
        if passing and len(passing) == len(found):
            raise Locked("; ".join(refusal.why for refusal in passing), after=timedelta(seconds=5))
        if found:
            raise Permanent("; ".join(f"{refusal.code}: {refusal.why}" for refusal in found))
        return True

    async def _in_the_way(self, *, online: bool) -> list[Refusal]:
        self._claim.check(self._preflight.clock)  # the answers may have taken longer than the lease
        return await self._preflight.refusals(online=online)

    def _authorize(self, m: MoveSight) -> Command:
        if not m.source.address:
            raise Permanent(f"{self._from} cannot tell its own address towards {self._to}; see `ip route get` there")
        return self._words.authorize(key=m.source.key, address=m.source.address, layout=m.source.sight.layout or "")

    def _bar(self, m: MoveSight) -> Command:
        if m.target.rebooted and m.target.sight.whole and m.source.pulse != "alive" and self._should_run(m) and self._moving():
            raise Unexpected(
                f"{self._to} rebooted while the container was on its way, and {self._from} does not run it either: nobody can tell whether the copy"
                f" on {self._to} has run. Look at both, start the newer one by hand, then resolve the job",
                signature="move: both copies down, target rebooted",
            )
        return self._words.bar()

    def _moving(self) -> bool:
        return any(begun.step == "move" and begun.outcome != "void" for begun in self._claim.journal)

    def _go_on(self, m: MoveSight) -> Command:
        """From vzmigrate's own dump if it is there and was not tried in vain, else anew."""
        tried = any(begun.step.startswith("go-on") and begun.code not in (None, 0) for begun in self._claim.journal)
        return self._words.restore(m.source.dump_file) if m.source.dump and not tried else self._driver.start(self._ct)

    def _strange(self, m: MoveSight) -> bool:
        """What is on the target under this id is somebody else's container."""
        return m.target.sight.conf is not None and not self._ours(m.target) and not m.target.torn

    def _move(self, m: MoveSight) -> Command:
        if self._strange(m):
            raise Permanent(f"container {self._ct} on {self._to} is somebody else's (mark {m.target.sight.marker}); nothing was touched there")
        online, judged = self._mode(m)
        return self._words.migrate(online=online, folder=m.source.folder, judged=judged)

    def _mode(self, m: MoveSight) -> tuple[bool, Judged]:
        """How it is tried now, and what may still be tried after it: online twice, then offline where the order allows it."""
        if not self._should_run(m) or self._order.mode == "offline":
            return False, "move"
        failed = [begun.code for begun in self._claim.journal if begun.step == "move" and begun.code in {7, 8, *CANNOT}]
        spent = len(failed) >= ONLINE_TRIES or bool(CANNOT & set(failed))
        if self._order.mode == "online-else-offline":
            return (False, "move") if spent else (True, "move-or-offline")
        return True, "move" if spent or len(failed) + 1 >= ONLINE_TRIES else "move-again"

    def _has_arrived(self, m: MoveSight, *, onboot: bool) -> bool:
        self._alive = m.target.pulse == "alive"
        return self._settled(m) and self._driver.has_onboot(m.target.sight, onboot=onboot)

    def _is_up(self, m: MoveSight) -> bool:
        self._runs = self._should_run(m)
        return not self._runs or m.target.sight.running

    async def _executes(self) -> bool:
        return not self._runs or self._alive or await self._target.executes()

    async def _answers(self) -> bool:
        return not self._runs or await self._target.reachable()

    def _result(self, m: MoveSight) -> dict[str, Any]:
        tries = [begun for begun in self._claim.journal if begun.step == "move"]
        return {
            "ctid": self._ct,
            "source": self._from,
            "target": self._to,
            "running": m.target.sight.running,
            "tries": len(tries),
            "suspended_s": m.source.suspended_s,
            "source_kept": self._order.keep_source,
        }
