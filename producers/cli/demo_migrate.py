"""`vzq demo migrate`: a container moves under a client's requests, then its node is emptied; the nodes say where each one runs."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import typer
from sqlmodel import col, select

from models.fleet import Address, Container, ContainerState
from models.jobs import Job
from models.lifecycle import State
from models.orders import CreateContainer, MigrateContainer, Order
from models.outages import Outage
from models.relocations import RelocationSpec
from producers.cli.demo_progress import Progress
from producers.cli.demo_stage import ENOUGH_S, stage
from producers.cli.failures import FAILED, NOT_REACHED
from producers.cli.follow import watch
from producers.cli.relocation import see_through
from producers.cli.relocation_doors import Here
from producers.cli.screen import say, table, warn
from producers.embedded.auditor import PORT, SilentNodeError, look
from producers.embedded.bring_up import Embedded
from producers.embedded.copies import Copies, judge_copies
from producers.embedded.visitor import EVERY_S, Visitor, Visits
from producers.relocations import start as relocations

NODES, ON_FIRST, ELSEWHERE = 3, 4, 2  # nodes; containers on n1, of which one moves first, and on n2
SPEED = 0.3  # of the nodes, unless told otherwise: fast, but a freeze is longer than a customer's notice
BEFORE, AFTER = 50, 50  # answers of the client around the move
SOURCE, TARGET = "n1", "n2"
ASKER = "vzq demo"


def move(*, speed: float | None, state: Path | None) -> str:
    """Play it; the line it ended with. Raises typer.Exit where the nodes do not say that all is well."""
    with stage(nodes=NODES, speed=SPEED if speed is None else speed, state=state) as played:
        copies = _play(played.embedded)
        played.good = copies.good
    for complaint in copies.complaints[:20]:
        warn(complaint)
    say(copies)
    if not copies.good:
        raise typer.Exit(FAILED)
    return str(copies)


def _play(embedded: Embedded) -> Copies:
    orders: list[Order] = [_container(number, SOURCE if number < ON_FIRST else TARGET) for number in range(ON_FIRST + ELSEWHERE)]
    made = _carried_out(embedded, orders)
    mover = made[0].ctid or 0
    say("")
    say(f"container {mover} moves from {SOURCE} to {TARGET} online, while a client asks it every {EVERY_S * 1000:.0f} ms")
    job, visits = _moved(embedded, mover)
    _compare(embedded, job, visits)
    say("")
    say(f"now {SOURCE} is emptied, as by `vzq node evacuate {SOURCE} --wait`")
    if _emptied(embedded) != 0:
        warn(f"{SOURCE} was not emptied; see `vzq campaign list`")
        raise typer.Exit(FAILED)
    say("")
    say("the nodes are asked what runs on them, and what would start at a reboot")
    with embedded.house.database.read() as session:
        book = {one.ctid: one.node for one in session.exec(select(Container).where(Container.state == ContainerState.PRESENT)).all()}
    try:
        found = asyncio.run(look(embedded.nodes, embedded.house.settings.ssh_key_file))
    except SilentNodeError as error:
        warn(error)
        raise typer.Exit(NOT_REACHED) from None
    rows = []
    for node in embedded.nodes:
        here = [met for met in found if met.node == node.name]
        rows.append((node.name, sum(met.running for met in here), sum(met.boots for met in here)))
    table(("node", "running", "would start at boot"), rows, empty="", right=("running", "would start at boot"))
    return judge_copies(book, found)


def _container(number: int, node: str) -> CreateContainer:
    return CreateContainer(plan="small", template="busybox-mini-x86_64", hostname=f"shop{number + 1}.example.net", node=node)


def _carried_out(embedded: Embedded, orders: Sequence[Order]) -> list[Job]:
    """Place them and wait for their ends; raises typer.Exit when one ends badly."""
    house = embedded.house
    with house.database.write() as session:
        ids = [house.intake.submit(session, order, by=ASKER, because="demo").job.id for order in orders]
    house.bell.wake()
    view = Progress(ids)
    try:
        watch(house.database, ids, view, timeout_s=ENOUGH_S, pause=embedded.mind)
    finally:
        view.close()
    with house.database.read() as session:
        jobs = session.exec(select(Job).where(col(Job.id).in_(ids)).order_by(col(Job.id))).all()
    bad = next((job for job in jobs if job.state != State.DONE), None)
    if bad is not None:
        warn(f"job {bad.id} ({bad.kind}) is {bad.state}: {bad.error}")
        raise typer.Exit(FAILED)
    return list(jobs)


def _moved(embedded: Embedded, ctid: int) -> tuple[Job, Visits]:
    """Move it under the client's eyes."""
    with embedded.house.database.read() as session:
        address = session.exec(select(Address.address).where(Address.ctid == ctid)).first() or ""
    with Visitor(address, PORT) as visitor:
        _heard(embedded, visitor, BEFORE)
        before = time.monotonic()
        (job,) = _carried_out(embedded, [MigrateContainer(ctid=ctid, to=TARGET, mode="online")])
        _heard(embedded, visitor, visitor.answered + AFTER)
    return job, visitor.seen(since=before)


