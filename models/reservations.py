"""What an order keeps while its job lives, and what becomes of the rows at its end: kept for good, or given back.

Both sides end jobs (a worker that finished, a person who decides about a stuck one), so both read it here.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, or_
from sqlmodel import Session, col, select

from models.adoption import adopted
from models.fleet import Address, Container, ContainerState, Hold, Plan, Pool
from models.inside import Visit
from models.jobs import Job
from models.lifecycle import State
from models.standing import VERBS, Standing, after

SIZES = ("ram_bytes", "swap_bytes", "disk_bytes", "inodes", "cpus", "cpuunits")


def sizes_of(plan: Plan) -> dict[str, Any]:
    """What a plan sells, to be copied: a plan that is changed later changes no container."""
    return {size: getattr(plan, size) for size in SIZES}


def reservation(session: Session, job: Job) -> tuple[Container, list[str]]:
    """The container reserved for `job` and its addresses, IPv4 first; raises LookupError when it holds none."""
    container = session.get(Container, job.ctid) if job.ctid is not None else None
    if container is None or container.job_id != job.id:
        raise LookupError(f"job {job.id} holds no reservation")
    return container, addresses_of(session, container.ctid)


def addresses_of(session: Session, ctid: int, *, with_job: str = "") -> list[str]:
    """The container's addresses, IPv4 first; those that another job is only just adding are not among them."""
    mine = or_(col(Address.job_id).is_(None), col(Address.job_id) == with_job, col(Address.removing))
    addresses = session.exec(select(Address.address).where(Address.ctid == ctid, mine)).all()
    return sorted(addresses, key=lambda address: (":" in address, address))


def probes_of(session: Session, ctid: int) -> dict[str, str]:
    """How each of the container's addresses is asked whether it answers: as the pool says that it is of."""
    found = session.execute(select(Address.address, Pool.probe).where(Address.ctid == ctid, Address.pool == Pool.name))
    return {address: probe for address, probe in found}  # noqa: C416 - rows are not pairs


def keep(session: Session, job: Job, *, now: datetime) -> None:
    """The node shows what was ordered: the rows say so from now on. `job.target` holds what was resolved at acceptance."""
    leave(session, job)
    if job.ctid is None:
        return
    if job.kind == "adopt-container":
        adopted(session, job, now=now)
        return
    session.execute(delete(Hold).where(col(Hold.job_id) == job.id))
    if job.kind == "migrate-container":
        _moved(session, job)
        return
    container = session.get(Container, job.ctid, with_for_update=True)
    if container is None:
        return
    if job.rules.placed:
        container.state, container.since = ContainerState.PRESENT, now
    if job.kind in VERBS:
        standing = after(job.kind, container.standing)
        container.standing = standing if isinstance(standing, Standing) else container.standing
    for field in (*SIZES, "plan", "template", "hostname", "nameservers", "searchdomain", "job_id"):
        if field in job.target:
            setattr(container, field, job.target[field])
    session.add(container)
    _keep_special(session, job, container, now=now)


def _moved(session: Session, job: Job) -> None:
    """The container is the other node's from now on, and with it all that waits for it."""
    waiting = select(Job).where(Job.ctid == job.ctid, Job.id != job.id, Job.state == State.QUEUED, col(Job.begun).is_(False)).order_by(Job.id)
    behind = session.exec(waiting.with_for_update()).all()  # jobs are locked before their container, as who orders does it
    container = session.get(Container, job.ctid, with_for_update=True)
    if container is None or job.to_node is None:
        return
    container.node = job.to_node
    for other in behind:
        if other.node == job.node:
            other.node = job.to_node
        held = session.get(Hold, other.id)
        if held is not None and held.node == job.node:
            held.node = job.to_node
            session.add(held)
    session.add_all([container, *behind])


def _keep_special(session: Session, job: Job, container: Container, *, now: datetime) -> None:
    match job.kind:
        case "add-address":
            for address in session.exec(select(Address).where(Address.job_id == job.id)).all():
                address.job_id = None
                session.add(address)
        case "remove-address":
            rest(session, [job.target["address"]], now=now)
        case "terminate-container":
            container.purge_at = container.purge_at or now + timedelta(hours=job.target["grace_hours"])
        case "revive-container":
            container.purge_at = None
        case "clear-debris":
            if (container.state, container.node) == (ContainerState.FOREIGN, job.node) and job.result.get("cleared"):
                session.delete(container)  # nothing bars the id any more
        case "purge-container":
            rest(session, addresses_of(session, container.ctid), now=now)
            session.delete(container)


def give_back(session: Session, job: Job, *, now: datetime, foreign: bool = False) -> None:
    """Free what was kept for `job`; with `foreign` the id stays barred, because somebody else has it on the node. Safe to repeat."""
    leave(session, job)
    session.execute(delete(Hold).where(col(Hold.job_id) == job.id))
    container = session.get(Container, job.ctid) if job.ctid is not None else None
    if container is None:
        return
    if job.rules.placed:
        if container.job_id == job.id and container.state == ContainerState.RESERVED:
            _free(session, container, now=now, foreign=foreign)
        return
    for address in session.exec(select(Address).where(Address.job_id == job.id)).all():
        if address.removing:
            address.job_id, address.removing = None, False
            session.add(address)
        else:
            session.delete(address)
    if job.kind == "rename-container":
        _take_back_name(session, job, container)


def _take_back_name(session: Session, job: Job, container: Container) -> None:
    """The container is named as before; a rename behind this one would go back to the name that it never got."""
    name, was = job.target.get("name"), job.target.get("was")
    renames = select(Job).where(Job.ctid == job.ctid, Job.kind == job.kind, Job.id != job.id, col(Job.ended_at).is_(None))
    behind = [other for other in session.exec(renames.with_for_update()) if other.target.get("was") == name]
    for other in behind:
        other.target = {**other.target, "was": was}
    if not behind and container.name == name:
        container.name = was
    session.add_all([container, *behind])


def leave(session: Session, job: Job) -> None:
    """Nobody of this job is inside a container any more."""
    if job.kind == "exec-batch":
        session.execute(delete(Visit).where(col(Visit.id) == job.id))


def rest(session: Session, addresses: list[str], *, now: datetime) -> None:
    """Addresses that were in use rest for as long as their pool says, so that nobody gets a stranger's visitors."""
    for address in session.exec(select(Address).where(col(Address.address).in_(addresses))).all():
        pool = session.get(Pool, address.pool)
        if pool is None or pool.rest_s <= 0:
            session.delete(address)
            continue
        address.ctid, address.job_id, address.removing = None, None, False
        address.since, address.free_at = now, now + timedelta(seconds=pool.rest_s)
        session.add(address)


def _free(session: Session, container: Container, *, now: datetime, foreign: bool) -> None:
    session.execute(delete(Address).where(col(Address.ctid) == container.ctid))  # never reached a customer: no rest needed
    session.delete(container)
    if foreign:
        session.flush()
        session.add(Container(ctid=container.ctid, node=container.node, site=container.site, state=ContainerState.FOREIGN, since=now))
