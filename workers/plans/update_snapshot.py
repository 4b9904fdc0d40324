"""A snapshot before an update, and the way back to it. Ploop only; what customers wrote since goes with the bad state.

The bad state is kept as a snapshot of its own. Both stay then: a snapshot on which two states rest cannot be merged.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

from workers.commands import Command
from workers.openvz.driver import Driver, Sight
from workers.plans.container import Subject
from workers.steps import Step

_OURS = uuid.UUID("6f0c1c5e-3a8e-4a4f-9a55-0d5b8f0f7c11")  # names of a job's snapshots are derived, so a second try finds those of the first


@dataclass(frozen=True)
class Snapshots:
    """The two snapshots that one job may make."""

    subject: Subject
    driver: Driver
    job: str
    began: Callable[[str], bool]

    @property
    def before(self) -> str:
        return str(uuid.uuid5(_OURS, f"{self.job} before"))

    @property
    def bad(self) -> str:
        return str(uuid.uuid5(_OURS, f"{self.job} bad"))

    def take(self) -> Step:
        """It is there before anything runs inside; of the files only, nothing is frozen for it."""
        return self.subject.step("snapshot", self._snapshot(self.before), lambda s: self.before in s.snapshots or self.began("script"))

    def forget(self) -> Step:
        """All went well: it is merged away."""
        delete: Callable[[Sight], Command] = lambda _: self.driver.snapshot_delete(self.subject.ct, self.before)  # noqa: E731
        return self.subject.step("forget", delete, lambda s: self.before not in s.snapshots)

    def forget_unused(self) -> Step:
        """Nothing ran inside after all: it is merged away."""
        return replace(self.forget(), unless=lambda: self.began("script"))

    def way_back(self) -> list[Step]:
        """To how it was; where nothing ran inside yet there is nothing to go back from, and only the snapshot goes."""
        ct, driver = self.subject.ct, self.driver

        def is_back(sight: Sight) -> bool:
            return self.bad in sight.snapshots and sight.current_snapshot == self.before

        def untouched() -> bool:
            return not self.began("script")

        steps = [
            self.subject.step("stop", lambda _: driver.stop(ct), lambda s: is_back(s) or not s.running),
            self.subject.step("keep-bad", self._snapshot(self.bad), lambda s: self.bad in s.snapshots),
            self.subject.step("switch", lambda _: driver.snapshot_switch(ct, self.before), is_back),
            self.subject.step("start", lambda _: driver.start(ct), lambda s: s.running),
        ]
        going = [replace(step, unless=untouched, critical=step.name == "stop") for step in steps]
        return [*going, self.forget_unused()]

    def _snapshot(self, name: str) -> Callable[[Sight], Command]:
        return lambda _: self.driver.snapshot(self.subject.ct, name)
