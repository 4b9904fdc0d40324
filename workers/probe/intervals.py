"""From single answers to intervals without any: gap, resolution, brown-out. Pure; all times are seconds of one monotonic clock."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

SLOW_TIMES = 5  # an answer is slow when it takes so many times the baseline …
SLOW_LEAST_S = 0.05  # … and longer than the management host itself may be held up
SHORTEST_S = 0.1  # a shorter silence is no outage: no customer's TCP so much as sends again
MISSED_LEAST = 2  # one question without an answer is a lost packet
HOLE_S = 2.5  # two questions further apart than this prove nothing about the time between them
BASELINE_OF = 50  # the newest answers before the container was touched


@dataclass(frozen=True)
class Answer:
    """What became of one question."""

    sent: float
    after: float | None  # seconds until its answer; None: there was none
    open: bool = False  # it may still come
    held: bool = False  # its connection was taken at once, and the answer was long in coming: nobody inside was awake


@dataclass(frozen=True)
class Interval:
    """A silence that is an outage."""

    began: float  # the last answer before
    ended: float | None  # the first answer after; None: not seen
    missed: int  # questions in it that were not answered in time
    proved_s: float  # for so long it certainly did not answer
    resolution_s: float  # what was down lies between the gap less this, and the gap
    brownout_s: float | None  # slow answers from here to the next interval; the first one also has those before it

    @property
    def gap_s(self) -> float | None:
        """Last answer before → first answer after."""
        return None if self.ended is None else self.ended - self.began


@dataclass(frozen=True)
class Measured:
    """All that a watch has seen."""

    first: float | None  # the first answer; None: it never answered
    last: float | None
    asked: int
    baseline_s: float | None
    longest_s: float  # the longest silence that is not an outage
    brownout_s: float | None  # all slow answers together; None: no baseline
    intervals: list[Interval] = field(default_factory=list)

    @property
    def answers_now(self) -> bool:
        """The last that was heard of it is an answer."""
        return self.last is not None and not (self.intervals and self.intervals[-1].ended is None)


def measure(answers: Sequence[Answer], *, now: float, before: float | None = None) -> Measured:
    """What the answers up to `now` say; `before`: when the container was first touched, for the baseline."""
    asked = sorted(answers, key=lambda one: one.sent)
    arrivals = sorted(one.sent + one.after for one in asked if one.after is not None)
    if not arrivals:
        return Measured(None, None, len(asked), None, 0.0, None)
    baseline = _baseline(asked, before)
    slow_s = max(SLOW_TIMES * (baseline or 0.0), SLOW_LEAST_S)
    silences = [*pairwise(arrivals), (arrivals[-1], None)]
    outages: list[tuple[float, float | None, list[Answer]]] = []
    longest = 0.0
    for (began, ended), missed in zip(silences, _missed(asked, silences, slow_s, now), strict=True):
        length = (now if ended is None else ended) - began
        if len(missed) >= MISSED_LEAST and length >= SHORTEST_S:
            outages.append((began, ended, missed))
        elif ended is not None:
            longest = max(longest, length)
    slow = _slow(asked, outages, slow_s) if baseline is not None else None
    return Measured(
        arrivals[0], arrivals[-1], len(asked), baseline, longest,
        None if slow is None else sum(cover for _, cover in slow),
        [_interval(place, outages, slow, now, baseline or 0.0) for place in range(len(outages))],
    )  # fmt: skip


def _baseline(asked: Sequence[Answer], before: float | None) -> float | None:
    """The median of the newest quick answers before the container was touched."""
    good = [one.after for one in asked if one.after is not None and not one.held and (before is None or one.sent + one.after <= before)]
    return median(good[-BASELINE_OF:]) if good else None


def _missed(asked: Sequence[Answer], silences: Sequence[tuple[float, float | None]], slow_s: float, now: float) -> list[list[Answer]]:
    """For each silence the questions sent in it that had no answer in time; both lists go forward, so one pass is enough."""
    found: list[list[Answer]] = []
    place = 0
    for began, ended in silences:
        while place < len(asked) and asked[place].sent <= began:
            place += 1
        inside: list[Answer] = []
        while place < len(asked) and (ended is None or asked[place].sent < ended):
            one = asked[place]
            late = (now if ended is None else ended) - one.sent > slow_s
            if late or (one.after is None and not one.open):
                inside.append(one)
            place += 1
        found.append(inside)
    return found


def _slow(asked: Sequence[Answer], outages: Sequence[tuple[float, float | None, list[Answer]]], slow_s: float) -> list[tuple[float, float]]:
    """Slow answers outside of outages: when each was asked for, and how much time it stands for."""
    within = [(began, ended) for began, ended, _ in outages]
    found = []
    for place, one in enumerate(asked):
        if one.after is None or one.after <= slow_s or any(began <= one.sent and (ended is None or one.sent < ended) for began, ended in within):
            continue
        following = asked[place + 1].sent if place + 1 < len(asked) else one.sent + one.after
        found.append((one.sent, min(following - one.sent, HOLE_S)))
    return found


def _interval(
    place: int,
    outages: Sequence[tuple[float, float | None, list[Answer]]],
    slow: Sequence[tuple[float, float]] | None,
    now: float,
    baseline_s: float,
) -> Interval:
    began, ended, missed = outages[place]
    end = now if ended is None else ended
    start = began if place else float("-inf")
    until = outages[place + 1][0] if place + 1 < len(outages) else float("inf")
    proved = _proved(missed, began, end)
    return Interval(
        began, ended, len(missed), proved, end - began - proved + baseline_s,
        None if slow is None else sum(cover for at, cover in slow if start <= at < until),
    )  # fmt: skip


def _proved(missed: Sequence[Answer], began: float, end: float) -> float:
    """The time between questions that were not answered, and while one was held; together, nothing counted twice."""
    spans = [(one.sent, other.sent) for one, other in pairwise(missed) if other.sent - one.sent <= HOLE_S]
    spans += [(one.sent, one.sent + one.after) for one in missed if one.held and one.after is not None]
    total, reached = 0.0, began
    for start, stop in sorted(spans):
        start, stop = max(start, reached), min(stop, end)  # noqa: PLW2901 - what is new of it
        if stop > start:
            total, reached = total + stop - start, stop
    return total
