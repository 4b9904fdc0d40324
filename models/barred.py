"""Addresses that turned out to be somebody else's: a finding bars each, as long as it is open."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from models.findings import Finding
from models.fleet import Address, Node
from models.jobs import Job

IN_USE = "address-in-use"
LACKING = "lacking"  # in `job.target`: the pools of which the job waits for another address
BARRED_FOR = timedelta(hours=24)  # after the last refusal; nobody can see from here when a stranger lets go


def bar(session: Session, job: Job, addresses: Sequence[str], *, why: str, now: datetime) -> list[str]:
    """Take these addresses from the job and bar them; the pools that they are of. Those that are not the job's stay as they are."""
    pools = []
    mine = Address.ctid == job.ctid if job.rules.placed else Address.job_id == job.id
    for row in session.exec(select(Address).where(mine, col(Address.address).in_(addresses))).all():
        same = (Finding.node == job.node, Finding.subject == row.address, Finding.kind == IN_USE)
        finding = session.exec(select(Finding).where(*same).with_for_update()).first()
        if finding is None or finding.gone_at is not None:
            finding = finding or Finding(kind=IN_USE, node=job.node or "", subject=row.address, first_seen=now, last_seen=now)
            finding.first_seen, finding.gone_at = now, None
        finding.last_seen = now
        finding.why = f"{row.address} of pool {row.pool} is in use at {job.node} by somebody whom the books do not know; it is not given out ({why})"
        session.add(finding)
        session.delete(row)
        pools.append(row.pool)
    return pools


def barred(session: Session, site: str) -> frozenset[str]:
    """What is not given out at this site."""
    here = select(Node.name).where(Node.site == site)
    return frozenset(
        session.exec(select(Finding.subject).where(Finding.kind == IN_USE, col(Finding.gone_at).is_(None), col(Finding.node).in_(here))).all()
    )


def stays(finding: Finding, shown: set[str], *, now: datetime) -> bool:
    """A look cannot prove that the address is free: it stays barred while the node shows it, and for a time after it was refused."""
    return finding.kind == IN_USE and (finding.subject in shown or now - finding.last_seen < BARRED_FOR)
