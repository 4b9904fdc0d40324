"""Faults a node is told to have: commands that hang, fail, die or are held at a named phase."""

import asyncio
import os
import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from ops.simnode.calls import Refused

if TYPE_CHECKING:
    from ops.simnode.calls import Call

ACTIONS = ("exit", "hang", "kill", "slow", "hold")


@dataclass(frozen=True)
class Held:
    """A call that stands still at a phase until it is let go, or killed."""

    call: "Call"
    phase: str
    go: asyncio.Event

    def shown(self) -> dict[str, object]:
        return {"pid": self.call.pid, "command": command_of(self.call), "ctid": self.call.ctid, "phase": self.phase}

    def meets(self, wanted: Mapping[str, object]) -> bool:
        return all(self.shown()[key] == value for key, value in wanted.items())


def command_of(call: "Call") -> str:
    """The name a fault knows a call by: of vzctl its command, else the tool."""
    return call.command if call.tool == "vzctl" else call.tool


@dataclass
class Fault:
    """Strikes the next `times` calls of `command` when they come to `phase`."""

    command: str  # create, set, start, …, vzlist, or * for every one
    action: str  # one of ACTIONS
    phase: str = "begin"  # a phase name of the command, see ops/docs/simnode.md
    ctid: int | None = None  # only this container
    code: int = 3  # of `exit`
    out: str = ""
    err: str = ""
    seconds: float = 0.0  # of `slow`: real seconds more; of `hang`: 0 is for ever
    times: int = 1  # 0: until cleared
    after: int = 0  # so many calls pass first
    struck: int = field(default=0)

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"unknown action {self.action!r}; use one of {', '.join(ACTIONS)}")

    def meets(self, command: str, ctid: int | None, phase: str) -> bool:
        return self.command in ("*", command) and self.phase == phase and self.ctid in (None, ctid) and (not self.times or self.struck < self.times)


class Faults:
    """All faults of one node; the first that meets a call strikes it."""

    def __init__(self) -> None:
        self.listed: list[Fault] = []
        self._cleared = asyncio.Event()
        self._held: list[Held] = []
        self._changed = asyncio.Condition()

    def add(self, fault: Fault) -> None:
        self.listed.append(fault)

    def clear(self) -> None:
        """Forget all; what hangs goes on."""
        self.listed.clear()
        self._cleared.set()
        self._cleared = asyncio.Event()
        for held in self._held:
            held.go.set()

    def held(self, wanted: Mapping[str, object]) -> list[Held]:
        """Calls that are held now, of those with these values."""
        return [held for held in self._held if held.meets(wanted)]

    async def wait_held(self, wanted: Mapping[str, object]) -> list[Held]:
        """The same, as soon as there is one."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.held(wanted))
            return self.held(wanted)

    def shown(self) -> list[dict[str, object]]:
        return [asdict(fault) for fault in self.listed]

    async def strike(self, call: "Call", phase: str) -> None:
        """Let a fault that waits for this call at this phase happen."""
        fault = next((fault for fault in self.listed if fault.meets(command_of(call), call.ctid, phase)), None)
        if fault is None:
            return
        if fault.after:
            fault.after -= 1
            return
        fault.struck += 1
        if fault.action == "exit":
            if fault.out:
                await call.out(fault.out)
            raise Refused(fault.code, fault.err)
        if fault.action == "kill":
            os.kill(call.pid, signal.SIGKILL)
            await asyncio.Event().wait()  # the watcher sees the client gone and ends this call
        elif fault.action == "hold":
            await self._hold(call, phase)
        elif fault.action == "slow" or fault.seconds:
            await asyncio.sleep(fault.seconds)
        else:
            await self._cleared.wait()

    async def _hold(self, call: "Call", phase: str) -> None:
        held = Held(call, phase, asyncio.Event())
        async with self._changed:
            self._held.append(held)
            self._changed.notify_all()
        try:
            await held.go.wait()
        finally:
            self._held.remove(held)
