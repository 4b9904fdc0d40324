"""What became of every order, as the nodes themselves show it over SSH, and the table that says so."""

import json
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from sqlmodel import col, select

from models.fleet import Address, Container, ContainerState, Hold, Node
from models.house import Secret
from models.jobs import Event, Job
from models.lifecycle import FINAL, Cause, State
from models.standing import Standing
from tests.storm.customers import Customers
from tests.storm.place import StormPlace
from tests.storm.weather import Killed
from workers.commands import Finished
from workers.node.answers import LINE
from workers.openvz.driver import Sight
from workers.openvz.rows import abilities_of
from workers.openvz.vzctl import Vzctl
from workers.plans.container import identity_of, limits_of

ONCE = frozenset(
    {"make", "plant", "aside", "password", "adopt", "keys", "script", "move"}
)  # steps that nothing but their own failure makes anybody repeat
OURS = "${VZQ_NODE_ROOT-}/var/lib/vzq"
LEDGERS = f'cd "{OURS}/ledger" && for key in *; do echo "= $key"; "{OURS}/bin/vzq-run" ledger "$key" | tail -n +2; done'


@dataclass(frozen=True)
class NodeSays:
    """All that one node shows."""

    node: str
    sights: Sequence[Sight]
    runs: Sequence[tuple[str, str]]  # container, a line of its ledger
    live: dict[int, list[str]]  # addresses of what runs


@dataclass
class Verdict:
    """The figures of a storm."""

    orders: int
    effects: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)


async def ask(place: StormPlace) -> list[NodeSays]:
    """Log in on every node and look."""
    said = []
    for node in place.nodes:
        with place.house.database.read() as session:
            driver = Vzctl(abilities_of(session.get_one(Node, node.name).abilities))
        async with place.on_node(node) as there:
            seen = driver.surveyed(Finished(0, await there.says(f'"{OURS}/bin/vzq-ct" survey'), ""))
            status = {one.ctid: one.status for one in driver.listed(Finished(0, await there.says(" ".join(driver.listing().argv)), ""))}
            ledgers = await there.says(LEDGERS)
        sights = [replace(sight, running=status.get(sight.ctid) == "running") for sight in seen]
        runs, key = [], ""
        for line in ledgers.splitlines():
            key = line[2:] if line.startswith("= ") else key
            runs += [] if line.startswith("= ") else [(key, line)]
        shown = place.ctl(node.name, "list")
        said.append(NodeSays(node.name, sights, runs, {row["ctid"]: sorted(row["addresses"]) for row in shown if row["running"]}))
    return said


def judge(place: StormPlace, customers: Customers, said: Sequence[NodeSays]) -> Verdict:
    """Compare what was answered, what the books say and what the nodes show."""
    with place.house.database.read() as session:
        jobs = {job.id: job for job in session.exec(select(Job)).all()}
        rows = {row.ctid: row for row in session.exec(select(Container)).all()}
        addresses = list(session.exec(select(Address)).all())
        holds = session.exec(select(Hold)).all()
        secrets = session.exec(select(Secret)).all()
        drivers = {node.name: Vzctl(abilities_of(node.abilities)) for node in session.exec(select(Node)).all()}
    verdict = Verdict(len(customers.accepted), ends=Counter(jobs[job].state for job in customers.accepted if job in jobs))
    verdict.effects = sum(line.endswith(" done rc=0") for node in said for _, line in node.runs)
    unclear = {place_ for place_, job in customers.debris.items() if job not in jobs or jobs[job].state != State.DONE}
    as_found = customers.strangers | unclear  # orders about them were taken back or failed: they stay as they were
    verdict.lost += _lost_orders(customers, jobs, rows)
    verdict.doubled += doubled(said)
    for row in rows.values():
        if row.state == ContainerState.RESERVED:
            verdict.orphans.append(f"container {row.ctid} is still reserved for job {row.job_id}")
    verdict.orphans += [f"address {one.address} is still kept for job {one.job_id}" for one in addresses if one.job_id or one.removing]
    verdict.orphans += [f"room is still held for job {hold.job_id}" for hold in holds]
    verdict.orphans += [f"a secret of job {secret.job_id} is still there" for secret in secrets]
    for node in said:
        for sight in node.sights:
            row = rows.get(sight.ctid)
            if row is not None and row.node == node.node and row.state == ContainerState.PRESENT:
                mine = sorted(address.address for address in addresses if address.ctid == row.ctid)
                verdict.lost += (f"container {row.ctid} on {row.node}: {what}" for what in _differs(drivers[node.node], sight, row, mine, node.live))
            elif (node.node, sight.ctid) not in as_found and not sight.nothing:
                verdict.orphans.append(f"on {node.node} there is {sight}")
    there = {(node.node, sight.ctid) for node in said for sight in node.sights}
    verdict.lost += [
        f"container {row.ctid} is not on {row.node}"
        for row in rows.values()
        if row.state == ContainerState.PRESENT and (row.node, row.ctid) not in there
    ]
    return verdict


def _lost_orders(customers: Customers, jobs: dict[str, Job], rows: dict[int, Container]) -> Iterator[str]:
    purged = {job.ctid for job in jobs.values() if job.kind == "purge-container" and job.state == State.DONE}
    for job_id, kind in customers.accepted.items():
        job = jobs.get(job_id)
        if job is None:
            yield f"{kind} {job_id} was answered and is not in the database"
        elif job.state not in FINAL:
            yield f"{kind} {job_id} is still {job.state} at {job.step}: {job.error}"
        elif kind == "create-container" and job.state == State.DONE and job.ctid not in rows and job.ctid not in purged:
            yield f"{kind} {job_id} was done, and container {job.ctid} is gone"


