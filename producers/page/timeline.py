"""A job on a line of time, as SVG: its steps on the nodes, and what its customer saw of it.

What is drawn is what was measured. The node says how long a container was frozen, not when: the freeze is drawn from the
beginning of the gap on. Where slow answers lay is not kept either: the brown-out is drawn behind the gap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

WIDTH = 100.0  # per cent: the drawing is as wide as the page, its letters stay as large as all others
LEAST = 0.3  # what is too short to be seen is drawn so wide
LANE = 40  # pixels: a line of words and its bar
TICKS = 4
ROUND = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)


@dataclass(frozen=True)
class Bar:
    """A stretch of time."""

    x: float
    width: float
    y: int
    sort: str  # a class of the style sheet
    title: str
    label: str = ""


@dataclass(frozen=True)
class Tick:
    """A mark on the axis."""

    x: float
    label: str


@dataclass(frozen=True)
class Drawing:
    """One line of time; its words are for those who do not see it."""

    name: str
    bars: list[Bar]
    ticks: list[Tick]
    lanes: list[str]
    height: int
    words: str


def timeline(job: Mapping[str, Any], outages: Sequence[Mapping[str, Any]]) -> list[Drawing]:
    """The whole job with its steps and, below, each outage from near."""
    ours = [one for one in outages if one["gap_s"]]
    if not ours:
        return []
    whole = _steps(job, ours)
    return ([whole] if whole is not None else []) + [_outage(one) for one in ours]


def _steps(job: Mapping[str, Any], outages: Sequence[Mapping[str, Any]]) -> Drawing | None:
    steps = [one for one in job["journal"] if one["ended_at"]]
    if not steps:
        return None
    start = min(_at(one["at"]) for one in steps)
    end = max([_at(one["ended_at"]) for one in steps] + [_at(one["ended_at"]) for one in outages if one["ended_at"]])
    scale = _Scale(start, max(0.1, end - start))
    bars = [
        scale.bar(
            _at(one["at"]), _at(one["ended_at"]) - _at(one["at"]), 0, f"step {one['direction']}", f"{one['step']} on {one['node']}", one["step"]
        )
        for one in steps
    ]
    bars += [scale.bar(_at(one["began_at"]), one["gap_s"], 1, "gap", f"no answer for {one['gap_s']:.3f} s") for one in outages]
    longest = max(steps, key=lambda one: _at(one["ended_at"]) - _at(one["at"]))
    silent = "once" if len(outages) == 1 else f"{len(outages)} times"
    words = f"{len(steps)} steps in {end - start:.1f} s, the longest {longest['step']}; no answer {silent}."
    return Drawing("the whole job", bars, scale.ticks(), ["steps", "no answer"], 2 * LANE, words)


def _outage(one: Mapping[str, Any]) -> Drawing:
    gap, brown, frozen = float(one["gap_s"]), float(one["brownout_s"] or 0.0), float(one["suspended_s"] or 0.0)
    margin = max(0.15 * (gap + brown), 0.05)
    began = _at(one["began_at"])
    scale = _Scale(began, gap + brown + 2 * margin, before=margin)
    edge = min(float(one["resolution_s"] or 0.0), gap)
    bars = [
        scale.bar(began - margin, margin, 0, "well", "answers"),
        scale.bar(began, gap, 0, "gap", f"no answer for {gap:.3f} s", f"gap {gap:.3f} s"),
        scale.bar(began + gap, brown, 0, "brown", f"slow answers for {brown:.3f} s, somewhere around the gap", "slow") if brown else None,
        scale.bar(began + gap + brown, margin, 0, "well", "answers"),
        scale.bar(began, frozen, 1, "freeze", f"frozen for {frozen:.3f} s, by the node's own figure", f"frozen {frozen:.3f} s") if frozen else None,
        scale.bar(began + gap - edge, edge, 1 if not frozen else 2, "unsure", f"of the gap, {edge:.3f} s are the distance of the questions")
        if edge
        else None,
    ]
    lanes = ["seen from outside", *["on the node"] * bool(frozen), *["not sure: the distance of the questions"] * bool(edge)]
    words = (
        f"No answer for {gap:.3f} s"
        + (f"; frozen for {frozen:.3f} s by the node's own figure" if frozen else "")
        + (f"; slow for {brown:.3f} s" if brown else "")
        + "."
    )
    drawn = [bar for bar in bars if bar is not None]
    return Drawing(f"container {one['ctid']} on {one['node']}", drawn, scale.ticks(), lanes, len(lanes) * LANE, words)


class _Scale:
    """From seconds to places in the drawing."""

    def __init__(self, zero: float, length: float, *, before: float = 0.0) -> None:
        self._zero, self._length, self._before = zero, length, before

    def bar(self, at: float, length: float, lane: int, sort: str, *words: str) -> Bar:
        """`words`: its title and, if it has one, its label."""
        x, width = self._x(at - self._zero), max(LEAST, WIDTH * length / self._length)
        return Bar(round(min(x, WIDTH - LEAST), 3), round(width, 3), lane * LANE, sort, *words)

    def ticks(self) -> list[Tick]:
        step = next((one for one in ROUND if self._length / one <= TICKS), ROUND[-1])
        digits = 2 if step < 0.1 else 1 if step < 1 else 0
        count = int((self._length - self._before) / step)
        return [Tick(round(self._x(number * step), 2), f"{number * step:.{digits}f} s") for number in range(count + 1)]

    def _x(self, after: float) -> float:
        return WIDTH * (after + self._before) / self._length


def _at(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
