"""What goes from node to node besides files: the dump of a running container, and how long a copy takes."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.simnode.calls import Refused
from ops.simnode.node_state import Load

if TYPE_CHECKING:
    from ops.simnode.containers import Containers


def write_dump(node: "Containers", ctid: int, path: Path) -> None:
    """What of a running container is more than its files."""
    state, load = node.table[ctid], node.load(ctid)
    kept = {"hostname": state.hostname, "since": state.since, "answers": state.answers, **asdict(load)}
    path.write_text(json.dumps(kept))


def take_up_dump(node: "Containers", ctid: int, kept: Mapping[str, Any]) -> None:
    """Go on where the dump was made."""
    state = node.table[ctid]
    state.since, state.answers = kept["since"], kept["answers"]
    node.loads[ctid] = Load(kept["rss_kib"], kept["dirty_kib_s"])
    node.set_hostname(ctid, kept["hostname"], written=False)


def figures_of_a_copy(node: "Containers", source: Path, to: str) -> tuple[dict[str, Any], float, float]:
    """Size of a private area or a dump, the KiB that go, and how long a copy to there takes at speed 1: less when it was copied before."""
    if source.parent == node.sandbox.dump_dir:
        kib = json.loads(source.read_text())["rss_kib"]
        return {"kib": kib, "bytes": source.stat().st_size}, kib, node.latency.amount("dump-copy-kib", kib)
    ctid = int(source.name) if source.name.isdigit() else 0
    kib, now, key = node.disk.sizes.get(ctid, 0), time.monotonic(), f"{source} {to}"
    moved: float = kib
    if key in node.synced and node.latency.speed:
        moved = min(node.load(ctid).dirty_kib_s * (now - node.synced[key]) / node.latency.speed, kib)
    node.synced[key] = now
    inodes = node.disk.inodes_of(ctid)
    seconds = node.latency.amount("network-kib", moved) + node.latency.amount("scan-inodes", inodes)
    total = sum(path.lstat().st_size for path in source.rglob("*") if path.is_file() and not path.is_symlink())
    return {"kib": kib, "bytes": total}, moved, seconds


def read_dump(path: Path) -> dict[str, float]:
    """What a dump holds; raises Refused 17 for one that is none."""
    try:
        kept: dict[str, float] = json.loads(path.read_text())
        kept["rss_kib"] += 0
    except (ValueError, KeyError, TypeError):
        raise Refused(17, "Error: image is broken\nRestoring failed") from None
    return kept
