"""When the moves of a forecast really begin and end: the slots of both nodes and the pace between them hold them, as admission will. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.fleet import Node, NodeState
from models.kinds import Load
from producers.pace import Cost, pace
from producers.pairs import LAST_ONES, Pair


@dataclass(frozen=True)
class Trip:
    """A move that is foretold."""

    source: str | None  # None: wherever it was taken before
    to: str | None  # None: placement chooses when its turn comes
    length: timedelta
    cost: Cost | None  # None: it can be held against nothing


class Roads:
    """Plays the moves in the order in which the campaign lets them go; each end that was told counts for those after it."""

    def __init__(self, nodes: Mapping[str, Node], past: Callable[[Pair], Iterable[Cost]], *, closed: Collection[str] = ()) -> None:
        """`closed`: nodes that take nothing while it lasts."""
        self._nodes = nodes
        self._open = [node for node in nodes.values() if node.state is NodeState.ACTIVE and node.name not in closed]
        self._past = past
        self._known: dict[Pair, list[Cost]] = {}
        self._ends: dict[Pair, list[datetime]] = defaultdict(list)  # by what _takes names
        self._paid: dict[Pair, list[tuple[datetime, Cost]]] = defaultdict(list)
        self._came: Counter[str] = Counter()

    def end(self, trip: Trip, now: datetime) -> datetime:
        """When it ends if the campaign lets it go now."""
        to = trip.to or self._likely(trip.source)
        ends = self._free(trip.source, to, now) + trip.length
        for taken in _takes(trip.source, to):
            self._ends[taken] = [*(end for end in self._ends[taken] if end > now), ends]
        if to is not None:
            self._came[to] += 1
        if trip.source is not None and to is not None and trip.cost is not None:
            self._paid[trip.source, to].append((ends, trip.cost))
        return ends

    def _free(self, source: str | None, to: str | None, now: datetime) -> datetime:
        """The first moment from now on at which nothing holds it."""
        while True:
            busy = {taken: [end for end in self._ends[taken] if end > now] for taken in _takes(source, to)}
            full = [min(ends) for taken, ends in busy.items() if len(ends) >= self._most(taken, now)]
            if not full:
                return now
            now = max(full)  # not further: by then more may go at once

    def _most(self, taken: Pair, now: datetime) -> int:
        source, to = taken
        if not to:
            return self._slots(source, Load.MOVE_OUT)
        if not source:
            return self._slots(to, Load.MOVE_IN)
        if taken not in self._known:
            self._known[taken] = list(self._past(taken))
        costs = [*self._known[taken], *(cost for ended, cost in self._paid[taken] if ended <= now)]
        return pace(costs[-LAST_ONES:], most=min(self._slots(source, Load.MOVE_OUT), self._slots(to, Load.MOVE_IN))).at_once

    def _slots(self, name: str, load: Load) -> int:
        return max(1, self._nodes[name].slots_for(load)) if name in self._nodes else 1

    def _likely(self, source: str | None) -> str | None:
        """Placement looks for room; over many moves that is each of the others in turn."""
        here = self._nodes.get(source or "")
        others = [node.name for node in self._open if here and node.site == here.site and node.name != here.name]
        return min(others, key=lambda name: (self._came[name], name), default=None)


def _takes(source: str | None, to: str | None) -> Iterator[Pair]:
    """A way out of one node, a way into the other, and the road between the two; no node's name is empty."""
    if source is not None:
        yield source, ""
    if to is not None:
        yield "", to
    if source is not None and to is not None:
        yield source, to
