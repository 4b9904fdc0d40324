"""What must hold at the end of every case, whatever befell it."""

from collections.abc import Iterator
from itertools import pairwise

from sqlmodel import col, select

from models.fleet import Address, Container, ContainerState
from models.house import Secret
from models.jobs import Begun, Event, Job
from models.lifecycle import EDGES, FINAL, Cause, State
from tests.crash.container import MARK, sight
from tests.crash.faults import HARM
from tests.crash.house import PASSWORD, CrashHouse
from workers.commands import Finished
from workers.openvz.driver import Identity, Limits
from workers.openvz.vzctl import Vzctl

GIB = 1 << 30


def checks(house: CrashHouse) -> Iterator[str]:
    """What is violated once nothing moves any more; nothing for a job that did not end, which is told already."""
    with house.database.read() as session:
        job = session.get_one(Job, house.job_id)
        events = session.exec(select(Event).where(Event.job_id == job.id).order_by(col(Event.id))).all()
        begun = session.exec(select(Begun).where(Begun.job_id == job.id)).all()
        rows = session.exec(select(Container).where(Container.job_id == job.id)).all()
        addresses = session.exec(select(Address)).all()
        secrets = session.exec(select(Secret)).all()
    if job.state not in FINAL:
        return
    yield from _story_holds(job, list(events))
    harmful = sum(fault.how in HARM for fault in house.case.faults)
    if job.crashes > harmful:
        yield f"{job.crashes} workers are said to have died under it, and {harmful} might have"
    if secrets:
        yield "a secret outlived its job"
    if PASSWORD in "".join([*(event.why for event in events), *(str(event.data) for event in events), *house.story, job.error, str(job.order)]):
        yield "the password is told"
    if any(one.outcome is None for one in begun) and job.state == State.DONE:
        yield "done, but the outcome of a try was never written down"
    yield from _strangers_hold(house, job)
    ours = [(node, c) for node in house.nodes.values() for c in node.containers.values() if (c.conf or {}).get(MARK) == job.id]
    if job.state == State.DONE:
        yield from _done_holds(house, job, ours, list(rows), [address.address for address in addresses])
    else:
        yield from (f"{job.state}, but {c} is left on {node.name}" for node, c in ours)
        if rows or addresses:
            yield f"{job.state}, but the place is still kept: {rows} {addresses}"


def _strangers_hold(house: CrashHouse, job: Job) -> Iterator[str]:
    taken = {(node.name, ctid) for node, ctid in house.strangers}
    for node, ctid in house.strangers:
        c = node.of(ctid)
        if c.history_after_stranger():
            yield f"the stranger's container {ctid} was touched: {c.history_after_stranger()}"
        if c.conf != {"HOSTNAME": "theirs", "ONBOOT": "yes"} or not c.running:
            yield f"the stranger's container {ctid} is not as it was: {c}"
    for node in house.nodes.values():
        for c in node.containers.values():
            if (node.name, c.ctid) not in taken and not c.nothing and (c.conf or {}).get(MARK) != job.id:
                yield f"something nobody owns is on {node.name}: {c}"


def _done_holds(house: CrashHouse, job: Job, ours: list, rows: list[Container], addresses: list[str]) -> Iterator[str]:  # type: ignore[type-arg]
    if len(ours) != 1:
        yield f"done, and there are {len(ours)} containers"
        return
    node, c = ours[0]
    if [(row.ctid, row.node, row.state) for row in rows] != [(c.ctid, node.name, ContainerState.PRESENT)] or len(addresses) != 1:
        yield f"done, but the rows say {rows} {addresses}"
        return
    if c.creates - c.destroys != 1:
        yield f"created {c.creates} times, destroyed {c.destroys} times"
    driver = Vzctl()
    seen = driver.sight(Finished(0, sight(c, ""), ""))
    wanted = {
        "running": seen.whole and c.running and c.mounted,
        "limits": driver.has_limits(seen, Limits(GIB // 4, 0, 2 * GIB, None, 2, 2000)),
        "identity": driver.has_identity(seen, Identity("a.example.net", "web-a", f"vzq job {job.id}", ("9.9.9.9",))),
        "addresses": list(seen.addresses) == addresses,
        "onboot": driver.has_onboot(seen, onboot=True),
        "template": seen.template == "busybox",
        "password": c.password == (PASSWORD if house.case.password else ""),
    }
    # A node that loses power after the last look is not the job's affair.
    for what, holds in wanted.items():
        if not holds:
            yield f"done, but {what} is not as ordered: {c}"


def _story_holds(job: Job, events: list[Event]) -> Iterator[str]:
    if events[0].cause != Cause.ACCEPTED or events[-1].state != job.state:
        yield "the events do not tell the job's story from acceptance to its end"
    for before, after in pairwise(events):
        if EDGES.get((before.state, after.cause)) != after.state:
            yield f"the table knows no way from {before.state} by {after.cause} to {after.state}"
    tokens = [event.data["token"] for event in events if event.cause == Cause.DISPATCHED]
    if tokens != sorted(set(tokens)):
        yield f"tokens do not grow: {tokens}"
