"""An order about a container that exists: may it be given, what does it make pointless, what must be kept for it."""

from dataclasses import replace
from datetime import datetime

from sqlmodel import Session, col, select

from models.database import Database
from models.fleet import Address, Container, ContainerState, Hold, Node, Plan
from models.house import erase_secrets
from models.jobs import Job
from models.lifecycle import FINAL, Cause, State
from models.orders import (
    AddAddress,
    ReinstallContainer,
    RemoveAddress,
    RenameContainer,
    ResizeContainer,
    SetHostname,
    SetNameservers,
    TerminateContainer,
    Verb,
)
from models.reservations import SIZES, addresses_of, give_back, sizes_of
from models.standing import SUPERSEDES, VERBS, Standing, after, keys_are_lost
from producers.addresses import Wish, pick
from producers.chart import chart
from producers.placement import Need, objection
from producers.refusals import BadOrder, NoRoom, Refusal

OPEN = [state for state in State if state not in FINAL]


def prepare(database: Database, session: Session, order: Verb, job: Job, *, now: datetime) -> str:
    """Give the job its node and what it needs, end what it makes pointless; the sentence for its event.

    Raises BadOrder, Refusal or NoRoom.
    """
    open_jobs = select(Job).where(Job.ctid == order.ctid, col(Job.state).in_(OPEN)).order_by(Job.id).with_for_update()
    session.exec(open_jobs).all()  # jobs are locked before their container, as workers do it
    container = session.get(Container, order.ctid, with_for_update=True)
    if container is None or container.state == ContainerState.FOREIGN:
        raise BadOrder({"ctid": f"there is no container {order.ctid}; see `vzq container list`"})
    waiting = session.exec(open_jobs.execution_options(populate_existing=True)).all()  # one may have come, or been dispatched, meanwhile
    pointless = [other for other in waiting if other.kind in SUPERSEDES.get(order.kind, ()) and other.state == State.QUEUED and not other.begun]
    standing = expected(container, [other for other in waiting if other not in pointless])
    outcome = after(order.kind, standing)
    if not isinstance(outcome, Standing):
        raise Refusal(f"container {order.ctid} cannot be given {order.kind}: {outcome}")
    job.node, job.ctid, job.site, job.customer, job.target = container.node, container.ctid, container.site, container.customer, {}
    why = _resolve(database, session, order, job, container, now=now)
    for other in pointless:
        session.add(other.move(Cause.SUPERSEDED, now=now, why=f"made pointless by {order.kind} {job.id}", by=job.id))
        give_back(session, other, now=now)
        erase_secrets(session, other.id)
        session.add(other)
    return why or f"container {container.ctid} on {container.node}"


def expected(container: Container, open_jobs: list[Job]) -> Standing:
    """What the container will stand for once the jobs before this one are through."""
    standing = container.standing
    for job in open_jobs:
        if job.kind in VERBS:
            outcome = after(job.kind, standing)
            standing = outcome if isinstance(outcome, Standing) else standing
    return standing


def _resolve(database: Database, session: Session, order: Verb, job: Job, container: Container, *, now: datetime) -> str:
    """What the order names becomes figures and addresses, kept in `job.target` and reserved."""
    match order:
        case ResizeContainer():
            return _resize(database, session, order, job, container, now=now)
        case ReinstallContainer():
            _reinstall(session, order, job, container)
        case SetHostname():
            job.target = {"hostname": order.hostname}
        case SetNameservers():
            kept = {} if order.searchdomain is None else {"searchdomain": order.searchdomain}  # left out: it stays as it is
            job.target = {"nameservers": list(order.nameservers), **kept}
        case RenameContainer():
            _rename(session, order, job, container)
        case AddAddress():
            return _add_address(database, session, order, job, container, now=now)
        case RemoveAddress():
            _release_later(session, order, job, container)
        case TerminateContainer():
            job.target = {"grace_hours": order.grace_hours}
    return ""


