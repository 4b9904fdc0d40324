"""What a campaign's rules come to, told before it starts: found by asking the decision itself, never reckoned anew."""

import heapq
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from models.campaign_states import Outcome
from producers.campaigns.decision import Verdict, decide
from producers.campaigns.rules import Rules, Seen

ENDINGS = (Verdict.STOP, Verdict.PAUSE)
OFTEN = (10, 100)  # besides canaries, sample and the whole population
LONGEST = timedelta(days=366)
LOOKS = 10_000_000  # at targets, all decisions together: some seconds, which a database may have to wait for


@dataclass(frozen=True)
class Stop:
    """So many failures of so many end it."""

    failures: int | None  # None: however many fail, it goes on
    of: int
    canaries: bool = False

    def __str__(self) -> str:
        where = f"the {self.of} canaries" if self.canaries and self.of > 1 else "1 canary" if self.canaries else f"{self.of}"
        return f"{self.failures} of {where}" if self.failures is not None else f"none of {where}"


@dataclass(frozen=True)
class Forecast:
    """The course without failures, if each target takes as long as is thought."""

    ends_at: datetime | None  # None: it would stop by itself, or not end within a year
    most_at_once: int
    why: str = ""  # why it would not end


def stops(rules: Rules, targets: Sequence[Seen], now: datetime) -> list[Stop]:
    """At which failures it ends, for the canaries and for growing parts of the population."""
    sheet: list[Stop] = []
    canaries = sum(target.wave == 0 for target in targets) if rules.canaries else 0
    if canaries:
        sheet.append(Stop(_fewest(rules, targets[:canaries], canaries, now), canaries, canaries=True))
    sample = rules.budget.sample if rules.budget.rate is not None else 0
    marks = [of for of in sorted({sample, *OFTEN, len(targets)}) if canaries < of <= len(targets)]
    return sheet + [Stop(_fewest(rules, targets, of, now), of) for of in marks]


def forecast(
    rules: Rules, targets: Sequence[Seen], now: datetime, *, ends: Callable[[int, datetime], datetime], flying: Mapping[int, datetime] | None = None
) -> Forecast:
    """Play the campaign: every target ends well, when `ends` says by its place and its start; those in flight as `flying` says."""
    seen, begun = list(targets), now
    ending = [(at, place) for place, at in (flying or {}).items()]
    heapq.heapify(ending)
    most, looks = len(ending), 0
    while now - begun < LONGEST:
        looks += len(seen)
        if looks > LOOKS:
            return Forecast(None, most, f"{len(seen)} targets are too many to be played through beforehand")
        decision = decide(rules, seen, now, running_since=now)
        if decision.verdict is Verdict.FINISHED:
            return Forecast(now, most)
        if decision.verdict in ENDINGS:
            return Forecast(None, most, decision.why)
        for place in decision.start:
            seen[place] = replace(seen[place], outcome=Outcome.IN_FLIGHT)
            heapq.heappush(ending, (ends(place, now), place))
        most = max(most, len(ending))
        if not decision.start and not ending and decision.until is None:
            return Forecast(None, most, decision.why)
        now = min([*([ending[0][0]] if ending else []), *([decision.until] if decision.until and not decision.start else [])])
        while ending and ending[0][0] <= now:
            at, place = heapq.heappop(ending)
            seen[place] = replace(seen[place], outcome=Outcome.OK, ended_at=at)
    return Forecast(None, most, "it would take more than a year")


def _fewest(rules: Rules, targets: Sequence[Seen], of: int, now: datetime) -> int | None:
    """The fewest failures that end it once the first `of` have ended; the last of them are the ones that fail. More failures never save it."""

    def ends(failures: int) -> bool:
        ended = [replace(one, outcome=bad if place >= of - failures else Outcome.OK, ended_at=now, hold="") for place, one in enumerate(targets[:of])]
        return decide(rules, [*ended, *targets[of:]], now, running_since=now).verdict in ENDINGS

    bad = Outcome.FAILED if Outcome.FAILED in rules.budget.counts else min(rules.budget.counts)
    fewest = bisect_left(range(1, of + 1), x=True, key=ends) + 1
    return fewest if fewest <= of else None
