"""Our moves against bare `vzmigrate` between the same two simulated nodes, which take the time of the recorded ones: one container
that goes to and fro, and a node that is emptied (`vzq node evacuate`) against a shell loop over vzmigrate."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import asyncssh
from sqlmodel import select

from models.campaigns import Campaign
from models.fleet import Container, ContainerState, Node, NodeState
from models.jobs import Job
from models.lifecycle import State
from models.orders import CreateContainer, MigrateContainer
from models.relocations import RelocationSpec
from producers.relocations import start as relocations
from tests.bench.figures import Report, Target
from tests.bench.fleet import furnish, lab
from tests.bench.rounds_of import interleaved
from tests.bench.surroundings import Installation, Place, wait_until

BARE, OURS, LOOP, EVACUATION = "bare vzmigrate", "vzq migrate", "shell loop over vzmigrate", "vzq node evacuate"
TEMPLATE = "busybox-mini-x86_64"
TOTAL, SUSPENDED = "s a move", "s suspended"
WHOLE, LONGEST = "s for all", "s suspended, longest"
SUSPENDED_S = re.compile(r"Total suspended time: *([0-9.]+)")
ENOUGH_S = 1800.0


@dataclass
class Pair:
    """Two nodes, and containers that go from one to the other."""

    installation: Installation
    nodes: dict[str, dict[str, Any]]
    ctids: Sequence[int]

    def where(self, ctid: int) -> tuple[str, str]:
        """The node that it is on, and the other one."""
        with self.installation.house.database.read() as session:
            here = session.get_one(Container, ctid).node
        return here, next(name for name in self.nodes if name != here)

    def gone(self, ctids: Sequence[int], to: str) -> None:
        """The books learn what bare vzmigrate did."""
        with self.installation.house.database.write() as session:
            for ctid in ctids:
                session.get_one(Container, ctid).node = to


def single(place: Place, rounds: int, *, moves: int, speed: float) -> Report:
    """One container, `moves` times a round by each contender."""
    report = Report("move", f"one container online to the other node and back, {moves} times a round, nodes at {speed:g} of the recorded times")
    with _pair(place, containers=1, speed=speed) as pair:
        found = interleaved({BARE: lambda: _each(_bare, pair, moves), OURS: lambda: _each(_ours, pair, moves)}, rounds)
    for name, series in found.items():
        report.add(name, TOTAL, [total for total, _ in series], against="" if name == BARE else BARE)
        report.add(name, SUSPENDED, [suspended for _, suspended in series], against="" if name == BARE else BARE)
    more = median(ours[0] - bare[0] for ours, bare in zip(found[OURS], found[BARE], strict=True))
    report.targets.append(Target("seconds over bare vzmigrate", more, 0.3, "at most"))
    report.targets.append(Target("total against bare vzmigrate", report.ratio(OURS, BARE, TOTAL), 1.02, "at most"))
    report.targets.append(Target("suspended against bare vzmigrate", report.ratio(OURS, BARE, SUSPENDED), 1.0, "at most"))
    report.notes.append(
        "ours is from acceptance to DONE: preflight on both nodes, a key of its own, looks, the probe, an answer from outside, the old copy gone"
    )
    return report


def emptying(place: Place, rounds: int, *, containers: int, speed: float) -> Report:
    """So many containers, all of them to the other node, in each round by each contender."""
    report = Report("evacuate", f"a node with {containers} containers is emptied, online, nodes at {speed:g} of the recorded times")
    with _pair(place, containers=containers, speed=speed) as pair:
        found = interleaved({LOOP: lambda: _loop(pair), EVACUATION: lambda: _evacuation(pair)}, rounds)
    for name, series in found.items():
        report.add(name, WHOLE, [whole for whole, _ in series], against="" if name == LOOP else LOOP)
        report.add(name, LONGEST, [longest for _, longest in series], against="" if name == LOOP else LOOP)
    report.targets.append(Target("evacuation against a shell loop", report.ratio(EVACUATION, LOOP, WHOLE), 1.0, "at most"))
    report.notes.append(
        "the loop moves one after the other and looks at nothing; vzq moves as many at once as slots and pace between the two nodes allow"
    )
    return report


@contextmanager
def _pair(place: Place, *, containers: int, speed: float) -> Iterator[Pair]:
    with closing(place.installation("sqlite")) as installation, installation.running():
        furnish(installation)
        with lab(installation, nodes=2, speed=speed) as nodes:
            house = installation.house
            with house.database.write() as session:
                for node in session.exec(select(Node)).all():
                    node.slots = {"create": 16, "exec": 16}
                    session.add(node)
            with house.database.write() as session:
                order = CreateContainer(plan="small", template=TEMPLATE, hostname="a.example.net", node=nodes[0]["name"])
                jobs = [house.intake.submit(session, order, by="bench").job.id for _ in range(containers)]
            house.bell.wake()
            wait_until(lambda: installation.open_jobs() == 0, "the containers", patience_s=ENOUGH_S, every_s=0.1)
            with house.database.read() as session:
                ctids = sorted(session.get_one(Job, job).ctid or 0 for job in jobs)
            pair = Pair(installation, {node["name"]: node for node in nodes}, ctids)
            _trust(pair)
            yield pair


def _trust(pair: Pair) -> None:
    """What whoever uses bare vzmigrate has: a standing key from node to node."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    for node in pair.nodes.values():
        home = Path(node["root"]) / "root/.ssh"
        home.mkdir(mode=0o700, exist_ok=True)
        (home / "bench").touch(mode=0o600)
        key.write_private_key(home / "bench")
        with (home / "authorized_keys").open("ab") as keys:
            keys.write(key.export_public_key())


