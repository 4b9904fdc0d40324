"""The specification of a roll-out: which containers, what update, in which waves, under which guard."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from models.campaign_states import Outcome
from models.spans import Share, Span, span, ten_thousandths, wanted
from models.updates import Manner, Part
from models.whitelist import CtId, Word
from models.windows import WindowText, ZoneName, read_window

Pattern = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9*?][A-Za-z0-9.*?_-]{0,252}$"), wanted("a name; * and ? stand for anything in it")]
Canary = Annotated[CtId | Pattern, wanted("an id, a name or a host name")]
Many = Annotated[int, Field(strict=True, ge=1, le=100_000)]
WaveSize = Annotated[Many | Share, wanted('a number of containers from 1 to 100000, or a share such as "10%"')]
Words = Annotated[tuple[Word, ...], Field(max_length=1000)]


class Traits(Part):
    """What containers are told apart by. Values of one field are alternatives, fields must all fit."""

    labels: dict[Word, Word] = Field(default_factory=dict, max_length=16)
    nodes: Words = ()
    sites: Words = ()
    plans: Words = ()
    templates: Words = ()
    customers: Words = ()
    names: tuple[Pattern, ...] = Field((), max_length=10_000, description="Names or host names; * and ? stand for anything.")
    ids: tuple[CtId, ...] = Field((), max_length=100_000)

    @property
    def nothing(self) -> bool:
        """No trait is named."""
        return not any(getattr(self, field) for field in Traits.model_fields)


class Selector(Traits):
    """The containers of a roll-out."""

    all: bool = Field(False, strict=True, description="Every container; in place of traits.")
    exclude: Traits = Field(Traits(), description="Left out: whatever fits any of these.")

    @model_validator(mode="after")
    def _not_by_mistake(self) -> "Selector":
        if self.nothing and not self.all:
            raise ValueError("selects nothing; name labels, nodes, sites, plans, templates, customers, names or ids, or say all = true")
        if self.all and not self.nothing:
            raise ValueError("all = true and a narrower choice contradict each other; give one of them")
        return self


class RampUp(Part):
    """Waves that grow: first, first × factor, … up to most."""

    first: int = Field(1, strict=True, ge=1, le=100_000)
    factor: int = Field(2, strict=True, ge=2, le=10)
    most: int | None = Field(None, strict=True, ge=1, le=100_000, description="The largest wave; no bound if left out.")


class Waves(Part):
    """In which portions. Each wave begins when the one before has ended; what is left after the last one is a wave of its own."""

    canaries: tuple[Canary, ...] = Field((), max_length=1000, description="The first wave: ids, names or host names.")
    sizes: tuple[WaveSize, ...] = Field((), max_length=100, examples=[[1, 5, "10%"]])
    ramp_up: RampUp | None = None
    soak: Span = Field("0s", description="How long to wait between two waves.")
    canary_soak: Span | None = Field(None, description="How long to wait after the canaries; as `soak` if left out.")

    @model_validator(mode="after")
    def _one_story(self) -> "Waves":
        if self.sizes and self.ramp_up:
            raise ValueError("sizes and ramp_up contradict each other; give one of them")
        shares = sum(ten_thousandths(size) for size in self.sizes if isinstance(size, str))
        if shares > 10_000:
            raise ValueError(f"the sizes are {shares / 100:g} % of the containers together; 100 % is all there is")
        if any(isinstance(size, str) and not ten_thousandths(size) for size in self.sizes):
            raise ValueError("a wave of 0% starts nothing; leave it out")
        if self.ramp_up and self.ramp_up.most is not None and self.ramp_up.most < self.ramp_up.first:
            raise ValueError(f"ramp_up begins with {self.ramp_up.first} and may not exceed {self.ramp_up.most}; raise `most`")
        if len(set(self.canaries)) < len(self.canaries):
            raise ValueError("a canary stands twice")
        return self


class AtOnce(Part):
    """How many at the same time, whatever wave or batch they belong to."""

    all: Many = 20
    per_node: Many = 2
    per_customer: Many | None = None
    per_label: dict[Word, Many] = Field(default_factory=dict, max_length=8, description="For each value of the label, e.g. role = 1.")


class Budget(Part):
    """How many may fail, counted over the whole roll-out. One more, and it ends."""

    failures: int | None = Field(None, strict=True, ge=0, le=100_000, description="At most so many in all.")
    rate: Share | None = Field("10%", description="At most this share of those that have ended.")
    sample: int = Field(10, strict=True, ge=1, le=100_000, description="The rate is reckoned of so many at least.")
    canaries: int = Field(0, strict=True, ge=0, le=1000, description="At most so many of the canaries.")
    counts: tuple[Literal["failed", "unreachable", "regressed", "skipped"], ...] = Field(
        ("failed", "unreachable", "regressed"), min_length=1, description="Outcomes that use it up."
    )
    then: Literal["stop", "pause"] = Field("stop", description="What happens when it is used up.")

    @model_validator(mode="after")
    def _bounded(self) -> "Budget":
        if self.failures is None and self.rate is None:
            raise ValueError("bounds nothing; give failures or rate")
        return self

    @property
    def outcomes(self) -> frozenset[Outcome]:
        """The outcomes that use it up."""
        return frozenset(Outcome(word) for word in self.counts)


class RolloutSpec(Manner):
    """One roll-out."""

    version: Literal[1] = 1
    name: Word = "rollout"
    selector: Selector
    waves: Waves = Waves()
    at_once: AtOnce = AtOnce()
    budget: Budget = Budget()
    windows: tuple[WindowText, ...] = Field(
        (), max_length=20, description="When targets may be started; always if left out.", examples=[["mon-fri 22:00-04:00"]]
    )
    timezone: ZoneName = Field("UTC", description="Whose clocks the windows go by.")
    last_start: Span = Field("0s", description="So long before a window closes nothing more is started.")
    deadline: Span = Field("6h", description="It stops when no target ended well for so long; time in which it waits for its window does not count.")
    patience: Span = Field("15m", description="A target whose node does not answer for so long is unreachable.")

    @model_validator(mode="after")
    def _possible(self) -> "RolloutSpec":
        for window in self.windows:
            read = read_window(window)
            lasts = (read.closes.hour * 60 + read.closes.minute) - (read.opens.hour * 60 + read.opens.minute) + 1440 * read.overnight
            if span(self.last_start).total_seconds() >= lasts * 60:
                raise ValueError(f"last_start {self.last_start} leaves nothing of the window {window!r}")
        if span(self.deadline) <= span(self.waves.soak):
            raise ValueError(f"a deadline of {self.deadline} without progress is over before the soak of {self.waves.soak} is")
        return self

    @property
    def manner(self) -> Manner:
        """What the order of each target needs of it."""
        return Manner(**{field: getattr(self, field) for field in Manner.model_fields})