def doubled(said: Sequence[NodeSays]) -> Iterator[str]:
    runs = [(key, found) for node in said for key, line in node.runs if (found := LINE.fullmatch(line))]
    done: Counter[tuple[str, str, str]] = Counter()
    for key, run in runs:  # in the order in which they began
        if run["direction"] == "do" and run["rc"] == "0":
            done[key, run["job"], run["step"]] += run["step"] in ONCE
            if run["step"] == "discard":  # what a killed `make` left is gone, and with it what was planted for it
                done[key, run["job"], "plant"] = 0
    yield from (f"{step} of job {job} on container {key} was carried out {times} times" for (key, job, step), times in done.items() if times > 1)
    yield from (f"container {key}: {found[0]}: still moves" for key, found in runs if found["outcome"] == "running")
    places = Counter(sight.ctid for node in said for sight in node.sights if sight.exists)
    yield from (f"container {ctid} is on {times} nodes" for ctid, times in places.items() if times > 1)
    used = Counter(address for node in said for addresses in node.live.values() for address in addresses)
    yield from (f"address {address} is up {times} times" for address, times in used.items() if times > 1)


def _differs(driver: Vzctl, sight: Sight, row: Container, addresses: list[str], live: dict[int, list[str]]) -> Iterator[str]:
    up = row.standing is Standing.RUNNING
    agree = {
        "it is not whole": sight.whole and sight.aside is None,
        f"its mark is {sight.marker}, not {row.job_id}": sight.marker == row.job_id,
        f"running: {sight.running}, and it should be {row.standing}": sight.running is up,
        f"its limits are not {limits_of(row)}: {driver.limits(sight)}": not row.plan or driver.has_limits(sight, limits_of(row)),
        f"its names are not {identity_of(row)}: {sight.conf}": not row.plan or driver.has_identity(sight, identity_of(row)),
        f"its addresses are {sight.addresses}, not {addresses}": sorted(sight.addresses) == addresses,
        f"it runs with {live.get(row.ctid)}, not with {addresses}": live.get(row.ctid, []) == (addresses if up else []),
        "who may start it": driver.has_onboot(sight, onboot=True) is up  # an adopted one's conf may be silent about it
        and driver.has_disabled(sight, disabled=row.standing in (Standing.SUSPENDED, Standing.TERMINATED)),
    }
    return (what for what, same in agree.items() if not same)


def take_overs(place: StormPlace, killed: Sequence[Killed], quakes: Sequence[float]) -> tuple[list[float], list[float], int]:
    """Seconds from a worker's death to the moment when another one has its job: undisturbed ones, those that something else held
    up (database, Redis, a service or the next worker gone meanwhile), and how many attached to what ran on the node."""
    with place.house.database.read() as session:
        ids = {job for death in killed for job in death.jobs}
        events = session.exec(select(Event).where(col(Event.job_id).in_(ids)).order_by(col(Event.id))).all()
    calm, disturbed, attached = [], [], 0
    deaths = [death.at for death in killed]
    for death in killed:
        for job in death.jobs:
            later = [event for event in events if event.job_id == job and event.at.timestamp() > death.at]
            claimed = next((place_ for place_, event in enumerate(later) if event.cause is Cause.CLAIMED), None)
            lost = next((event for event in later if event.cause is Cause.LOST), None)
            if claimed is None or lost is None or lost.id is None or (later[claimed].id or 0) < lost.id:
                continue  # it had ended, or was handed over before
            took = later[claimed].at.timestamp() - death.at
            held_up = any(death.at - 8 < quake < death.at + took for quake in quakes) or any(death.at < other < death.at + took for other in deaths)
            (disturbed if held_up else calm).append(took)
            after = [event for event in later[claimed + 1 :] if event.cause is Cause.STEPPED]
            before = [event for event in events if event.job_id == job and event.at.timestamp() <= death.at and event.cause is Cause.STEPPED]
            attached += bool(before) and not any(
                event.data.get("step") == before[-1].data.get("step") and event.data.get("attempt") for event in after
            )
    return calm, disturbed, attached


def table(verdict: Verdict, times: tuple[list[float], list[float], int], persons: Counter[str], more: dict[str, object]) -> str:
    """The figures in rows."""
    calm, disturbed, attached = times
    lines: dict[str, object] = {
        "orders": verdict.orders,
        "ends": ", ".join(f"{state} {count}" for state, count in sorted(verdict.ends.items())),
        "effects on nodes": verdict.effects,
        "lost": len(verdict.lost),
        "doubled": len(verdict.doubled),
        "orphans": len(verdict.orphans),
        "take-overs": f"{_spread(calm)}; {_spread(disturbed)} while database, Redis, a service or the next worker was gone too",
        "attached to what ran": attached,
        "needed a person": f"{sum(persons.values())} {json.dumps(dict(persons))}" if persons else 0,
    }
    return "\n".join(f"{name:22} {value}" for name, value in (lines | more).items())


def _spread(seconds: Sequence[float]) -> str:
    if not seconds:
        return "0"
    return f"{len(seconds)} (median {statistics.median(seconds):.1f} s, max {max(seconds):.1f} s)"
