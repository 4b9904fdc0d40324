"""How long a move may keep a container from its visitors: what history says it will, against what the order and the plan allow.

Nothing is widened silently: only an order that says so itself, with a reason, goes over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from models.fleet import Container, Plan
from models.jobs import Job
from models.lifecycle import State
from models.orders import ORDER, CheckMigration, MigrateContainer
from models.outages import Outage
from models.standing import Standing
from producers.downtime import Wanted, month_of, total
from producers.pace import p95
from producers.refusals import BadOrder, Refusal

MOVES = 50  # so many of the newest tell what to expect
OWN = 3  # from so many of its own on, a container's own moves tell more than the others'


@dataclass(frozen=True)
class Expected:
    """What a move like this has cost, by the newest of them."""

    gap_s: float  # 95 of 100 stayed below
    of: int  # so many were measured
    whose: str


def check(session: Session, order: MigrateContainer | CheckMigration, job: Job, container: Container, *, now: datetime) -> str:
    """Nothing, or what it goes over on purpose; raises Refusal where history says that it will break a budget, BadOrder without a reason."""
    if container.standing is not Standing.RUNNING:
        return ""  # nobody notices
    over = list(_over(session, order, container, now=now))
    if not over:
        return ""
    if not order.over_budget:
        raise Refusal(f"{'; '.join(over)}; move it offline hours, choose another way, or order it with --over-budget and a reason")
    if not job.because:
        raise BadOrder({"over_budget": "goes only with a reason; say it with --because"})
    return f"over its budget on purpose: {'; '.join(over)}"


def objection(session: Session, job: Job, *, now: datetime) -> str:
    """What history says by now of a move that was accepted and has not begun: nothing, or which budget it would break."""
    if job.kind != "migrate-container" or job.begun or job.state != State.QUEUED:
        return ""
    order, container = ORDER.validate_python(job.order), session.get(Container, job.ctid)
    if not isinstance(order, MigrateContainer) or order.over_budget or container is None or container.standing is not Standing.RUNNING:
        return ""
    return "; ".join(_over(session, order, container, now=now))


def _over(session: Session, order: MigrateContainer | CheckMigration, container: Container, *, now: datetime) -> Sequence[str]:
    awaited = expected(session, container, online=order.mode != "offline")
    gap = awaited.gap_s if awaited is not None else 0.0
    found = []
    if awaited is not None and order.budget_s is not None and gap > order.budget_s:
        found.append(
            f"moving container {container.ctid} {order.mode} may keep it from answering for {gap:.1f} s"
            f" (95 of 100 of {awaited.of} moves of {awaited.whose} stayed below), its budget is {order.budget_s:g} s"
        )
    plan = session.get(Plan, container.plan) if container.plan else None
    if plan is not None and plan.downtime_month_s is not None:
        used, _ = total(session, Wanted(ctid=container.ctid, month=month_of(now)))
        if used + gap > plan.downtime_month_s or used >= plan.downtime_month_s:
            more = f" and {gap:.1f} s more are to be expected" if gap else ""
            found.append(
                f"container {container.ctid} was down for {used:.1f} s this month already{more}; plan {plan.name} allows {plan.downtime_month_s:g} s"
            )
    return found


def expected(session: Session, container: Container, *, online: bool) -> Expected | None:
    """From the container's own moves, else from all of its site; None where none was measured yet."""
    frozen = col(Outage.suspended_s).is_not(None) if online else col(Outage.suspended_s).is_(None)  # vzmigrate times only moves online
    moves = select(Outage.gap_s).where(Outage.cause == "migrate-container", col(Outage.gap_s).is_not(None), frozen).order_by(col(Outage.id).desc())
    own = session.exec(moves.where(Outage.ctid == container.ctid).limit(MOVES)).all()
    if len(own) >= OWN:
        return Expected(p95(own), len(own), "its own")
    others = session.exec(moves.where(Outage.site == container.site).limit(MOVES)).all()
    return Expected(p95(others), len(others), f"site {container.site}") if others else None
