"""Campaigns that move containers: what was asked, as it is kept with the campaign. Which container goes where stands in its targets."""

from typing import Literal

from pydantic import Field, field_validator

from models.updates import Part
from models.whitelist import Word
from models.windows import WindowText, ZoneName

VERSION = 1
TO = "to"  # in a target's labels: the node it goes to; without it placement chooses when its turn comes
Mode = Literal["online", "offline", "online-else-offline"]


class RelocationSpec(Part):
    """An evacuation, a return, a rebalancing or a rolling reboot."""

    version: Literal[1] = 1
    nodes: tuple[Word, ...] = Field(min_length=1, max_length=1000, description="The nodes it is about, each once.")
    mode: Mode = Field("online-else-offline", description="How running containers move; others move as they stand.")
    at_once: int = Field(4, strict=True, ge=1, le=1000, description="Most moves at once in all.")
    per_node: int = Field(4, strict=True, ge=1, le=100, description="Most moves at once from one node.")
    failures: int = Field(3, strict=True, ge=0, le=10_000, description="So many moves may fail; one more, and it stops.")
    longest_gap_s: float | None = Field(None, gt=0, le=86_400, description="Containers whose move is expected to interrupt them longer stay.")
    kernel: str | None = Field(None, max_length=100, pattern=r"^[A-Za-z0-9._+-]+$", description="What a rebooted node must run afterwards.")
    windows: tuple[WindowText, ...] = Field((), max_length=20, description="When moves may be started.")
    timezone: ZoneName = "UTC"
    margin: float = Field(10, ge=1, le=100, description="Of a rebalancing: percent of memory by which the nodes may differ.")
    most: int = Field(20, strict=True, ge=1, le=1000, description="Of a rebalancing: at most so many moves.")
    together: int = Field(1, strict=True, ge=1, le=100, description="Of a rolling reboot: so many nodes at a time.")

    @field_validator("nodes")
    @classmethod
    def _each_once(cls, nodes: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({name for name in nodes if nodes.count(name) > 1}) if len(set(nodes)) < len(nodes) else []
        if twice:
            raise ValueError(f"{', '.join(twice[:5])} is named more than once")
        return nodes


class RelocationOrder(RelocationSpec):
    """What is asked for."""

    kind: Literal["evacuation", "return", "rebalance", "reboot"]

    @property
    def spec(self) -> RelocationSpec:
        """The part that is kept with the campaign."""
        return RelocationSpec.model_validate(self.model_dump(include=set(RelocationSpec.model_fields)))
