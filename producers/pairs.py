"""What the moves from one node to another have cost, for the pace between the two."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session, col, select

from models.campaigns import Campaign
from models.jobs import Job
from models.outages import Outage
from producers.pace import Cost, Pace, pace

Pair = tuple[str, str]  # from, to
KIND = "migrate-container"
LAST_ONES = 60  # moves of a pair that are looked at
USUAL_BUDGET_S = 5.0  # of a move online for which nobody has said what it may cost; one offline was stopped on purpose


@dataclass
class _Move:
    """One that was measured."""

    budget_s: float | None
    campaign: str | None
    gap_s: float = 0.0
    whole: bool = True  # each of its intervals was measured
    frozen: bool = False  # it went online: vzmigrate times no other

    def costs(self, allowed: Mapping[str, float]) -> Iterator[Cost]:
        """One where it can be held against something."""
        budget_s = self.budget_s or allowed.get(self.campaign or "") or (USUAL_BUDGET_S if self.frozen else None)
        if budget_s is not None and self.whole:
            yield Cost(self.gap_s, budget_s)


def paces(session: Session, most: Mapping[Pair, int]) -> dict[Pair, Pace]:
    """The pace of each pair, of which so many may go at once by their slots (indexes job_move and ix_outage_job_id)."""
    return {pair: pace(costs(session, pair), most=bound) for pair, bound in most.items()}


def costs(session: Session, pair: Pair) -> list[Cost]:
    """What the last moves of this pair have cost, the oldest first."""
    moves = list(_moves(session, *pair))
    allowed = _allowed(session, {move.campaign for move in moves if move.campaign})
    return [cost for move in moves for cost in move.costs(allowed)]


def _moves(session: Session, source: str, target: str) -> Iterable[_Move]:
    """The newest ones, in the order in which they were measured; what was ordered over its budget on purpose tells nothing."""
    between = select(Job.id, Job.order, Job.campaign).where(Job.to_node == target, Job.node == source, Job.kind == KIND)
    newest = between.order_by(col(Job.id).desc()).limit(LAST_ONES).subquery()
    columns = (newest.c.id, newest.c.order, newest.c.campaign, col(Outage.gap_s), col(Outage.suspended_s))
    query = sa.select(*columns).join(Outage, col(Outage.job_id) == newest.c.id).where(col(Outage.cause) == KIND).order_by(col(Outage.id))
    moves: dict[str, _Move] = {}
    for job_id, order, campaign, gap_s, suspended_s in session.execute(query).all():
        if order.get("over_budget"):
            continue
        move = moves.setdefault(job_id, _Move(order.get("budget_s"), campaign))
        move.gap_s += gap_s or 0.0
        move.whole &= gap_s is not None
        move.frozen |= suspended_s is not None
    return moves.values()


def _allowed(session: Session, campaigns: set[str]) -> dict[str, float]:
    """By campaign: how long its moves may interrupt, where it says so."""
    if not campaigns:
        return {}
    rows = session.exec(select(Campaign).where(col(Campaign.id).in_(campaigns))).all()
    return {row.id: float(row.spec["longest_gap_s"]) for row in rows if row.spec.get("longest_gap_s")}
