"""Campaigns that ended long ago go, with their targets and their story; their keys stay, as those of orders do."""

from collections import Counter as Tally
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, select
from sqlmodel import Session, col

from models.campaign_states import OVER, CampaignState
from models.campaigns import Campaign, CampaignEvent, Target
from models.jobs import SpentKey
from models.lifecycle import State

BATCH = 5  # in one transaction: each may have thousands of targets
ENDS = {CampaignState.DONE: State.DONE, CampaignState.STOPPED: State.FAILED, CampaignState.ABORTED: State.CANCELLED}


def old(before: datetime) -> Select[Any]:
    """The ids of those that ended before this moment."""
    return select(col(Campaign.id)).where(col(Campaign.state).in_(sorted(OVER)), col(Campaign.ended_at) < before).order_by(col(Campaign.id))


def forget(session: Session, ids: Sequence[str]) -> Tally[str]:
    """Take them away; how many rows went, by table."""
    for campaign in session.execute(select(Campaign).where(col(Campaign.id).in_(ids))).scalars().all():
        if campaign.key != campaign.id and campaign.ended_at is not None:
            session.add(_spent(campaign, campaign.ended_at))
    session.flush()
    session.expunge_all()
    gone: Tally[str] = Tally()
    for table, which in ((CampaignEvent, CampaignEvent.campaign_id), (Target, Target.campaign_id), (Campaign, Campaign.id)):
        gone[str(table.__tablename__)] += session.execute(delete(table).where(col(which).in_(ids))).rowcount  # type: ignore[attr-defined]
    return gone


def spent_key(key: str) -> str:
    """Under which it is kept: jobs and campaigns may have been asked for under the same."""
    return f"campaign-key:{key}"


def _spent(campaign: Campaign, ended_at: datetime) -> SpentKey:
    return SpentKey(
        key=spent_key(campaign.key), digest=campaign.digest, job_id=campaign.id, kind=campaign.kind, state=ENDS[campaign.state],
        ended_at=ended_at,
    )  # fmt: skip
