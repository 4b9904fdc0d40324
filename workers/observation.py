"""What a look at a node leaves in the rows: findings that open and close, and the room that strangers take."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from ipaddress import ip_address

from sqlalchemy import func, or_
from sqlmodel import Session, col, select

from models.barred import stays
from models.findings import Finding
from models.fleet import Address, Container, ContainerState, Node, Pool
from models.jobs import Event, Job
from models.lifecycle import FINAL, Cause, State
from models.whitelist import JOB_ID
from workers.drift import Books, Difference, compare, plain_addresses, strangers
from workers.openvz.driver import Driver, Flow, Sight
from workers.traffic import count

OPEN = [state for state in State if state not in FINAL]
UNREADABLE = "unreadable"


def observed(
    session: Session, node: Node, job: Job, sights: Sequence[Sight], driver: Driver, *, now: datetime, flows: Mapping[int, Flow] | str = ""
) -> int:
    """Compare what the node showed with the rows and write it down; how many findings the node has."""
    session.flush()
    books = books_of(session, node, sights, since=_claimed(session, job))
    outside = strangers(sights, books, driver)
    node.foreign_containers, node.foreign_ram_bytes, node.foreign_disk_bytes = outside.count, outside.ram_bytes, outside.disk_bytes
    node.foreign_addresses = list(outside.addresses)
    session.add(node)
    _count_disk(session, books, sights)
    _count_traffic(session, books, sights, flows)
    differences = compare(sights, books, driver)
    busy, shown = {str(ctid) for ctid in books.busy}, {address for sight in sights for address in plain_addresses(sight)}
    record(session, node.name, differences, now=now, untouched=lambda finding: finding.subject in busy or stays(finding, shown, now=now))
    return len(differences)


def _count_disk(session: Session, books: Books, sights: Sequence[Sight]) -> None:
    """What their files take, where the node counts it; the others keep their last figure."""
    for sight in sights:
        row = books.containers.get(sight.ctid)
        if row is not None and row.state == ContainerState.PRESENT and sight.disk_used_bytes is not None:
            row.disk_used_bytes = sight.disk_used_bytes
            session.add(row)


def _count_traffic(session: Session, books: Books, sights: Sequence[Sight], flows: Mapping[int, Flow] | str) -> None:
    """What passed since the last look, where the node can tell; a sentence instead of flows says why it cannot."""
    for sight in sights:
        row = books.containers.get(sight.ctid)
        if row is None or row.state != ContainerState.PRESENT or sight.marker != row.job_id:
            continue
        if isinstance(flows, str):
            row.net_why = flows if sight.running else row.net_why
        else:
            count(row, flows.get(sight.ctid), running=sight.running)
        session.add(row)


def unreadable(session: Session, node: Node, why: str, *, now: datetime) -> None:
    """The node answers, but what it says of its containers is not understood: nothing is concluded from it."""
    what = Difference(UNREADABLE, node.name, f"what is on {node.name} cannot be compared with the books: {why}")
    record(session, node.name, [what], now=now, untouched=lambda finding: finding.kind != UNREADABLE)


def record(session: Session, node: str, differences: Iterable[Difference], *, now: datetime, untouched: Callable[[Finding], bool]) -> None:
    """Open what is seen, close what is no longer seen; of what is `untouched` nothing is known this time."""
    known = {
        (finding.subject, finding.kind): finding for finding in session.exec(select(Finding).where(Finding.node == node).with_for_update()).all()
    }
    for difference in differences:
        finding = known.pop((difference.subject, difference.kind), None)
        if finding is None:
            finding = Finding(kind=difference.kind, node=node, subject=difference.subject, first_seen=now, last_seen=now)
        elif finding.gone_at is not None:
            finding.first_seen, finding.gone_at, finding.job_id = now, None, None  # it came back
        finding.why, finding.repair, finding.mark, finding.last_seen = difference.why, difference.repair, difference.mark, now
        session.add(finding)
    for finding in known.values():
        if finding.gone_at is None and not untouched(finding):
            finding.gone_at = now
            session.add(finding)


def books_of(session: Session, node: Node, sights: Sequence[Sight], *, since: datetime) -> Books:
    """The rows that have to do with what the node showed; `since` is when it began to be asked."""
    rows = session.exec(select(Container).where(Container.node == node.name)).all()
    ids = {sight.ctid for sight in sights} | {row.ctid for row in rows}
    shown = {address for sight in sights for address in plain_addresses(sight)}
    elsewhere = _seen_elsewhere(session, node, ids)
    away = (col(Container.ctid).in_(ids), Container.node != node.name, col(Container.state) != ContainerState.FOREIGN)
    elsewhere |= {ctid: name for ctid, name in session.execute(select(Container.ctid, Container.node).where(*away))}  # noqa: C416 - rows are not pairs
    moved = or_(col(Job.state).in_(OPEN), col(Job.ended_at) >= since)
    busy = set(session.exec(select(Job.ctid).where(col(Job.ctid).in_(ids), moved)).all())
    busy |= {row.ctid for row in rows if row.since >= since}
    neighbours = session.execute(select(Node.name, Node.foreign_addresses).where(Node.site == node.site, Node.name != node.name)).all()
    marks = {mark for sight in sights for mark in (sight.marker, sight.left_by) if mark and JOB_ID.fullmatch(mark)}
    ended = {job_id: state in FINAL for job_id, state in session.execute(select(Job.id, Job.state).where(col(Job.id).in_(marks)))}
    addresses: dict[int, list[str]] = {}
    for address, ctid in session.execute(
        select(Address.address, Address.ctid).where(col(Address.ctid).in_([row.ctid for row in rows]), col(Address.job_id).is_(None))
    ):
        addresses.setdefault(ctid, []).append(address)
    holders = dict(
        session.execute(select(Address.address, Address.ctid).where(col(Address.address).in_(shown), col(Address.ctid).is_not(None))).all()
    )
    return Books(
        node=node.name,
        containers={row.ctid: row for row in rows},
        addresses=addresses,
        elsewhere=elsewhere,
        holders=holders,
        strangers={address: name for name, foreign in neighbours for address in foreign if address in shown},
        ended=ended,
        busy=frozenset(ctid for ctid in busy if ctid is not None),
        pooled=_pooled(session.exec(select(Pool)).all()),
    )


def _seen_elsewhere(session: Session, node: Node, ids: set[int]) -> dict[int, str]:
    """Containers without a row that other nodes showed when they were last looked at, by id."""
    same = (Finding.kind == "unknown-container", col(Finding.gone_at).is_(None), Finding.node != node.name)
    return {int(subject): name for subject, name in session.execute(select(Finding.subject, Finding.node).where(*same)) if int(subject) in ids}


def _pooled(pools: Sequence[Pool]) -> Callable[[str], bool]:
    ranges = [(ip_address(pool.first), ip_address(pool.last)) for pool in pools]

    def given_out(address: str) -> bool:
        number = ip_address(address)
        return any(number.version == first.version and int(first) <= int(number) <= int(last) for first, last in ranges)

    return given_out


def _claimed(session: Session, job: Job) -> datetime:
    """When this run of the job began, by the database's clock; what other jobs did since then the node may not have shown yet."""
    at: datetime | None = session.exec(select(func.max(Event.at)).where(Event.job_id == job.id, Event.cause == Cause.CLAIMED)).one()
    return at or job.accepted_at
