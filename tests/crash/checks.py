"""What must hold at the end of every case, whatever befell it: the books say what was ordered, or what they said before,
every node says what the books say, and the events tell how it came to that."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from sqlmodel import col, select

from models.fleet import Address, Container, ContainerState, Hold
from models.house import Secret
from models.jobs import Begun, Event, Job
from models.lifecycle import EDGES, FINAL, Cause, State
from models.standing import VERBS, Standing, after
from tests.crash.books import books
from tests.crash.container import Container as OnNode
from tests.crash.container import sight
from tests.crash.faults import HARM, HARMLESS_ON_NODES
from tests.crash.house import CrashHouse
from tests.crash.node import STRANGERS
from tests.crash.scenes import ADDRESSES, CTID, OLD_PASSWORD, PASSWORD
from workers.commands import Finished
from workers.openvz import holds
from workers.openvz.vzctl import Vzctl
from workers.plans.container import identity_of, limits_of


def checks(house: CrashHouse) -> Iterator[str]:
    """What is violated once nothing moves any more; nothing for a job that did not end, which is told already."""
    with house.database.read() as session:
        job = session.get_one(Job, house.job_id)
        events = list(session.exec(select(Event).where(Event.job_id == job.id).order_by(col(Event.id))).all())
        begun = list(session.exec(select(Begun).where(Begun.job_id == job.id)).all())
        rows = {row.ctid: row for row in session.exec(select(Container)).all()}
        addresses = list(session.exec(select(Address)).all())
        secrets = session.exec(select(Secret)).all()
        held = session.exec(select(Hold)).all()
        now = books(session)
    if job.state not in FINAL:
        return
    yield from _story_holds(job, events)
    harmful = sum(fault.how in HARM for fault in house.case.faults)
    if job.crashes > harmful:
        yield f"{job.crashes} workers are said to have died under it, and {harmful} might have"
    if secrets:
        yield "a secret outlived its job"
    if held or any(address.job_id is not None or address.removing for address in addresses):
        yield f"{job.state}, but something is still kept for it: {held} {addresses}"
    if PASSWORD in "".join([*(event.why for event in events), *(str(event.data) for event in events), *house.story, job.error, str(job.order)]):
        yield "the password is told"
    if any(one.outcome is None for one in begun) and job.state == State.DONE:
        yield "done, but the outcome of a try was never written down"
    yield from _once(house)
    yield from _strangers_hold(house)
    yield from (f"trust of the move is left on {node.name}" for node in house.nodes.values() if node.trusted or node.moves)
    yield from _nodes_say(house, rows, addresses)
    if job.state == State.DONE:
        yield from _done(house, job, rows)
    elif house.case.scene.kind != "create-container" and now != house.before:
        yield f"{job.state}, but the books are not as before: {now}, {house.before}"
    elif house.case.scene.kind == "create-container" and any(row.state != ContainerState.FOREIGN for row in rows.values()):
        yield f"{job.state}, but the place is still kept: {rows} {addresses}"


def _once(house: CrashHouse) -> Iterator[str]:
    """No command took its effect twice, where nothing befell the node that could have undone it."""
    if any(fault.how not in HARMLESS_ON_NODES for fault in house.case.faults):
        return
    for node in house.nodes.values():
        done = Counter(run.key[:4] for run in node.runs.values() if run.answer is not None and run.answer[0] == 0)
        yield from (
            f"{step} ({direction}) of container {ctid} was carried out {times} times"
            for (ctid, _, step, direction), times in done.items()
            if times > 1
        )


def _strangers_hold(house: CrashHouse) -> Iterator[str]:
    for node, ctid in house.strangers:
        c = node.of(ctid)
        if c.history_after_stranger():
            yield f"the stranger's container {ctid} was touched: {c.history_after_stranger()}"
        if c.conf != STRANGERS or not c.running:
            yield f"the stranger's container {ctid} is not as it was: {c}"


def _nodes_say(house: CrashHouse, rows: dict[int, Container], addresses: list[Address]) -> Iterator[str]:
    """Each container of the books is on its node as they say; nothing else is anywhere."""
    strangers = {(node.name, ctid) for node, ctid in house.strangers}
    for node in house.nodes.values():
        for ctid, c in node.containers.items():
            row = rows.get(ctid)
            if (node.name, ctid) in strangers:
                continue
            if row is not None and row.node == node.name and row.state == ContainerState.PRESENT:
                if house.case.scene.variant == "half-gone" and house.job().state != State.DONE:
                    continue
                yield from (f"{node.name} and the books differ in container {ctid}: {what}: {c}" for what in _differs(c, row, addresses))
            elif house.job().state != State.DONE and house.case.scene.standing is None and ctid == CTID and node.name == "n1":
                yield from _as_found(house, c)
            elif not c.nothing:
                yield f"something nobody owns is on {node.name}: {c}"
    for row in rows.values():
        if row.state == ContainerState.PRESENT and row.ctid not in house.nodes[row.node].containers:
            yield f"the books have container {row.ctid} on {row.node}, which was never there"


def _as_found(house: CrashHouse, c: OnNode) -> Iterator[str]:
    """An adoption or a clearing that failed: nothing that was there is worse off."""
    kind = house.case.scene.kind
    if kind == "create-container" and not c.nothing:
        yield f"something nobody owns is left: {c}"
    if kind == "adopt-container" and (c.private != "full" or house.job_id in c.belongs_to):
        yield f"not adopted, and not as it was found: {c}"
    if kind == "clear-debris" and c.private == "full":
        yield f"debris became a container: {c}"


def _differs(c: OnNode, row: Container, addresses: list[Address]) -> Iterator[str]:
    driver = Vzctl()
    seen = driver.sight(Finished(0, sight(c, ""), ""))
    wanted = {address.address for address in addresses if address.ctid == row.ctid}
    up = row.standing is Standing.RUNNING
    agree = {
        "whole": seen.whole and seen.aside is None,
        "its mark": seen.marker == row.job_id,
        "running": c.running is up and (up or not c.mounted),
        "limits": driver.has_limits(seen, limits_of(row)),
        "names": driver.has_identity(seen, identity_of(row)),
        "addresses": set(seen.addresses) == wanted and not holds.lacking(seen, sorted(wanted)),
        "what it runs with": all(set(value.split()) == set((c.conf or {}).get(key, "").split()) for key, value in c.live.items()),
        "start with its node": driver.has_onboot(seen, onboot=up),
        "who may start it": driver.has_disabled(seen, disabled=row.standing in (Standing.SUSPENDED, Standing.TERMINATED)),
        "template": seen.template == row.template,
    }
    return (what for what, same in agree.items() if not same)


def _done(house: CrashHouse, job: Job, rows: dict[int, Container]) -> Iterator[str]:
    """The books say what was ordered; that the node says the same is checked for all."""
    scene, row = house.case.scene, rows.get(job.ctid or 0)
    if row is None:
        if scene.kind not in ("purge-container", "clear-debris"):
            yield f"done, but the books have no container {job.ctid}"
        return
    wanted: dict[str, object] = {field: value for field, value in job.target.items() if field in Container.model_fields}
    if scene.standing is not None and scene.kind in VERBS:
        wanted["standing"] = after(scene.kind, scene.standing)
    if scene.kind == "reinstall-container":
        wanted["job_id"] = job.id
    if scene.kind == "migrate-container":
        wanted["node"] = job.to_node
    if scene.kind == "create-container":
        wanted |= {"state": ContainerState.PRESENT, "job_id": job.id, "hostname": "a.example.net", "name": "web-a", "plan": "small"}
    yield from (
        f"done, but {field} is {getattr(row, field)!r} in the books, not {value!r}" for field, value in wanted.items() if getattr(row, field) != value
    )
    yield from _shown(house, job, house.nodes[row.node].of(row.ctid))


def _shown(house: CrashHouse, job: Job, c: OnNode) -> Iterator[str]:
    """What the row does not tell: that it is the right system, with the right password, and how often things happened to it."""
    made, removed = c.effects["made"], c.effects["destroyed"] + c.effects["dropped"]
    password, number = (c.area.password, c.area.number) if c.area else ("", 0)
    match job.kind:
        case "create-container":
            right = made - removed == 1 and password == (PASSWORD if "password" in job.order else "")
        case "reinstall-container":
            right = made == removed and made > 0 and number > 1 and password == (PASSWORD if "password" in job.order else "")
            right = right and c.area is not None and c.area.keys == "keys of system 1"
        case "restart-container":
            halted = c.effects["stopped"] > 0 or house.case.scene.standing is not Standing.RUNNING or _rebooted(house)
            right = halted and number == 1 and password == OLD_PASSWORD
        case "add-address":
            right = len((c.conf or {}).get("IP_ADDRESS", "").split()) == len(ADDRESSES) + 1
        case "set-password":
            right = made == removed == 0 and password == PASSWORD
        case "migrate-container":
            went_on = job.order["mode"] != "online" or c.memory == house.memory or bool(house.case.faults)
            right = number == 1 and password == OLD_PASSWORD and made == 0 and went_on
        case "update-container":
            right = c.effects["script"] > 0 and number == 1 and password == OLD_PASSWORD
        case "clear-debris":
            right = not c.stale_lock and number == 1
        case _:
            right = made == removed == 0 and number == 1 and password == OLD_PASSWORD
    if not right:
        yield f"done, but its effects are {dict(c.effects)} on {c}"


def _rebooted(house: CrashHouse) -> bool:
    return any(node.boot > 1 for node in house.nodes.values())


def _story_holds(job: Job, events: list[Event]) -> Iterator[str]:
    if events[0].cause != Cause.ACCEPTED or events[-1].state != job.state:
        yield "the events do not tell the job's story from acceptance to its end"
    for before, after_ in pairwise(events):
        if EDGES.get((before.state, after_.cause)) != after_.state:
            yield f"the table knows no way from {before.state} by {after_.cause} to {after_.state}"
    tokens = [event.data["token"] for event in events if event.cause == Cause.DISPATCHED]
    if tokens != sorted(set(tokens)):
        yield f"tokens do not grow: {tokens}"
