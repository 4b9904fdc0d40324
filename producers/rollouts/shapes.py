"""Campaigns, their targets and schedules as JSON has them. Others rely on these names: add to them, never rename."""

from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from models.campaign_states import Outcome
from models.campaigns import Campaign, CampaignEvent, Target
from models.clock import stamp
from models.schedules import Schedule
from producers.campaigns.schedules import times
from producers.rollouts.start import Sheet


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
    return {
        "id": event.id,
        "number": event.number,
        "campaign": event.campaign_id,
        "at": stamp(event.at),
        "cause": str(event.cause),
        "state": str(event.state),
        "why": event.why,
        "data": event.data,
    }


def sheet_shape(sheet: Sheet) -> dict[str, Any]:
    """What a roll-out would be."""
    return {
        "name": sheet.spec.name,
        "population": len(sheet.targets),
        "waves": [sum(target.wave == wave for target in sheet.targets) for wave in range(1 + max(target.wave for target in sheet.targets))],
        "stops": [{"failures": stop.failures, "of": stop.of, "canaries": stop.canaries} for stop in sheet.stops],
        "counts_as_failed": sorted(sheet.spec.budget.counts),
        "then": sheet.spec.budget.then,
        "each_s": sheet.each.total_seconds(),
        "guessed": sheet.guessed,
        "ends_at": stamp(sheet.forecast.ends_at),
        "would_not_end": sheet.forecast.why,
        "warnings": sheet.warnings,
        "targets": [target_shape(target) | {"reason": sheet.unready.get(target.place, "")} for target in sheet.targets],
    }


def schedule_shape(schedule: Schedule, now: datetime, *, runs: int = 5) -> dict[str, Any]:
    """A schedule with its next times."""
    return {
        "name": schedule.name,
        "kind": str(schedule.kind),
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "windows": schedule.windows,
        "overlap": schedule.overlap,
        "missed": schedule.missed,
        "paused": schedule.paused,
        "by": schedule.created_by,
        "because": schedule.because,
        "created_at": stamp(schedule.created_at),
        "next_runs": [] if schedule.paused else [stamp(at) for at in islice(times(schedule, now), runs)],
        "queued_for": stamp(schedule.queued_for),
        "last_at": stamp(schedule.last_at),
        "last_campaign": schedule.last_campaign,
        "last_result": schedule.last_result,
        "spec": schedule.spec,
    }
