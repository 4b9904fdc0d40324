"""From an order to the first command on its node, over real processes, real Redis and real SSH, one order at a time.

The clock starts before the transaction that accepts the order. It stops at the birth of the container's ledger on the
node: the node's own time stamp of the first command, `vzq-run fence`, once sshd and /bin/sh have started it. The
second figure is the birth of the run folder of the first step that changes something (`plant`).
"""

import os
import random
import subprocess
import time
from contextlib import closing
from pathlib import Path

from models.jobs import Job
from models.lifecycle import State
from models.orders import CreateContainer
from tests import servers
from tests.bench.figures import Report, Target, quantile
from tests.bench.fleet import TEMPLATE, furnish, lab, ledger
from tests.bench.rounds_of import interleaved
from tests.bench.surroundings import Installation, Place, wait_until

FIGURES = ("first command p50 ms", "first command p99 ms", "first change p50 ms", "first change p99 ms", "accepted p50 ms")


def run(place: Place, rounds: int, *, orders: int, nodes: int) -> Report:
    """So many orders a round, each at a random moment after the one before it is done."""
    report = Report("latency", f"{orders} orders placed one by one over {nodes} simulated nodes")
    contenders = {"vzq on sqlite": "sqlite"}
    try:
        place.postgres_url  # noqa: B018 - is there one?
        contenders["vzq on postgresql"] = "postgresql"
    except servers.Missing as missing:
        report.notes.append(f"POSTGRESQL IS NOT MEASURED: {missing}")
    found = interleaved({name: lambda engine=engine: _round(place, engine, orders, nodes) for name, engine in contenders.items()}, rounds)  # type: ignore[misc]
    for name, series in found.items():
        for figure in FIGURES:
            report.add(name, figure, [one[figure] for one in series])
    for figure, wanted in ((FIGURES[0], 50), (FIGURES[1], 250)):
        for one in report.series:
            if one.figure == figure:
                report.targets.append(Target(f"{one.contender}, accept to {figure}", one.median, wanted, "at most"))
    report.notes.append("time stamps of files on the node are as fine as the kernel's tick (4 ms at 250 Hz)")
    return report


def _round(place: Place, engine: str, orders: int, nodes: int) -> dict[str, float]:
    place.empty_redis()
    chance = random.Random(1)
    with closing(place.installation(engine)) as installation, installation.running():
        furnish(installation)
        with lab(installation, nodes=nodes) as found:
            roots = {node["name"]: node["root"] for node in found}
            _order(installation, "warm")
            wait_until(lambda: installation.open_jobs() == 0, "the first container")
            asked: list[tuple[float, float, Job]] = []
            for number in range(orders):
                wait_until(lambda: installation.open_jobs() == 0, "the container before")  # a wait for its slots would be no latency
                time.sleep(chance.uniform(0.05, 0.3))
                before = time.time()
                job = _order(installation, f"c{number}")
                asked.append((before, time.time(), job))
            wait_until(lambda: installation.open_jobs() == 0, "the last container", patience_s=180)
            return _figures(installation, asked, roots)


def _order(installation: Installation, hostname: str) -> Job:
    house = installation.house
    with house.database.write() as session:
        job = house.intake.submit(session, CreateContainer(plan="small", template=TEMPLATE, hostname=f"{hostname}.example"), by="bench").job
    house.bell.wake()
    return job


def _figures(installation: Installation, asked: list[tuple[float, float, Job]], roots: dict[str, str]) -> dict[str, float]:
    with installation.house.database.read() as session:
        bad = [job.id for _, _, old in asked if (job := session.get(Job, old.id)) is None or job.state != State.DONE]
    if bad:
        raise RuntimeError(f"{len(bad)} of {len(asked)} jobs are not done, e.g. {bad[0]}; see the logs in {installation.settings.state}")
    first, change = [], []
    for before, _, job in asked:
        assert job.node is not None
        assert job.ctid is not None
        first.append(_born(ledger(roots[job.node], job.ctid)) - before)
        change.append(_born(Path(roots[job.node]) / "var/lib/vzq/runs" / job.id / f"{job.ctid}.plant.do.1") - before)
    accepted = [after - before for before, after, _ in asked]
    values = (quantile(first, 0.5), quantile(first, 0.99), quantile(change, 0.5), quantile(change, 0.99), quantile(accepted, 0.5))
    return {figure: value * 1000 for figure, value in zip(FIGURES, values, strict=True)}


def _born(path: Path) -> float:
    """When the file was made; only stat(1) tells, Python 3.11 does not."""
    told = subprocess.run(["stat", "-c", "%.9W", os.fspath(path)], capture_output=True, text=True, check=True).stdout
    return float(told)
