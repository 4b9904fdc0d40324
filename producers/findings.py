"""What observation found: list it, see what would mend it, order that. Nothing is mended by itself."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Never

from sqlmodel import Session, col, select

from models.clock import stamp
from models.database import Database
from models.findings import Finding
from models.fleet import Node
from models.jobs import Event, Job
from models.orders import ORDER, Order
from producers.audit import audit
from producers.intake import Intake
from producers.refusals import BadOrder, Refusal


@dataclass(frozen=True)
class Repair:
    """The order that mends a finding and, when it was placed, its job."""

    finding: Finding
    order: Order
    does: str  # what the order does, in its own words
    job: Job | None
    why: str  # placement and checks, as the job's first event tells them
    replay: bool = False  # it had been ordered before and has not ended


def findings(session: Session, *, site: str = "", node: str = "", kind: str = "", gone: bool = False, limit: int = 1000) -> Sequence[Finding]:
    """The open ones, newest first; with `gone` those that went away as well."""
    query = select(Finding).order_by(col(Finding.gone_at).is_not(None), col(Finding.first_seen).desc(), col(Finding.id)).limit(limit)
    if site:
        query = query.where(col(Finding.node).in_(select(Node.name).where(Node.site == site)))
    if node:
        query = query.where(Finding.node == node)
    if kind:
        query = query.where(Finding.kind == kind)
    if not gone:  # nor those of a node that was taken out of the fleet
        query = query.where(col(Finding.gone_at).is_(None), col(Finding.node).in_(select(Node.name)))
    return session.exec(query).all()


def find(session: Session, number: int) -> Finding:
    """The finding with this number; raises BadOrder."""
    finding = session.get(Finding, number)
    if finding is None:
        raise BadOrder({"ID": f"there is no finding {number}; see `vzq finding list`"})
    return finding


def repair(database: Database, intake: Intake, session: Session, number: int, *, by: str, because: str = "") -> Repair:
    """Order what mends it; while that order is open the same one is given back.

    Raises BadOrder, or a Refusal where there is nothing to order or it cannot be had.
    """
    told = _order(database, intake, session, number, by=by, because=because)
    if told.job is not None and not told.replay:
        told.finding.job_id = told.job.id
        session.add(told.finding)
        data = {"job": told.job.id}
        audit(session, at=database.now(session), by=by, action="finding repair", subject=f"finding:{number}", because=because, data=data)
    return told


def rehearse(database: Database, intake: Intake, number: int, *, by: str) -> Repair:
    """What `repair` would order: all its checks are made, nothing is written. Raises as `repair`."""
    told: list[Repair] = []
    with suppress(_Nothing), database.write() as session:
        one = _order(database, intake, session, number, by=by, because="")
        session.expunge_all()
        told.append(one if one.replay else replace(one, job=None))
        _go_back()
    return told[0]


def _order(database: Database, intake: Intake, session: Session, number: int, *, by: str, because: str) -> Repair:
    database.lock(session, f"finding:{number}")  # not the row: workers lock jobs before findings, and the intake is going to lock jobs
    session.flush()
    session.expire_all()  # what another session wrote while this one stood in line
    finding = find(session, number)
    if finding.gone_at is not None:
        raise Refusal(f"finding {number} is gone: the node no longer shows it")
    if not finding.repair:
        raise Refusal(f"finding {number} has no repair that can be ordered: {finding.why}")
    order = ORDER.validate_python(finding.repair)
    does = (type(order).__doc__ or "").strip().partition("\n")[0]
    known = session.get(Job, finding.job_id) if finding.job_id is not None else None
    if known is not None and not known.ended:
        return Repair(finding, order, does, known, _first(session, known), replay=True)
    job = intake.submit(session, order, by=by, because=because or f"finding {number}: {finding.kind}").job
    session.flush()
    return Repair(finding, order, does, job, _first(session, job))


class _Nothing(Exception):
    """Rolls a rehearsal back."""


def _go_back() -> Never:
    raise _Nothing


def finding_shape(finding: Finding) -> dict[str, Any]:
    """A finding as JSON has it. Others rely on these names: add to them, never rename."""
    return {
        "id": finding.id,
        "kind": finding.kind,
        "node": finding.node,
        "subject": finding.subject,
        "why": finding.why,
        "mark": finding.mark,
        "repair": finding.repair or None,
        "first_seen": stamp(finding.first_seen),
        "last_seen": stamp(finding.last_seen),
        "gone_at": stamp(finding.gone_at),
        "job": finding.job_id,
    }


def repair_shape(told: Repair, *, dry_run: bool) -> dict[str, Any]:
    """A repair, ordered or rehearsed."""
    return {
        "finding": finding_shape(told.finding),
        "order": told.order.model_dump(mode="json", exclude_none=True),
        "does": told.does,
        "why": told.why,
        "job": told.job.id if told.job else None,
        "replay": told.replay,
        "dry_run": dry_run,
    }


def _first(session: Session, job: Job) -> str:
    return session.exec(select(Event.why).where(Event.job_id == job.id).order_by(col(Event.id)).limit(1)).first() or ""
