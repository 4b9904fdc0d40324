"""What a benchmark hands back: named series of figures, ratios between them, and a table that says what they mean."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal


@dataclass(frozen=True)
class Series:
    """One figure of one contender, once a round."""

    contender: str
    figure: str  # "jobs/s", "p99 ms" …
    rounds: list[float]
    against: str = ""  # the contender that the ratio is taken to

    @property
    def median(self) -> float:
        return median(self.rounds)

    @property
    def spread(self) -> float:
        """From the lowest to the highest round, as a share of the median."""
        return (max(self.rounds) - min(self.rounds)) / self.median if self.median else 0.0


@dataclass(frozen=True)
class Target:
    """What DESIGN §15 asks for; told, never asserted: a busy machine is no fault of the program."""

    what: str
    reached: float
    wanted: float
    sense: Literal["at least", "at most"]

    @property
    def met(self) -> bool:
        return self.reached >= self.wanted if self.sense == "at least" else self.reached <= self.wanted


@dataclass
class Report:
    """One benchmark's outcome."""

    benchmark: str
    about: str
    series: list[Series] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, contender: str, figure: str, rounds: Sequence[float], *, against: str = "") -> None:
        """Add one figure of one contender."""
        self.series.append(Series(contender, figure, list(rounds), against))

    def ratio(self, contender: str, to: str, figure: str) -> float:
        """The median of the rounds' own ratios: what was measured side by side is compared side by side."""
        ours, theirs = self._rounds(contender, figure), self._rounds(to, figure)
        return median(mine / other for mine, other in zip(ours, theirs, strict=True) if other)

    def has(self, contender: str, figure: str) -> bool:
        """Whether this figure was measured."""
        return any((one.contender, one.figure) == (contender, figure) for one in self.series)

    def _rounds(self, contender: str, figure: str) -> list[float]:
        return next(one.rounds for one in self.series if (one.contender, one.figure) == (contender, figure))

    def text(self) -> str:
        """The table as it is printed."""
        rows = [("contender", "figure", "median", "lowest", "highest", "spread", "ratio")]
        for one in self.series:
            ratio = f"{self.ratio(one.contender, one.against, one.figure):.2f} x {one.against}" if one.against else ""
            low, high = min(one.rounds), max(one.rounds)
            rows.append((one.contender, one.figure, plain(one.median), plain(low), plain(high), f"{one.spread:.0%}", ratio))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [f"== {self.benchmark}: {self.about}"]
        lines += [
            "  ".join(cell.ljust(w) if at in (0, 1, 6) else cell.rjust(w) for at, (cell, w) in enumerate(zip(row, widths, strict=True))).rstrip()
            for row in rows
        ]
        lines += [f"target {t.what}: {plain(t.reached)}, {t.sense} {plain(t.wanted)} wanted: {'met' if t.met else 'NOT MET'}" for t in self.targets]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)

    def data(self) -> dict[str, Any]:
        """The same for machines."""
        return asdict(self) | {"targets": [asdict(target) | {"met": target.met} for target in self.targets]}


def write_json(reports: Sequence[Report], path: Path, **about: Any) -> None:
    """Keep all figures of a run, round by round."""
    path.write_text(json.dumps(about | {"benchmarks": [report.data() for report in reports]}, indent=1) + "\n")


def quantile(values: Sequence[float], part: float) -> float:
    """The value that `part` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]


def plain(number: float) -> str:
    """As many digits as mean something."""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}"