def _heard(embedded: Embedded, visitor: Visitor, answers: int) -> None:
    until = time.monotonic() + ENOUGH_S
    while visitor.answered < answers and time.monotonic() < until:
        embedded.mind(EVERY_S)


def _emptied(embedded: Embedded) -> int:
    """What `vzq node evacuate n1 --wait` does; its exit code."""
    house, spec = embedded.house, RelocationSpec(nodes=(SOURCE,), mode="online", failures=1)  # one may fail, so two go at once
    with house.database.write() as session:
        relocation = relocations.evacuation(house.database, session, spec)
        begun = relocations.start(house.database, house.intake, session, relocation, by=ASKER, because="demo")
        campaign_id = begun.campaign.id if begun is not None else None
    house.bell.wake()
    return see_through(Here(house.database), campaign_id, left_on=SOURCE, pause=embedded.mind)


# -- what three of them say about one interruption ----------------------------------------------------------------


def _compare(embedded: Embedded, job: Job, visits: Visits) -> None:
    with embedded.house.database.read() as session:
        query = select(Outage).where(Outage.job_id == job.id, Outage.cause == job.kind).order_by(col(Outage.id))
        outages = session.exec(query).all()
    longest = max(outages, key=lambda one: one.gap_s or 0.0, default=None)
    rows = [
        ("vzmigrate", _s(job.result.get("suspended_s")), "suspended: its own timing block"),
        ("vzq's probe", _s(longest.gap_s if longest is not None else None), "gap: last answer before to first answer after"),
        ("the client", _s(visits.silence_s), f"the same; {visits.answered} answers, {visits.failed} requests lost"),
    ]
    table(("who", "seconds", "what it says"), rows, empty="", right=("seconds",))
    for line in explained(longest, visits):
        say(line)


def explained(outage: Outage | None, visits: Visits) -> list[str]:
    """Why the figures differ, part by part."""
    if outage is None or outage.gap_s is None:
        return [f"the probe gives no gap: {outage.not_measured if outage is not None else 'there is no row of it'}"]
    if not outage.gap_s:
        return [f"the freeze was shorter than the probe's {_s(outage.resolution_s)} s, so no answer was missed; slow the nodes down with --speed 1"]
    freeze, resolution = float(outage.parts.get("freeze_s") or 0.0), outage.resolution_s or 0.0
    network, client = outage.gap_s - freeze, visits.silence_s - outage.gap_s
    second = (
        f"{network:+.3f}  network set-up: its address leaves {SOURCE} and answers on {TARGET}"
        if network >= 0
        else f"{network:+.3f}  vzmigrate's clock starts before the freeze and ends after it"
    )
    return [
        "",
        "why they differ, part by part:",
        f" {freeze:.3f}  freeze: suspended, dumped, copied, restored: all that vzmigrate counts",
        second,
        f"={outage.gap_s:.3f}  the probe's gap; {resolution:.3f} of it is its resolution, between two questions",
        f"{client:+.3f}  the client asks at other moments; unhindered it waits {visits.usual_s:.3f} at most",
        f"={visits.silence_s:.3f}  the client's silence",
    ]


def _s(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.3f}"
