"""Targets in flight: what their jobs' ends mean, which are given up, and which are taken back before they begin."""

from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from models.campaign_states import Outcome
from models.campaigns import Campaign, Target
from models.database import Database
from models.fleet import Node
from models.jobs import Job
from models.lifecycle import FINAL, State
from producers.audit import HOUSE
from producers.campaigns.rules import Seen
from producers.campaigns.sort import Sort
from producers.jobs import cancel

ENDED = [*sorted(FINAL), State.STUCK]


def seen(one: Target, hold: str = "") -> Seen:
    """A target as it is stored; `hold`: why it cannot be started now."""
    return Seen(one.place, one.wave, one.outcome, one.node, one.customer, one.labels, one.ended_at, hold, vital=one.ctid is None)


def settle(session: Session, campaign: Campaign, sort: Sort, now: datetime) -> None:
    """Write down what became of the targets whose jobs have ended. A stuck one waits for a person, who may be asleep: it counts as ended."""
    query = select(Target, Job).join(Job, col(Job.id) == col(Target.job_id))
    flying = (Target.campaign_id == campaign.id, Target.outcome == Outcome.IN_FLIGHT)
    for target, job in session.exec(query.where(*flying, col(Job.state).in_(ENDED))).all():
        target.outcome, target.reason = sort.outcome(job)
        target.ended_at, target.node = job.ended_at or now, job.node or target.node
        session.add(target)


def give_up(database: Database, session: Session, campaign: Campaign, patience: timedelta, now: datetime) -> None:
    """Targets whose node has not answered for so long are unreachable; jobs that have begun there go on when it is back."""
    if campaign.running_since > now - patience:
        return
    query = select(Target, Job, Node).join(Job, col(Job.id) == col(Target.job_id)).join(Node, col(Node.name) == col(Job.node))
    flying = (Target.campaign_id == campaign.id, Target.outcome == Outcome.IN_FLIGHT, col(Target.begun_at) <= now - patience)
    for target, job, node in session.exec(query.where(*flying, Job.state == State.QUEUED, col(Node.faults) > 0)).all():
        why = f"node {node.name} did not answer for {int(patience.total_seconds())} s: {node.finding_why or node.finding}"
        if job.begun:
            why += f"; job {job.id} has begun there and goes on when it is back"
        else:
            cancel(database, session, job, by=HOUSE, because=why)
        target.outcome, target.reason, target.ended_at = Outcome.UNREACHABLE, why, now
        session.add(target)


def lengthen(session: Session, campaign: Campaign, now: datetime) -> None:
    """It goes on: the time for which its jobs were held was none of their own."""
    held = (Job.campaign == campaign.id, col(Job.state).not_in(ENDED))
    for job in session.exec(select(Job).where(*held).order_by(col(Job.id)).with_for_update()).all():
        job.deadline = max(job.deadline, now + job.rules.deadline)
        session.add(job)


def take_back(database: Database, session: Session, campaign: Campaign) -> int:
    """Cancel the jobs that have not begun: their targets are not started. How many are left, on their way to their end."""
    query = select(Target, Job).join(Job, col(Job.id) == col(Target.job_id))
    left = 0
    for target, job in session.exec(query.where(Target.campaign_id == campaign.id, Target.outcome == Outcome.IN_FLIGHT)).all():
        session.refresh(job, with_for_update=True)
        if job.begun or job.state not in (State.QUEUED, State.DISPATCHED):
            left += 1
            continue
        cancel(database, session, job, by=HOUSE, because=f"{campaign.kind} {campaign.name} is {campaign.state}")
        target.outcome, target.reason, target.job_id, target.begun_at = Outcome.NOT_STARTED, "", None, None
        session.add(target)
    return left
