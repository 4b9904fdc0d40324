"""What a campaign's decision goes by, and a target as it sees it. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from models.campaign_states import BAD, Outcome
from models.windows import Window

UTC_ZONE = ZoneInfo("UTC")
UNIT = 10_000  # a rate is in ten-thousandths


@dataclass(frozen=True)
class Budget:
    """How many may fail. `None` does not bound."""

    most: int | None = None
    rate: int | None = None  # ten-thousandths of those that have ended
    sample: int = 1  # the rate is reckoned of so many at least
    canaries: int = 0  # at most so many of the canaries
    counts: frozenset[Outcome] = BAD  # outcomes that use it up
    pauses: bool = False  # used up, the campaign pauses; else it stops
    more: int = 0  # allowed by a person on top


@dataclass(frozen=True)
class Rules:
    """All that the decision goes by; made from a specification."""

    budget: Budget
    at_once: int = 1
    per_node: int | None = None
    per_customer: int | None = None
    per_label: Mapping[str, int] = field(default_factory=dict)
    canaries: bool = False  # the first wave are canaries
    soak: timedelta = timedelta(0)  # between two waves
    canary_soak: timedelta = timedelta(0)
    windows: tuple[Window, ...] = ()
    zone: ZoneInfo = UTC_ZONE
    last_start: timedelta = timedelta(0)  # so long before a window closes nothing more is started
    deadline: timedelta | None = None  # without progress


@dataclass(frozen=True)
class Seen:
    """A target as the decision sees it."""

    place: int
    wave: int
    outcome: Outcome
    node: str = ""
    customer: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    ended_at: datetime | None = None
    hold: str = ""  # why one that is not started cannot be started now
    vital: bool = False  # nothing goes on once it has failed, whatever the budget
