"""Where a case's faults strike: every await that touches the database, Redis or a node passes through here."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tests.crash.faults import OF_ROUNDS, Fault
from tests.crash.node import Strike

if TYPE_CHECKING:
    from tests.crash.house import CrashHouse
    from tests.crash.worker import WorkerProcess

CALLERS = ("cut", "torn", "late", "unanswered")  # carried out by who comes to the point
BELLS = "ringing"


class WorkerDied(BaseException):
    """The process is gone: nothing catches this, as nothing catches SIGKILL."""


class ServiceDied(BaseException):
    """The same of a dispatcher."""


def _with_code(fault: Fault) -> Strike:
    name, _, step = fault.word.partition(":")
    return Strike(code=name, only=step, times=1 if fault.how == "code" else 12)


def _after_its_start(fault: Fault) -> Strike:
    step, _, what = fault.word.partition(":")
    return Strike(after_s=fault.seconds, only=step, befalls=what or "kill")


STRIKES: Mapping[str, Callable[[Fault], Strike]] = {
    "kill-command": _after_its_start,
    "kill-keeper": lambda _: Strike(keeper=True),
    "kill-runner": lambda fault: Strike(runner=fault.word or "late"),
    "slow": lambda fault: Strike(slow_s=fault.seconds),
    "code": _with_code,
    "plague": _with_code,
}

OF_HOUSE: Mapping[str, Callable[["CrashHouse", Fault], None]] = {
    "mute": lambda house, fault: house.mutes(fault.seconds),
    "lag": lambda house, fault: house.lags(fault.seconds),
    "database-away": lambda house, fault: house.database_goes(fault.seconds),
    "reboot": lambda house, _: house.reboot(),
    "reboot-one": lambda house, fault: house.nodes[fault.word].reboot(),
    "stranger": lambda house, _: house.send_stranger(),
    "cancel": lambda house, _: house.cancel(),
    "old-bells": lambda house, _: house.ring_again(),
}


class Gate:
    """Counts the points that a case passes and lets its faults strike there."""

    def __init__(self, house: "CrashHouse", faults: Sequence[Fault]) -> None:
        self._house = house
        self._faults = list(faults)
        self.passed: list[str] = []

    async def point(self, worker: "WorkerProcess", where: str) -> Fault | None:
        """Raises, waits or acts as the case says; hands back a fault that the caller has to carry out."""
        if not worker.alive:
            raise WorkerDied
        struck = None
        for fault in self._due(where, lambda fault: fault.how not in OF_ROUNDS):
            struck = await self._strike(fault, worker) or struck
        return struck

    def of_round(self, where: str) -> Fault | None:
        """A point of the dispatcher; raises ServiceDied, or hands back what befalls the messages that it is about to send."""
        struck = None
        for fault in self._due(where, lambda fault: fault.how == "service-dies" or (fault.how in OF_ROUNDS and where == BELLS)):
            if fault.how == "service-dies":
                raise ServiceDied
            struck = fault
        return struck

    def _due(self, where: str, fits: Callable[[Fault], bool]) -> list[Fault]:
        number = len(self.passed)
        self.passed.append(where)
        due = [fault for fault in self._faults if fault.at <= number and fits(fault)]
        for fault in due:
            self._faults.remove(fault)
            self._house.tell(f"point {number} ({where}): {fault}")
        return due

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
        elif fault.how in OF_HOUSE:
            OF_HOUSE[fault.how](house, fault)
        elif fault.how == "cut-off":
            worker.cut_off_until = house.clock.monotonic() + fault.seconds
        elif fault.how == "die-soon":
            asyncio.get_running_loop().call_later(fault.seconds, worker.die)
        else:
            worker.stop()  # hand-over
