"""Traffic of containers as counters that only grow, made of the node's, which begin anew with every start."""

from collections.abc import Mapping

from models.fleet import Container
from workers.openvz.driver import Flow

NO_INIT = "its node shows no init process of it: neither /var/lib/vzctl/vepid nor envID in /proc"
NO_INTERFACE = "it has no interface venet or eth"
WRAP = 1 << 32  # counters of 32-bit kernels


def count(row: Container, flow: Flow | None, *, running: bool) -> None:
    """Add what passed since the last look. What passes between the last look at one life and its end is never seen: too little, never too much."""
    if flow is None or not flow.by:
        if running:
            row.net_why = NO_INIT if flow is None else NO_INTERFACE
        return  # one that is down has no counters; its sums stay
    row.net_in_bytes = (row.net_in_bytes or 0) + _passed(row, "in", flow.in_bytes, flow.life)
    row.net_out_bytes = (row.net_out_bytes or 0) + _passed(row, "out", flow.out_bytes, flow.life)
    row.net_seen = {"node": row.node, "life": flow.life, "in": flow.in_bytes, "out": flow.out_bytes}
    row.net_why = ""


def _passed(row: Container, way: str, now: int, life: str) -> int:
    seen: Mapping[str, object] = row.net_seen
    last = seen.get(way, 0)
    if not isinstance(last, int):
        return now
    if seen.get("life") == life and seen.get("node") == row.node:
        return now - last if now >= last else (now - last) % WRAP if last < WRAP else now
    if seen and seen.get("node") != row.node and now >= last:
        return now - last  # an online move may have brought the counters along: what was counted once is not counted again
    return now
