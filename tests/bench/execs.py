"""`true` in 300 containers of ten nodes: `vzq exec` the whole durable way, a guarded roll-out, bare asyncssh a channel a container, ansible's raw
with 50 forks.

All talk to the same plain SSH servers, whose `vzctl` is the same three-line stub for every contender. The roll-out does more than the others: each
container is a job of its own with its story, looked at before and after, and counted by the guard.
"""

import asyncio
import json
import os
import random
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncssh
from sqlmodel import select

from models.campaign_states import Outcome
from models.campaigns import Campaign
from models.fleet import Container, ContainerState, Node, NodeState
from models.rollouts import RolloutSpec
from producers.campaigns.control import counts
from producers.execs import Command, execute, results, tally
from producers.rollouts.start import start
from tests.bench.fanout import CHANNELS
from tests.bench.figures import Report, Target
from tests.bench.rounds_of import interleaved
from tests.bench.surroundings import Installation, Place, started, wait_until
from workers.node.install import install
from workers.transport.links import Links
from workers.transport.ssh import NodeAddress

STUB = """\
#!/bin/sh
# status ID, exec2 ID - (a script on stdin) or exec2 ID WORDS; in a folder of the container's own
case $1 in status) echo "CTID $2 exist mounted running"; exit ;; esac
cd "$VZQ_NODE_ROOT/vz/private/$2"
shift 2
case $1 in -) exec sh ;; *) exec "$@" ;; esac
"""
VZQ, GUARDED, BARE, ANSIBLE = "vzq exec", "vzq rollout", "bare asyncssh", "ansible raw, 50 forks"
PATIENCE_S = 600.0
FIGURE = "containers/s"
HOST = "ms of host"  # processor time of the management host, for each container
FORKS = 50
ABLE: dict[str, Any] = {  # what an enrolled node is known to be
    "dialect": "vzctl", "version": "4.11", "openvz": True, "vswap": True, "ploop": False, "checkpointing": False, "kernel": "2.6.32",
    "arch": "x86_64", "cpus": 1, "memory_bytes": 1 << 36, "swap_bytes": 0, "disk_bytes": 1 << 40, "disk_free_bytes": 1 << 39, "inodes_free": None,
}  # fmt: skip


def run(place: Place, rounds: int, *, containers: int, nodes: int) -> Report:
    """So many containers over so many nodes, in each round anew."""
    report = Report("exec", f"`true` in {containers} containers of {nodes} nodes, connecting included except for vzq's worker, which keeps its links")
    with closing(place.installation("sqlite")) as installation:
        folder = _stubbed(installation)
        environment = os.environ | {"PATH": f"{folder}/bin:{os.environ['PATH']}"}
        with started("tests.bench.plain_sshd", str(folder), str(nodes), env=environment), installation.running() as ours:
            wait_until((folder / "servers.json").exists, "the SSH servers")
            servers: list[dict[str, Any]] = json.loads((folder / "servers.json").read_text())
            _enrol(installation, servers, containers, folder)
            ways: dict[str, Callable[[], None]] = {
                VZQ: lambda: _vzq(installation, containers),
                GUARDED: lambda: _guarded(installation, containers),
                BARE: lambda: asyncio.run(_bare(folder, servers, containers)),
            }
            if ansible := shutil.which("ansible"):
                ways[ANSIBLE] = lambda: _ansible(ansible, folder, servers, containers)
            else:
                report.notes.append("ANSIBLE IS NOT MEASURED: no `ansible` on PATH; `pip install ansible-core`")
            pids = [process.pid for process in ours]
            found = interleaved({name: lambda way=way: _timed(way, containers, pids) for name, way in ways.items()}, rounds)  # type: ignore[misc]
    for name, turns in found.items():
        report.add(name, FIGURE, [per_second for per_second, _ in turns], against="" if name == BARE else BARE)
    for name, turns in found.items():
        rival = ANSIBLE if ANSIBLE in found else BARE
        report.add(name, HOST, [spent_ms for _, spent_ms in turns], against="" if name == rival else rival)
    report.notes.append(
        f"{HOST}: of service, worker and this program, not of the SSH servers, which are the nodes' on a fleet; Redis and ssh's masters left out"
    )
    report.targets.append(Target("vzq exec against bare asyncssh", report.ratio(VZQ, BARE, FIGURE), 1.0, "at least"))
    if report.has(ANSIBLE, FIGURE):
        report.targets.append(Target("vzq exec against ansible", report.ratio(VZQ, ANSIBLE, FIGURE), 20.0, "at least"))
        report.targets.append(Target("vzq rollout against ansible", report.ratio(GUARDED, ANSIBLE, FIGURE), 4.0, "at least"))
    return report


def _timed(way: Callable[[], None], containers: int, pids: Sequence[int]) -> tuple[float, float]:
    """Containers a second, and milliseconds of processor that the management host spent on each."""
    begun, spent = time.perf_counter(), _spent_s(pids)
    way()
    return containers / (time.perf_counter() - begun), (_spent_s(pids) - spent) * 1000 / containers


def _spent_s(pids: Sequence[int]) -> float:
    """By these processes, by this one, and by whatever they have started and seen the end of (proc(5), stat)."""
    own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    ticks = sum(int(field) for pid in pids for field in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15])
    return sum(one.ru_utime + one.ru_stime for one in own) + ticks / os.sysconf("SC_CLK_TCK")


