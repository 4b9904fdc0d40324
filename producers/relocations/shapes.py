"""A relocation before it begins, as JSON and for people."""

from typing import Any

from models.clock import stamp
from models.relocations import TO
from producers.relocations.start import Relocation


def plan_shape(relocation: Relocation) -> dict[str, Any]:
    """Who moves where and in which order, and what that is expected to cost."""
    history = relocation.history
    return {
        "kind": str(relocation.kind),
        "nodes": list(relocation.spec.nodes),
        "moves": [
            {
                "wave": one.wave, "ctid": one.ctid, "name": one.title, "node": one.node, "to": one.labels.get(TO),
                "gap_s": round(history.gap_s(one.ctid), 3), "seconds": round(history.length(one.ctid).total_seconds(), 1),
            }
            for one in relocation.targets if one.ctid is not None
        ],
        "reboots": [one.node for one in relocation.targets if one.ctid is None],
        "staying": [{"ctid": ctid, "why": why} for ctid, why in relocation.staying.items()],
        "ends_at": stamp(relocation.forecast.ends_at),
        "would_not_end": relocation.forecast.why,
        "guessed": history.guessed,
    }  # fmt: skip
