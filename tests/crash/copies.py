"""The watch over all copies of a container: at most one is ever awake, and it goes on from the newest state there is."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.crash.container import Container


@dataclass
class Copies:
    """What was last awake where, of one id on all nodes."""

    violations: list[str] = field(default_factory=list)
    watched: bool = False  # in scenes in which a container goes from node to node
    everywhere: list["Container"] = field(default_factory=list)
    newest: dict[int, int] = field(default_factory=dict)

    def woke(self, c: "Container") -> None:
        """This copy's processes run from now on, and write."""
        if not self.watched or c.strangers_from is not None or c.area is None:
            return
        others = [other for other in self.everywhere if other.ctid == c.ctid and other is not c and other.awake and other.strangers_from is None]
        if others:
            self.violations.append(f"two copies of {c.ctid} run at once")
        if not c.area.complete:
            self.violations.append(f"half a copy of {c.ctid} was started")
        if c.area.state < self.newest.get(c.ctid, 0):
            self.violations.append(f"{c.ctid} went on from an older copy: what its customer wrote since is lost")
        self.newest[c.ctid] = c.area.state = max(c.area.state, self.newest.get(c.ctid, 0)) + 1

    def given_up(self, c: "Container") -> None:
        """Vzmigrate's own undo ends this copy: whatever it held, another one is the newest from now on."""
        if c.area is not None:
            c.area.state = 0
        self.newest[c.ctid] = max((one.area.state for one in self.everywhere if one.ctid == c.ctid and one.area is not None), default=0)

    def newest_of(self, ctid: int) -> "Container | None":
        """The copy that ran last, where it still is whole."""
        whole = [one for one in self.everywhere if one.ctid == ctid and one.area is not None and one.area.complete and one.strangers_from is None]
        return max(whole, key=lambda one: one.area.state if one.area else 0, default=None)