def _reinstall(session: Session, order: ReinstallContainer, job: Job, container: Container) -> None:
    template = order.template or container.template
    node = session.get(Node, container.node)
    if node is None or template not in node.abilities.get("templates", []):
        raise BadOrder({"template": f"node {container.node} has no template {template!r}"})
    if node.abilities.get("ploop") and node.abilities.get("default_layout") != "simfs" and not order.fresh_keys:
        raise Refusal(keys_are_lost(container.ctid, f"node {node.name} makes it anew on ploop"))
    job.target = {"template": template, "job_id": job.id}


def _resize(database: Database, session: Session, order: ResizeContainer, job: Job, container: Container, *, now: datetime) -> str:
    if order.plan is None:
        if not all((container.ram_bytes, container.disk_bytes, container.cpus, container.cpuunits)):
            raise Refusal(f"the books do not know all sizes of container {order.ctid}; resize it to a plan")
        resizing = (Job.ctid == order.ctid, Job.kind == order.kind, col(Job.state).in_(OPEN))
        if session.exec(select(Job.id).where(*resizing)).first() is not None:
            raise Refusal(f"container {order.ctid} is being resized; wait for that to end")  # its sizes in the books are the old ones
        job.target = {"plan": container.plan, **{size: getattr(container, size) for size in SIZES}}
        return f"its sizes of plan {container.plan or '-'} once more"
    plan = session.get(Plan, order.plan)
    if plan is None:
        raise BadOrder({"plan": f"there is no plan {order.plan!r}; see `vzq plan list`"})
    job.target = {"plan": plan.name, **sizes_of(plan)}
    more_ram, more_disk = max(0, plan.ram_bytes - container.ram_bytes), max(0, plan.disk_bytes - container.disk_bytes)
    if more_ram or more_disk:
        here = chart(database, session, container.site)
        room = next(room for room in here.rooms(now=now) if room.node == container.node)
        why = objection(Need(more_ram, more_disk, container.template), replace(room, closed="", containers_max=None))  # it is there already
        if why:
            raise NoRoom(f"container {container.ctid} cannot grow to plan {plan.name} on {container.node}", {container.node: why})
        hold = Hold(job_id=job.id, node=container.node, site=container.site, ram_bytes=more_ram, disk_bytes=more_disk)
        here.hold(hold)
        session.add(hold)
    return f"from plan {container.plan} to {plan.name}"


def _add_address(database: Database, session: Session, order: AddAddress, job: Job, container: Container, *, now: datetime) -> str:
    """A new one is reserved; one that it has in the books already is only brought back to the node."""
    if order.address is not None:
        if order.address not in addresses_of(session, container.ctid):
            raise BadOrder({"address": f"{order.address} is not container {container.ctid}'s in the books; leave it out to have a new one"})
        job.target = {"address": order.address}
        return f"{order.address} once more"
    wish = Wish([order.pool] if order.pool else [], ((order.family, 1),) if order.family else ())
    (picked,) = pick(session, chart(database, session, container.site), wish, now=now)
    session.add(Address(address=picked.address, pool=picked.pool.name, ctid=container.ctid, job_id=job.id, since=now))
    job.target = {"address": picked.address}
    return f"{picked.address} of pool {picked.pool.name}"


def _rename(session: Session, order: RenameContainer, job: Job, container: Container) -> None:
    taken = session.exec(select(Container.ctid).where(Container.name == order.name)).first()
    if taken is not None and taken != container.ctid:
        raise BadOrder({"name": f"container {taken} is named {order.name!r} already"})
    job.target = {"name": order.name, "was": container.name}
    container.name = order.name  # kept from here on, so that nobody else can take it
    session.add(container)


def _release_later(session: Session, order: RemoveAddress, job: Job, container: Container) -> None:
    row = session.get(Address, order.address, with_for_update=True)
    if row is None or row.ctid != container.ctid or row.job_id is not None:
        has = ", ".join(addresses_of(session, container.ctid))
        raise BadOrder({"address": f"container {container.ctid} has no address {order.address}; it has {has}"})
    staying = session.exec(select(Address.address).where(Address.ctid == container.ctid, col(Address.job_id).is_(None))).all()
    if len(staying) < 2:
        raise Refusal(f"{order.address} is the last address of container {container.ctid}; add another one first")
    row.job_id, row.removing = job.id, True
    session.add(row)
    job.target = {"address": order.address}
