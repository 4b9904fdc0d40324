"""How long containers did not answer, and why: asked by container, node, customer, month or job. What was not measured is counted, never added."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, func
from sqlmodel import Session, col, select

from models.clock import stamp
from models.kinds import KINDS
from models.lifecycle import FINAL, State
from models.outages import UNKNOWN, Outage
from producers.refusals import BadOrder

MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
FIGURES = ("gap_s", "suspended_s", "resolution_s", "brownout_s")


@dataclass(frozen=True)
class Wanted:
    """Which outages; None leaves open."""

    ctid: int | None = None
    node: str | None = None
    customer: str | None = None
    job_id: str | None = None
    cause: str | None = None
    month: str | None = None  # YYYY-MM in UTC; an outage belongs to the month in which it began
    measured: bool | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """As SQL; raises BadOrder for a month that is none."""
        fields = {
            Outage.ctid: self.ctid,
            Outage.node: self.node,
            Outage.customer: self.customer,
            Outage.job_id: self.job_id,
            Outage.cause: self.cause,
        }
        found: list[ColumnElement[bool]] = [col(column) == value for column, value in fields.items() if value is not None]
        if self.month is not None:
            start, end = month_span(self.month)
            found += [col(Outage.began_at) >= start, col(Outage.began_at) < end]
        if self.measured is not None:
            found.append(col(Outage.gap_s).is_not(None) if self.measured else col(Outage.gap_s).is_(None))
        return found


def month_of(at: datetime) -> str:
    """The month of a moment, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m")


def month_span(month: str) -> tuple[datetime, datetime]:
    """From its first moment to the next one's; raises BadOrder."""
    matched = MONTH.fullmatch(month)
    if matched is None or not 1 <= int(matched[1]) <= 9998:
        raise BadOrder({"month": f"{month!r} is not a month; write YYYY-MM, e.g. 2026-03"})
    year, number = int(matched[1]), int(matched[2])
    return datetime(year, number, 1, tzinfo=UTC), datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)


def outages(session: Session, wanted: Wanted, *, limit: int, before: int | None = None, own: str | None = None) -> Sequence[Outage]:
    """The newest first; `before`: only rows older than this one; `own`: only this customer's, whatever is wanted."""
    query = select(Outage).where(*wanted.conditions()).order_by(col(Outage.id).desc()).limit(limit)
    if own is not None:
        query = query.where(Outage.customer == own)
    return session.exec(query if before is None else query.where(col(Outage.id) < before)).all()


def total(session: Session, wanted: Wanted) -> tuple[float, int]:
    """Seconds that were measured, and how many intervals were not."""
    measured, unmeasured = session.execute(
        select(func.coalesce(func.sum(Outage.gap_s), 0.0), func.count() - func.count(col(Outage.gap_s)))
        .select_from(Outage)
        .where(*wanted.conditions())
    ).one()
    return round(float(measured), 3), int(unmeasured)


def downtime_s(session: Session, ctid: int, month: str) -> tuple[float, int]:
    """A container's measured seconds in a month and how many intervals were not measured, for budgets (index outage_container)."""
    return total(session, Wanted(ctid=ctid, month=month))


@dataclass(frozen=True)
class Share:
    """What a month cost one customer."""

    customer: str | None
    outages: int  # intervals in which a container did not answer, or may not have
    containers: int
    measured_s: float
    longest_s: float | None
    unmeasured: int


def by_customer(session: Session, month: str, *, own: str | None = None) -> list[Share]:
    """A month customer by customer, the longest first; jobs that were watched and cost nothing are left out. Raises BadOrder."""
    gap, whose = col(Outage.gap_s), col(Outage.customer)
    figures = (
        func.count(),
        func.count(col(Outage.ctid).distinct()),
        func.coalesce(func.sum(gap), 0.0),
        func.max(gap),
        func.count() - func.count(gap),
    )
    conditions = [*Wanted(month=month, customer=own).conditions(), gap.is_(None) | (gap > 0)]
    rows = session.execute(select(whose, *figures).where(*conditions).group_by(whose)).all()  # type: ignore[call-overload]  # six columns
    shares = [Share(customer, count, containers, round(float(down), 3), longest, lost) for customer, count, containers, down, longest, lost in rows]
    return sorted(shares, key=lambda share: (-share.measured_s, -share.unmeasured, share.customer or ""))


def outage_shape(outage: Outage) -> dict[str, Any]:
    """An outage as JSON."""
    fields = outage.model_dump(exclude={"job_id"})
    return fields | {"job": outage.job_id, "began_at": stamp(outage.began_at), "ended_at": stamp(outage.ended_at)}


def of_job(shapes: Sequence[Mapping[str, Any]], *, kind: str, state: State) -> dict[str, Any]:
    """The four figures of a job out of its outages: numbers, or null with the reason under `not_measured`."""
    ours = [shape for shape in shapes if shape["cause"] != UNKNOWN]
    why: dict[str, str] = {}
    figures: dict[str, float | None] = {}
    for figure in FIGURES:
        reason = _missing(figure, ours, kind=kind, state=state)
        figures[figure] = None if reason else round(sum(shape[figure] or 0.0 for shape in ours), 3)
        why |= {figure: reason} if reason else {}
    return figures | {"not_measured": why}


def _missing(figure: str, ours: Sequence[Mapping[str, Any]], *, kind: str, state: State) -> str:
    if not ours:
        if not KINDS[kind].interrupts:
            return f"a job of kind {kind} interrupts nothing that is meant to run"
        if state not in FINAL and state != State.STUCK:
            return "the job has not ended"
        return "the job ended before it touched the container, or the container was not meant to run"
    unmeasured = next((str(shape["not_measured"]) for shape in ours if shape["gap_s"] is None), "")
    if figure == "suspended_s":
        return "" if any(shape[figure] is not None for shape in ours) else "the node gives no figure of its own"
    if figure == "brownout_s":
        return unmeasured or ("" if all(shape[figure] is not None for shape in ours) else "there was no baseline to compare with")
    return unmeasured
