"""The lab: simulated nodes to try things on, taken into the fleet the way real ones are."""

import hashlib
import json
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from sqlmodel import col, select

from models.fleet import Node, NodeState, Plan, Pool
from models.jobs import Job
from models.lifecycle import State
from models.orders import EnrolNode
from models.settings import Settings
from producers.embedded.programs import environment, python
from producers.embedded.supervisor import Program
from producers.house import House

MIB, GIB = 2**20, 2**30
SIZES = {"small": (256 * MIB, 2 * GIB, 1), "medium": (512 * MIB, 4 * GIB, 2), "large": (1 * GIB, 8 * GIB, 4)}  # RAM, disk, CPUs
POOL = "lab"
BLOCK = 2**13  # addresses of one lab
BLOCKS = range(int(IPv4Address("127.64.0.0")), int(IPv4Address("127.128.0.0")), BLOCK)
LISTENS = "0A"
ASKER = "vzq up"


@dataclass(frozen=True)
class LabNode:
    """A simulated node as it tells of itself in nodes.json."""

    name: str
    host: str
    port: int
    host_key: str
    fingerprint: str
    root: str


def program(settings: Settings, folder: Path, *, nodes: int, speed: float | None) -> Program:
    """The one process that plays all nodes; the management host's key opens them."""
    argv = python("ops.simnode", "--state", str(folder), "--nodes", str(nodes), "--authorized-keys", f"{settings.ssh_key_file.absolute()}.pub")
    return Program("lab", argv if speed is None else [*argv, "--speed", f"{speed:g}"], environment(settings))


def stamp(folder: Path) -> tuple[int, int]:
    """Tells one writing of nodes.json from another: the file of an earlier run stays until the nodes are ready again."""
    try:
        found = (folder / "nodes.json").stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns


def nodes_of(folder: Path) -> list[LabNode]:
    """The nodes as they were when they were ready last; none while the file is not there yet."""
    try:
        rows = json.loads((folder / "nodes.json").read_text())
    except (FileNotFoundError, ValueError):
        return []
    return [LabNode(row["name"], row["host"], int(row["port"]), row["host_key"], row["fingerprint"], row["root"]) for row in rows]


def furnish(house: House) -> None:
    """Plans to order and addresses to give out, where there are none of these names. Safe to repeat."""
    with house.database.write() as session:
        for name, (ram, disk, cpus) in SIZES.items():
            if session.get(Plan, name) is None:
                session.add(Plan(name=name, ram_bytes=ram, disk_bytes=disk, cpus=cpus, cpuunits=1000 * cpus))
        if session.get(Pool, POOL) is None:
            first, last = free_block(house.settings.state, listened())
            session.add(Pool(name=POOL, site=house.settings.site, cidr=f"{first}/19", first=str(first + 1), last=str(last - 1), probe="tcp:7000"))


def enrol(house: House, nodes: Iterable[LabNode]) -> list[str]:
    """Order the enrolment of those that do not work yet, all at once; the jobs' ids."""
    jobs = []
    with house.database.write() as session:
        for node in nodes:
            row = session.get(Node, node.name)
            if row is not None and row.state != NodeState.NEW and row.host_key.split()[:2] == node.host_key.split()[:2]:
                row.host, row.port = node.host, node.port  # the same machine; somebody else may have taken its port meanwhile
                session.add(row)
                continue
            order = EnrolNode(node=node.name, host=node.host, port=node.port, fingerprint=node.fingerprint)
            jobs.append(house.intake.submit(session, order, by=ASKER, because="the lab").job.id)
    house.bell.wake()
    return jobs


def working(house: House, nodes: Iterable[LabNode]) -> bool:
    """All of them are in the fleet."""
    names = {node.name for node in nodes}
    with house.database.read() as session:
        rows = session.exec(select(Node.name).where(col(Node.name).in_(names), col(Node.state) != NodeState.NEW)).all()
    return set(rows) == names


def failure(house: House, jobs: Sequence[str]) -> str:
    """What went wrong with the first of these jobs that ended badly; empty when none did."""
    bad = (State.FAILED, State.CANCELLED, State.STUCK)
    with house.database.read() as session:
        job = session.exec(select(Job).where(col(Job.id).in_(jobs), col(Job.state).in_(bad)).order_by(Job.id)).first()
    return f"job {job.id} ({job.kind}) is {job.state}: {job.error}" if job else ""


def addresses(house: House) -> Iterator[IPv4Address]:
    """Those of the lab's pool, the last first: orders are given the first ones."""
    with house.database.read() as session:
        pool = session.get_one(Pool, POOL)
    return (IPv4Address(number) for number in range(int(IPv4Address(pool.last)), int(IPv4Address(pool.first)) - 1, -1))


def free_block(state: Path, taken: Collection[IPv4Address]) -> tuple[IPv4Address, IPv4Address]:
    """The first and last of a block of loopback addresses, none of them `taken`: two labs on one machine are not to meet.

    Which one follows from the state folder, so that labs that begin at the same moment hardly meet either.
    """
    number = int.from_bytes(hashlib.sha256(str(state.absolute()).encode()).digest()[:4], "big")
    blocks = {int(address) // BLOCK for address in taken}
    places = (BLOCKS[(number + further) % len(BLOCKS)] for further in range(len(BLOCKS)))
    first = next((place for place in places if place // BLOCK not in blocks), BLOCKS[number % len(BLOCKS)])
    return IPv4Address(first), IPv4Address(first + BLOCK - 1)


def listened() -> set[IPv4Address]:
    """The addresses of this machine on which somebody takes TCP connections (proc(5), net/tcp); empty where that cannot be seen."""
    try:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    except OSError:
        return set()
    return {IPv4Address(int(row[1].partition(":")[0], 16).to_bytes(4, sys.byteorder)) for row in rows if row[3] == LISTENS}
