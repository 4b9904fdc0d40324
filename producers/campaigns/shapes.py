"""Campaigns and their targets as JSON has them. Others rely on these names: add to them, never rename."""

from collections.abc import Mapping
from typing import Any

from models.campaign_states import Outcome
from models.campaigns import Campaign, CampaignEvent, Target
from models.clock import stamp
from producers.shapes import move_shape


def campaign_shape(campaign: Campaign, counts: Mapping[Outcome, int]) -> dict[str, Any]:
    """A campaign with how far it is; the counts are always all outcomes and add up to the population."""
    return {
        "id": campaign.id,
        "kind": str(campaign.kind),
        "name": campaign.name,
        "state": str(campaign.state),
        "why": campaign.why,
        "by": campaign.producer,
        "because": campaign.because,
        "key": campaign.key,
        "retry_of": campaign.retry_of,
        "schedule": campaign.schedule,
        "started_at": stamp(campaign.started_at),
        "ended_at": stamp(campaign.ended_at),
        "resumes_at": stamp(campaign.resumes_at),
        "speed": campaign.speed,
        "speed_per_node": campaign.speed_per_node,
        "more_failures": campaign.more_failures,
        "population": sum(counts.values()),
        "counts": {str(outcome): count for outcome, count in counts.items()},
        "spec": campaign.spec,
    }


def target_shape(target: Target) -> dict[str, Any]:
    """One target."""
    return {
        "place": target.place,
        "wave": target.wave,
        "ctid": target.ctid,
        "title": target.title,
        "node": target.node,
        "customer": target.customer,
        "outcome": str(target.outcome),
        "reason": target.reason,
        "job": target.job_id,
        "begun_at": stamp(target.begun_at),
        "ended_at": stamp(target.ended_at),
    }


def campaign_event_shape(event: CampaignEvent) -> dict[str, Any]:
    """One move of a campaign."""
    return move_shape(event, campaign=event.campaign_id)
