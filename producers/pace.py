"""How many moves go at once from one node to another: slowly more while they stay within their budgets, at once half when they do not. Pure.

Moves that share a disk and a wire lengthen each other's freeze. How many a pair of nodes bears is not known beforehand,
so it is found out: one more after so many within their budgets, half as many as soon as one of the recent ones was not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BEGIN_WITH = 2
GROWS_AFTER = 5  # moves since it was changed last
SAMPLE = 20  # the recent ones, since it was halved last


@dataclass(frozen=True)
class Cost:
    """What one move has cost its customer, and what it might have cost."""

    gap_s: float
    budget_s: float


@dataclass(frozen=True)
class Pace:
    """So many at once, and why, as the end of a sentence."""

    at_once: int
    why: str


def pace(costs: Iterable[Cost], *, most: int) -> Pace:
    """What the moves of a pair, the oldest first, have shown; between 1 and `most`, however they went."""
    at_once, since = max(1, min(BEGIN_WITH, most)), 0
    recent: list[float] = []
    why = "to begin with; more once moves have stayed within their budgets"
    for cost in costs:
        recent = [*recent, cost.gap_s / cost.budget_s][-SAMPLE:]
        used, since = p95(recent), since + 1
        if used > 1:
            at_once, since = max(1, at_once // 2), 0
            why = f"95 of 100 of the last {len(recent)} interrupted for up to {used:.0%} of their budget"
            recent = []
        elif since >= GROWS_AFTER and at_once < most and cost.gap_s <= cost.budget_s:
            at_once, since = at_once + 1, 0
            why = f"95 of 100 of the last {len(recent)} interrupted for no more than {used:.0%} of their budget"
    return Pace(at_once, why)


def p95(gaps: Sequence[float | None]) -> float:
    """The gap that 95 of 100 stayed at or below."""
    known = sorted(gap for gap in gaps if gap is not None)
    return known[max(0, -(-len(known) * 95 // 100) - 1)]
