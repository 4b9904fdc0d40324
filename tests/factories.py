"""Valid rows from one word each; what a test does not care about is filled in."""

import itertools
from datetime import datetime
from typing import Any

from models.fleet import Container, ContainerState, Node, NodeState, Plan, Pool
from models.ids import JobIds
from models.jobs import Job
from models.kinds import KINDS
from models.lifecycle import State
from tests.stand_ins import NOON, ManualClock

GIB = 1 << 30
TEMPLATES = ("busybox-mini-x86_64", "debian-12-x86_64-minbase", "ubuntu-22.04-x86_64", "centos-6-x86_64")
_numbers = itertools.count(1)
_ids = JobIds(ManualClock())


def make_node(name: str = "node-1", **given: Any) -> Node:
    """An enrolled node with plenty of room and the usual templates."""
    fields: dict[str, Any] = {
        "site": "main",
        "host": "127.0.0.1",
        "host_key": "ssh-ed25519 AAAA",
        "state": NodeState.ACTIVE,
        "dialect": "vzctl",
        "abilities": {"templates": list(TEMPLATES), "ctids": [], "version": "4.11"},
        "memory_bytes": 64 * GIB,
        "disk_bytes": 1000 * GIB,
    }
    return Node(name=name, **(fields | given))


def make_container(ctid: int = 1001, **given: Any) -> Container:
    """A container that was handed over."""
    fields: dict[str, Any] = {"node": "n1", "site": "main", "state": ContainerState.PRESENT, "hostname": f"ct{ctid}.example.net", "since": NOON}
    return Container(ctid=ctid, **(fields | given))


def make_plan(name: str = "small", **given: Any) -> Plan:
    """A small plan."""
    fields: dict[str, Any] = {"ram_bytes": GIB // 4, "disk_bytes": 2 * GIB}
    return Plan(name=name, **(fields | given))


def make_pool(name: str = "public", **given: Any) -> Pool:
    """A pool of 16,382 addresses, enough for every test."""
    fields: dict[str, Any] = {"site": "main", "cidr": "127.64.0.0/18", "first": "127.64.0.1", "last": "127.64.63.254", "probe": "tcp:7000"}
    return Pool(name=name, **(fields | given))


def make_job(kind: str = "check-queue", *, now: datetime = NOON, state: State = State.QUEUED, **given: Any) -> Job:
    """A job of this kind, due now; with `state` it is set there without the events on the way."""
    rules = KINDS[kind]
    number = next(_numbers)
    fields: dict[str, Any] = {
        "id": _ids.next(),
        "order": {"kind": kind},
        "rank": rules.rank,
        "site": "main",
        "family": rules.family,
        "load": rules.load,
        "key": f"key-{number}",
        "digest": f"digest-{number}",
        "producer": "test",
        "accepted_at": now,
        "due_at": now,
        "deadline": now + rules.deadline,
    }
    return Job(kind=kind, state=state, **(fields | given))
