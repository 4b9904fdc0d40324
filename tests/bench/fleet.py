"""Rows and simulated nodes for benchmarks: a fleet that is there at once, or one that really answers over SSH."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.fleet import Node, NodeState, Plan, Pool
from models.orders import EnrolNode
from tests.bench.surroundings import Installation, started, wait_until

GIB = 1 << 30
TEMPLATE = "debian-12-x86_64-minbase"


def furnish(installation: Installation, *, nodes: int = 0) -> None:
    """A plan, a /16 of addresses and, if asked for, nodes that exist as rows only."""
    with installation.house.database.write() as session:
        session.add(Plan(name="small", ram_bytes=GIB // 64, disk_bytes=GIB // 16))
        session.add(Pool(name="public", site="main", cidr="127.64.0.0/16", first="127.64.0.1", last="127.64.255.254", probe="tcp:7000"))
        session.add_all(
            Node(
                name=f"node-{number}",
                site="main",
                host="127.0.0.1",
                state=NodeState.ACTIVE,
                dialect="vzctl",
                memory_bytes=4096 * GIB,
                disk_bytes=65536 * GIB,
                abilities={"templates": [TEMPLATE], "ctids": [], "version": "4.11"},
            )
            for number in range(nodes)
        )


@contextmanager
def lab(installation: Installation, *, nodes: int, speed: float = 0) -> Iterator[Sequence[dict[str, Any]]]:
    """Simulated nodes, without any delay of their own unless told otherwise, enrolled; service and worker must be running."""
    folder = installation.settings.state / "lab"
    words = (
        "--state",
        str(folder),
        "--nodes",
        str(nodes),
        "--speed",
        f"{speed:g}",
        "--authorized-keys",
        str(installation.settings.state / "ssh" / "id_ed25519.pub"),
    )
    with started("ops.simnode", *words, env=installation.environment):
        wait_until((folder / "nodes.json").exists, "the simulated nodes")
        found: list[dict[str, Any]] = json.loads((folder / "nodes.json").read_text())
        house = installation.house
        with house.database.write() as session:
            for node in found:
                order = EnrolNode(node=node["name"], host=node["host"], port=node["port"], fingerprint=node["fingerprint"])
                house.intake.submit(session, order, by="bench")
        house.bell.wake()
        wait_until(lambda: installation.open_jobs() == 0, "the enrolment of the simulated nodes")
        yield found


def ledger(root: str, ctid: int) -> Path:
    """The file that the node's runner makes at the first word about a container."""
    return Path(root) / "var/lib/vzq/ledger" / str(ctid)