def _stubbed(installation: Installation) -> Path:
    folder = installation.settings.state / "servers"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "vzctl").write_text(STUB)
    (folder / "bin" / "vzctl").chmod(0o755)
    for name in ("client", "client.pub"):
        shutil.copy(installation.settings.state / "ssh" / name.replace("client", "id_ed25519"), folder / name)
    return folder


def _enrol(installation: Installation, servers: Sequence[dict[str, Any]], containers: int, folder: Path) -> None:
    """Rows for nodes and containers, what a look at each of these reads on its node, and our programs there."""
    house = installation.house
    with house.database.write() as session:
        now = house.database.now(session)
        for at, server in enumerate(servers):
            node = Node(
                name=f"n{at}", site="main", host="127.0.0.1", port=server["port"], host_key=server["host_key"], state=NodeState.ACTIVE, seen_at=now,
                abilities=ABLE,
            )  # fmt: skip
            session.add(node)
        for at in range(containers):
            ctid, mark, node_root = 1000 + at, f"{at:026}", folder / f"root{at % len(servers)}"
            fields = {"node": f"n{at % len(servers)}", "site": "main", "state": ContainerState.PRESENT, "since": now, "job_id": mark}
            session.add(Container(ctid=ctid, **fields))
            for name in ("etc", "run"):
                (node_root / f"vz/private/{ctid}" / name).mkdir(parents=True)
            (node_root / "etc/vz/conf").mkdir(parents=True, exist_ok=True)
            (node_root / f"etc/vz/conf/{ctid}.conf").write_text(f'VE_PRIVATE="/vz/private/$VEID"\nX_VZQ_JOB="{mark}"\n')

    async def all_of_them() -> None:
        links = Links(client_key=installation.settings.ssh_key_file, clock=house.clock, rng=random.Random(1))
        addresses = [NodeAddress(f"n{at}", "127.0.0.1", server["port"], "root", server["host_key"]) for at, server in enumerate(servers)]
        await asyncio.gather(*(install(links.to(address)) for address in addresses))
        await links.close()

    asyncio.run(all_of_them())


def _vzq(installation: Installation, containers: int) -> None:
    house = installation.house
    with house.database.write() as session:
        rows = session.exec(select(Container).order_by(Container.ctid)).all()
        ids = [job.id for job in execute(session, house.intake, rows, Command("true"), by="bench", because="").jobs]
    house.bell.wake()
    wait_until(lambda: installation.open_jobs() == 0, "the answers", every_s=0.005)
    with house.database.read() as session:
        counts = tally(results(session, ids))
    if counts["ok"] != containers:
        raise RuntimeError(f"not all answered: {counts}")


def _guarded(installation: Installation, containers: int) -> None:
    """As it would be run in earnest on so many: so many at once as the nodes' slots take, a budget, the guard over all of it."""
    house = installation.house
    spec = RolloutSpec.model_validate({
        "selector": {"all": True},
        "action": {"do": "script", "text": "true", "interpreter": "sh"},
        "at_once": {"all": 80, "per_node": 8},
        "budget": {"failures": 100, "rate": None},
    })  # fmt: skip
    with house.database.write() as session:
        campaign = start(house.database, house.intake, session, spec, by="bench").campaign.id
    house.bell.wake()
    wait_until(lambda: _over(installation, campaign), "the roll-out's end", patience_s=PATIENCE_S, every_s=0.05)
    with house.database.read() as session:
        told = counts(session, [campaign])[campaign]
    if told[Outcome.OK] != containers:
        raise RuntimeError(f"not all are updated: {told}")


def _over(installation: Installation, campaign: str) -> bool:
    with installation.house.database.read() as session:
        return session.get_one(Campaign, campaign).over


async def _bare(folder: Path, servers: Sequence[dict[str, Any]], containers: int) -> None:
    async def at(server: dict[str, Any], ctids: Sequence[int]) -> None:
        options: dict[str, Any] = {
            "client_keys": [str(folder / "client")],
            "known_hosts": ([asyncssh.import_public_key(server["host_key"])], [], []),
            "username": "root",
            "config": None,
            "agent_path": None,
        }
        async with asyncssh.connect("127.0.0.1", server["port"], **options) as connection:
            channels = asyncio.Semaphore(CHANNELS)

            async def one(ctid: int) -> None:
                async with channels:
                    ended = await connection.run(f"vzctl exec2 {ctid} true")
                if ended.exit_status != 0:
                    raise RuntimeError(f"true ended with {ended.exit_status}")

            await asyncio.gather(*(one(ctid) for ctid in ctids))

    await asyncio.gather(*(at(server, range(1000 + start, 1000 + containers, len(servers))) for start, server in enumerate(servers)))


def _ansible(ansible: str, folder: Path, servers: Sequence[dict[str, Any]], containers: int) -> None:
    inventory = folder / "inventory"
    inventory.write_text(
        "".join(
            f"ct{1000 + at} ansible_host=127.0.0.1 ansible_port={servers[at % len(servers)]['port']} ctid={1000 + at}\n" for at in range(containers)
        )
    )
    environment = os.environ | {"ANSIBLE_HOST_KEY_CHECKING": "False", "ANSIBLE_FORKS": str(FORKS), "ANSIBLE_LOCAL_TEMP": str(folder / "ansible")}
    words = [
        ansible,
        "all",
        "-i",
        str(inventory),
        "-u",
        "root",
        "--private-key",
        str(folder / "client"),
        "-m",
        "raw",
        "-a",
        "vzctl exec2 {{ ctid }} true",
    ]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode or done.stdout.count("CHANGED") != containers:
        raise RuntimeError(f"ansible ended with {done.returncode}: {done.stdout[-300:]}{done.stderr[-300:]}")