def _vzmigrate(pair: Pair, source: str, target: str) -> str:
    there, identity = pair.nodes[target], Path(pair.nodes[source]["root"]) / "root/.ssh/bench"
    ssh = f"-i {identity} -o Port={there['port']} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    return f"vzmigrate --online --ssh-mux -t --ssh='{ssh}' {there['host']}"


def _on(pair: Pair, name: str, command: str) -> str:
    """What an administrator who logs in there gets."""
    node, key = pair.nodes[name], pair.installation.settings.ssh_key_file

    async def said() -> str:
        known = ([asyncssh.import_public_key(node["host_key"])], [], [])
        options: dict[str, Any] = {"client_keys": [str(key)], "known_hosts": known, "username": "root", "config": None, "agent_path": None}
        async with asyncssh.connect(node["host"], node["port"], **options) as connection:
            done = await connection.run(command)
        if done.exit_status:
            raise RuntimeError(f"{command} on {name} ended with {done.exit_status}: {done.stdout}{done.stderr}")
        return str(done.stdout)

    return asyncio.run(said())


# -- one container ---------------------------------------------------------------------------------------------------


def _each(way: Callable[[Pair], tuple[float, float]], pair: Pair, moves: int) -> tuple[float, float]:
    went = [way(pair) for _ in range(moves)]
    return median(total for total, _ in went), median(suspended for _, suspended in went)


def _bare(pair: Pair) -> tuple[float, float]:
    (ctid,) = pair.ctids
    source, target = pair.where(ctid)
    begun = time.perf_counter()
    said = _on(pair, source, f"{_vzmigrate(pair, source, target)} {ctid}")
    took = time.perf_counter() - begun
    pair.gone([ctid], target)
    return took, _suspended(said)[0]


def _ours(pair: Pair) -> tuple[float, float]:
    (ctid,) = pair.ctids
    house, (_, target) = pair.installation.house, pair.where(ctid)
    begun = time.perf_counter()
    with house.database.write() as session:
        job_id = house.intake.submit(session, MigrateContainer(ctid=ctid, to=target), by="bench").job.id
    house.bell.wake()
    wait_until(lambda: pair.installation.open_jobs() == 0, "the move", every_s=0.005)
    took = time.perf_counter() - begun
    with house.database.read() as session:
        job = session.get_one(Job, job_id)
    if job.state != State.DONE:
        raise RuntimeError(f"the move is {job.state}: {job.error}")
    return took, float(job.result["suspended_s"])


def _suspended(said: str) -> list[float]:
    return [float(total) for total in SUSPENDED_S.findall(said)]


# -- a whole node ----------------------------------------------------------------------------------------------------


def _loop(pair: Pair) -> tuple[float, float]:
    source, target = pair.where(pair.ctids[0])
    command = _vzmigrate(pair, source, target)
    begun = time.perf_counter()
    said = _on(pair, source, f"for ct in {' '.join(map(str, pair.ctids))}; do {command} $ct || exit; done")
    took = time.perf_counter() - begun
    pair.gone(pair.ctids, target)
    return took, max(_suspended(said))


def _evacuation(pair: Pair) -> tuple[float, float]:
    house, (source, _) = pair.installation.house, pair.where(pair.ctids[0])
    begun = time.perf_counter()
    with house.database.write() as session:
        relocation = relocations.evacuation(house.database, session, RelocationSpec(nodes=(source,), mode="online"))
        started = relocations.start(house.database, house.intake, session, relocation, by="bench")
        if started is None:
            raise RuntimeError(f"nothing is on {source}")
        campaign_id = started.campaign.id
    house.bell.wake()
    wait_until(lambda: _over(pair, campaign_id), "the evacuation", patience_s=ENOUGH_S, every_s=0.05)
    took = time.perf_counter() - begun
    with house.database.write() as session:
        session.get_one(Node, source).state = NodeState.ACTIVE
        left = session.exec(select(Container).where(Container.node == source, Container.state == ContainerState.PRESENT)).all()
        jobs = session.exec(select(Job).where(Job.campaign == campaign_id)).all()
        suspended = [float(job.result.get("suspended_s") or 0.0) for job in jobs]
        bad = [job.error for job in jobs if job.state != State.DONE]
    if left:
        raise RuntimeError(f"{len(left)} containers are left on {source}: {bad[:3]}")
    return took, max(suspended)


def _over(pair: Pair, campaign_id: str) -> bool:
    with pair.installation.house.database.read() as session:
        return session.get_one(Campaign, campaign_id).over
