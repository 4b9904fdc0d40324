"""What a look at a container becomes when it is adopted: its row and its addresses, or the reason why not."""

from collections.abc import Sequence
from datetime import datetime
from ipaddress import ip_address
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from sqlmodel import Session, col, select

from models.errors import Permanent
from models.fleet import Address, Container, ContainerState, Node, Plan, Pool
from models.jobs import Job, SpentKey
from models.standing import Standing
from models.whitelist import Address as AddressText
from models.whitelist import HostName, Word

_T = TypeVar("_T")
_WORD: TypeAdapter[str] = TypeAdapter(Word)
_HOSTNAME: TypeAdapter[str] = TypeAdapter(HostName)
_ADDRESS: TypeAdapter[str] = TypeAdapter(AddressText)


def adopted(session: Session, job: Job, *, now: datetime) -> None:
    """Write the container's row from what `job.result` says of it; raises Permanent where it would contradict another row. Safe to repeat."""
    seen: dict[str, Any] = job.result
    if job.ctid is None or job.node is None or "mark" not in seen:
        return  # a person called it right without a look: the next observation finds the container again
    row = session.get(Container, job.ctid, with_for_update=True)
    if row is not None and row.node != job.node and row.state != ContainerState.FOREIGN:
        raise Permanent(f"container {job.ctid} is {row.node}'s in the books; two containers cannot have one id")
    if row is not None and row.state == ContainerState.RESERVED:
        raise Permanent(f"id {job.ctid} is kept for job {row.job_id}; see what became of it")
    _mark_is_free(session, job, seen["mark"])
    if row is not None and row.state == ContainerState.PRESENT:
        row.job_id = seen["mark"]
        session.add(row)
        return
    node = session.get(Node, job.node)
    name = _checked(_WORD, seen["name"])
    _name_is_free(session, job, name)
    addresses = [plain for text in seen["addresses"] if (plain := _checked(_ADDRESS, text.partition("/")[0])) is not None]
    pools = _claim_addresses(session, job, addresses, now=now)
    row = row or Container(ctid=job.ctid, node=job.node, site=job.site, state=ContainerState.PRESENT, since=now)
    row.node, row.site, row.state, row.since = job.node, node.site if node else job.site, ContainerState.PRESENT, now
    row.name, row.hostname = name, _checked(_HOSTNAME, seen["hostname"]) or ""
    row.plan, row.customer = _sold(session, job, seen)
    row.template, row.searchdomain = _checked(_WORD, seen["template"]) or "", _checked(_HOSTNAME, seen["searchdomain"])
    row.nameservers = [server for text in seen["nameservers"] if (server := _checked(_ADDRESS, text)) is not None]
    for size, amount in seen["sizes"].items():
        setattr(row, size, amount)
    row.probe = pools[0].probe if pools else "icmp" if addresses else ""
    row.job_id = seen["mark"]
    row.standing = Standing.RUNNING if seen["running"] else Standing.SUSPENDED if seen["disabled"] else Standing.STOPPED
    session.add(row)
    if node is not None:
        _no_stranger(node, row, addresses)
        session.add(node)


def _sold(session: Session, job: Job, seen: dict[str, Any]) -> tuple[str, str | None]:
    """The plan and the customer: of the job whose mark it carries, where that is known; else the one plan that sells exactly these sizes."""
    maker, spent = session.get(Job, seen["mark"]), session.exec(select(SpentKey).where(SpentKey.job_id == seen["mark"])).first()
    customer = job.order.get("customer") or (maker.customer if maker else spent.customer if spent else None)
    plans = [
        plan.name
        for plan in session.exec(select(Plan).order_by(Plan.name)).all()
        if all(getattr(plan, size) == amount for size, amount in seen["sizes"].items() if size != "inodes")
    ]
    ordered = maker.order.get("plan") if maker else None
    return ordered if ordered in plans else plans[0] if len(plans) == 1 else "", customer


def _mark_is_free(session: Session, job: Job, mark: str) -> None:
    """A mark is one container's: a copied conf, or a create that is still at work, is not adopted."""
    if mark == job.id:
        return
    twin = session.exec(select(Container.ctid).where(Container.job_id == mark, col(Container.ctid) != job.ctid)).first()
    if twin is not None:
        raise Permanent(f"container {job.ctid} carries the mark of container {twin}: its conf is a copy; take X_VZQ_JOB out of it and order again")
    maker = session.get(Job, mark)
    if maker is not None and not maker.ended:
        raise Permanent(f"container {job.ctid} carries the mark of job {mark}, which is {maker.state}; let it end first")


def _name_is_free(session: Session, job: Job, name: str | None) -> None:
    taken = session.exec(select(Container.ctid).where(Container.name == name, col(Container.ctid) != job.ctid)).first() if name else None
    if taken is not None:
        raise Permanent(f"container {job.ctid} is named {name!r} like container {taken}; rename one of them on its node and order again")


def _claim_addresses(session: Session, job: Job, addresses: Sequence[str], *, now: datetime) -> list[Pool]:
    """Its addresses that lie in our pools are its own from now on; the pools they are of, in the order of the addresses."""
    pools = session.exec(select(Pool).order_by(Pool.name)).all()
    found: list[Pool] = []
    for address in dict.fromkeys(addresses):
        pool = next((pool for pool in pools if _inside(pool, address)), None)
        row = session.get(Address, address, with_for_update=True)
        if row is not None and row.ctid is not None and row.ctid != job.ctid:
            raise Permanent(f"address {address} of container {job.ctid} is container {row.ctid}'s in the books; take it away from one of them")
        if pool is None:
            continue  # not ours to give
        found.append(pool)
        row = row or Address(address=address, pool=pool.name, since=now)
        row.ctid, row.job_id, row.removing, row.free_at = job.ctid, None, False, None
        session.add(row)
    return found


def _inside(pool: Pool, address: str) -> bool:
    number, first, last = ip_address(address), ip_address(pool.first), ip_address(pool.last)
    return number.version == first.version and int(first) <= int(number) <= int(last)


def _no_stranger(node: Node, row: Container, addresses: Sequence[str]) -> None:
    """Its room is counted by its row from now on."""
    node.foreign_containers = max(0, node.foreign_containers - 1)
    node.foreign_ram_bytes = max(0, node.foreign_ram_bytes - row.ram_bytes)
    node.foreign_disk_bytes = max(0, node.foreign_disk_bytes - row.disk_bytes)
    node.foreign_addresses = [address for address in node.foreign_addresses if address not in addresses]


def _checked(kind: TypeAdapter[_T], value: object) -> _T | None:
    """The value, if it may become part of a node command; what a node shows may be anything."""
    try:
        return kind.validate_python(value, strict=True)
    except ValidationError:
        return None
