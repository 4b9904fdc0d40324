"""Verbs as data: what to order for each, and walks that pass every pair of them from every standing."""

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from models.standing import VERBS as ALL
from models.standing import Standing, after
from tests.verbs.house import VerbHouse

R = Standing.RUNNING
NUMBERS = itertools.count(1)
VERBS = {verb: row for verb, row in ALL.items() if verb != "update-container"}  # changes no standing; tests/packages and tests/rollouts have it
LAST_ADDRESS = "is the last address"

GIVEN: dict[str, Callable[[VerbHouse, int], dict[str, Any]]] = {
    "resize-container": lambda house, ct: {"plan": "large" if _row(house, ct).plan == "small" else "small"},
    "set-password": lambda _house, _ct: {"password": f"S3cret-{next(NUMBERS)}"},
    "set-hostname": lambda _house, _ct: {"hostname": f"h{next(NUMBERS)}.example"},
    "set-nameservers": lambda _house, _ct: {"nameservers": [f"10.0.0.{next(NUMBERS) % 250 + 1}"]},
    "rename-container": lambda _house, _ct: {"name": f"name-{next(NUMBERS)}"},
    "remove-address": lambda house, ct: {"address": house.addresses(ct)[-1]},
}


def given(house: VerbHouse, verb: str, ctid: int) -> dict[str, Any]:
    """What the order needs beside the container."""
    return GIVEN[verb](house, ctid) if verb in GIVEN else {}


def _row(house: VerbHouse, ctid: int) -> Any:
    row = house.row(ctid)
    assert row is not None
    return row


def allowed(standing: Standing) -> list[str]:
    return [verb for verb in VERBS if standing is not Standing.GONE and isinstance(after(verb, standing), Standing)]


@dataclass(frozen=True)
class Place:
    """Where a walk is: the standing before the last verb, and that verb."""

    before: Standing
    verb: str

    @property
    def standing(self) -> Standing:
        reached = after(self.verb, self.before)
        assert isinstance(reached, Standing)
        return reached

    def then(self, verb: str) -> "Place":
        return Place(self.standing, verb)


class Pairs:
    """Which pairs are still to be passed; walkers take them from here."""

    def __init__(self) -> None:
        places = [Place(standing, verb) for standing in Standing for verb in allowed(standing)]
        self.open = {(place, verb) for place in places for verb in allowed(place.standing)}
        self.purges = {place for place in places if place.standing is Standing.GONE}

    def next(self, at: Place | None) -> list[str]:
        """The verbs that lead to an open pair the shortest way, the pair's second verb last; empty when all are taken."""
        start: list[tuple[Place | None, list[str]]] = [(at, [])]
        ways, seen = deque(start), set()
        while ways:
            place, way = ways.popleft()
            standing = place.standing if place else R
            verbs = allowed(standing)
            for verb in verbs:
                if place is not None and (place, verb) in self.open:
                    self.open.discard((place, verb))
                    return [*way, verb]
            for verb in verbs:
                further = Place(standing, verb)
                if further not in seen:
                    seen.add(further)
                    ways.append((further, [*way, verb]))
        return []
