"""What a restore changes in the rows, so that nothing of the time that is lost is done twice or given out twice.

Tokens, event numbers and container ids go on far above those of the backup. Jobs that were open wait again and, before they
act, ask the node's ledger what it remembers of them. Campaigns are paused. No node gets work before it was looked at.
"""

from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session, col, select

from models.campaign_states import CampaignCause, CampaignState
from models.campaigns import Campaign
from models.database import Database
from models.fleet import Node, NodeState
from models.hooks import Webhook
from models.house import RESTORE_LEAP, Counter, Secret
from models.jobs import Job
from models.lifecycle import FINAL, Cause, State
from producers.audit import audit
from producers.backup.archive import Header
from producers.chart import FIRST_CTID
from producers.relay import NUMBERED

ID_LEAP = 10_000  # container ids: of a node that stays away nobody knows which it has
AGAIN = {State.DISPATCHED: Cause.UNCLAIMED, State.RUNNING: Cause.RELEASED, State.UNDOING: Cause.RELEASED}


@dataclass(frozen=True)
class Aftermath:
    """What a person should know of it."""

    token: int  # the next ones are above it
    nodes: list[str] = field(default_factory=list)  # to be looked at first
    waiting: int = 0  # jobs that were open when the backup was made; stuck ones are not among them
    stuck: int = 0
    sealed: int = 0  # secrets that only the old key opens
    campaigns: int = 0  # that ran, and are paused now


def afterwards(database: Database, session: Session, header: Header, *, by: str) -> Aftermath:
    """Within the transaction of the restore."""
    now = database.now(session)
    lost_above = _leap(session, "token", RESTORE_LEAP, 0)
    for events in NUMBERED:
        _leap(session, events, RESTORE_LEAP, 0)
    _leap(session, "ctid", ID_LEAP, FIRST_CTID - 1)
    nodes = session.exec(select(Node).where(col(Node.state) != NodeState.NEW).order_by(Node.name)).all()
    for node in nodes:
        node.unseen = node.bars = True
        node.seen_at = node.broken_until = None
        node.faults, node.finding, node.finding_why = 0, "", ""
        session.add(node)
    jobs = session.exec(select(Job).where(col(Job.state).not_in(sorted(FINAL)), col(Job.state) != State.STUCK).order_by(col(Job.id))).all()
    for job in jobs:
        _again(session, job, now, header, lost_above)
    campaigns = session.exec(select(Campaign).where(col(Campaign.state).in_([CampaignState.RUNNING, CampaignState.WAITING]))).all()
    for campaign in campaigns:
        why = f"the database was restored from a backup of {header.made_at:%Y-%m-%d %H:%M:%S} UTC; see what it did since, then let it go on"
        session.add_all([campaign, campaign.move(CampaignCause.PAUSED, now=now, why=why)])
    stuck = len(session.exec(select(Job.id).where(Job.state == State.STUCK)).all())
    sealed = len(session.exec(select(Secret.job_id)).all()) + len(session.exec(select(Webhook.id)).all())
    data = {"made_at": header.made_at.isoformat(), "token": lost_above, "jobs": len(jobs)}
    audit(session, at=now, by=by, action="restore", because=f"from a backup of {header.made_at:%Y-%m-%d %H:%M:%S} UTC", data=data)
    return Aftermath(lost_above + RESTORE_LEAP, [node.name for node in nodes], len(jobs), stuck, sealed, len(campaigns))


def _again(session: Session, job: Job, now: datetime, header: Header, lost_above: int) -> None:
    """Whatever had it is gone. That it waited is not its fault: neither its deadline nor an attempt counts."""
    if job.state in AGAIN and (job.state != State.UNDOING or job.lease_until is not None):
        why = f"the database was restored from a backup of {header.made_at:%Y-%m-%d %H:%M:%S} UTC; it goes on once its node was looked at"
        session.add(job.move(AGAIN[job.state], now=now, why=why))
    job.lease_until = job.worker = None
    job.due_at, job.deadline = min(job.due_at, now), max(job.deadline, now + job.rules.deadline)
    job.attempts, job.crashes, job.lost_above = 0, 0, lost_above
    session.add(job)


def _leap(session: Session, name: str, by: int, least: int) -> int:
    """The counter's value before it leapt."""
    counter = session.get(Counter, name) or Counter(name=name, value=least)
    before = counter.value
    counter.value = before + by
    session.add(counter)
    return before
