"""Takes a step of each campaign that has something to decide: one transaction a step, all that it knows is in the rows.

Several services may run it: a step is taken under the campaign's own lock. Killed at any instruction, the next one
finds the targets as they were before the step or after it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog
from sqlalchemy import exists, or_
from sqlmodel import Session, col, select

from models.campaign_states import OVER, CampaignCause, CampaignState, Outcome
from models.campaigns import Campaign, CampaignKind, Target
from models.database import Database
from models.jobs import Job
from producers.campaigns.flight import ENDED
from producers.campaigns.sort import Sort
from producers.campaigns.sorts import SORTS
from producers.campaigns.step import LOOK_SELDOM, Step
from producers.intake import Intake

log = structlog.get_logger(__name__)
OPEN = [state for state in CampaignState if state not in OVER]


class Campaigner:
    """Goes round as often as it is told."""

    def __init__(self, database: Database, intake: Intake, sorts: Mapping[CampaignKind, Sort] = SORTS) -> None:
        self._database = database
        self._intake = intake
        self._sorts = sorts

    def run_once(self) -> int:
        """How many orders were placed."""
        with self._database.read() as session:
            due = _due(session, self._database.now(session))
        return sum(self._step(campaign_id) for campaign_id in due)

    def _step(self, campaign_id: str) -> int:
        with self._database.write() as session:
            self._database.lock(session, f"campaign:{campaign_id}")
            campaign = session.get(Campaign, campaign_id, with_for_update=True)
            if campaign is None or campaign.over:
                return 0
            session.add(campaign)
            now = self._database.now(session)
            try:
                return Step(self._database, self._intake, session, campaign, self._sorts[campaign.kind], now).take()
            except (ValueError, KeyError) as error:
                log.error("campaign_unreadable", campaign=campaign.id, error=str(error)[:300])  # noqa: TRY400 - a known fault
                _lay_aside(session, campaign, now)
                return 0


def _lay_aside(session: Session, campaign: Campaign, now: datetime) -> None:
    """Another version wrote it: it must not keep the others from going on."""
    campaign.look_at = now + LOOK_SELDOM
    if campaign.state in (CampaignState.RUNNING, CampaignState.WAITING):
        why = "this version of vzq cannot read its specification; abort it, or bring all services up to date and resume it"
        session.add(campaign.move(CampaignCause.GUARD_PAUSED, now=now, why=why))


def _due(session: Session, now: datetime) -> Sequence[str]:
    """Campaigns whose moment has come, or of which a job has ended (indexes campaign_due, target_outcome)."""
    ended = exists().where(
        col(Target.campaign_id) == col(Campaign.id),
        col(Target.outcome) == Outcome.IN_FLIGHT,
        col(Job.id) == col(Target.job_id),
        col(Job.state).in_(ENDED),
    )
    query = select(Campaign.id).where(col(Campaign.state).in_(OPEN), or_(col(Campaign.look_at) <= now, ended))
    return session.exec(query.order_by(col(Campaign.id))).all()
