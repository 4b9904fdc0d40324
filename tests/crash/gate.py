"""Where a case's faults strike: every await that touches the database or a node passes through `Gate.point`."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tests.crash.faults import CODES, Fault
from tests.crash.node import Strike

if TYPE_CHECKING:
    from tests.crash.house import CrashHouse
    from tests.crash.worker import WorkerProcess

CALLERS = ("cut", "late", "unanswered")  # carried out by who comes to the point


class WorkerDied(BaseException):
    """The process is gone: nothing catches this, as nothing catches SIGKILL."""


def _with_code(fault: Fault) -> Strike:
    name, _, step = fault.word.partition(":")
    program = "vzq-ct" if step in ("plant", "clean", "unplant") else "exec2" if step == "password" else "vzctl"
    return Strike(code=CODES[program][name], only=step or "make", times=1 if fault.how == "code" else 12)


STRIKES: Mapping[str, Callable[[Fault], Strike]] = {
    "kill-command": lambda fault: Strike(after_s=fault.seconds),
    "slow": lambda fault: Strike(slow_s=fault.seconds),
    "code": _with_code,
    "plague": _with_code,
}


class Gate:
    """Counts the points that a case passes and lets its faults strike there."""

    def __init__(self, house: "CrashHouse", faults: Sequence[Fault]) -> None:
        self._house = house
        self._faults = list(faults)
        self.count = 0
        self.passed: list[str] = []

    async def point(self, worker: "WorkerProcess", where: str) -> Fault | None:
        """Raises, waits or acts as the case says; hands back a fault that the caller has to carry out."""
        number, self.count = self.count, self.count + 1
        self.passed.append(where)
        if not worker.alive:
            raise WorkerDied
        struck = None
        while self._faults and self._faults[0].at <= number:
            fault = self._faults.pop(0)
            self._house.tell(f"point {number} ({where}): {fault}")
            struck = await self._strike(fault, worker) or struck
        return struck

    async def _strike(self, fault: Fault, worker: "WorkerProcess") -> Fault | None:
        if fault.how == "die":
            worker.die()
            raise WorkerDied
        if fault.how == "freeze":
            await worker.freeze(fault.seconds)
        elif fault.how in CALLERS:
            return fault
        else:
            self._befall(fault, worker)
        return None

    def _befall(self, fault: Fault, worker: "WorkerProcess") -> None:
        house = self._house
        if fault.how in STRIKES:
            house.strike(STRIKES[fault.how](fault))
            return
        match fault.how:
            case "die-soon":
                asyncio.get_running_loop().call_later(fault.seconds, worker.die)
            case "database-away":
                house.away_until = house.clock.monotonic() + fault.seconds
            case "reboot":
                for node in house.nodes.values():
                    node.reboot()
            case "stranger":
                house.send_stranger()
            case "cancel":
                house.cancel()
            case "old-bells":
                house.ring_again()
            case "hand-over":
                worker.stop()
