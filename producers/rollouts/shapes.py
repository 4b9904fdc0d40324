"""Roll-outs that are planned and scheduled as JSON has them. Others rely on these names: add to them, never rename."""

from datetime import datetime
from itertools import islice
from typing import Any

from models.clock import stamp
from models.schedules import Schedule
from producers.campaigns.schedules import times
from producers.campaigns.shapes import target_shape
from producers.rollouts.start import Sheet


def sheet_shape(sheet: Sheet) -> dict[str, Any]:
    """What a roll-out would be."""
    return {
        "name": sheet.spec.name,
        "population": len(sheet.targets),
        "waves": [sum(target.wave == wave for target in sheet.targets) for wave in range(1 + max(target.wave for target in sheet.targets))],
        "at_once": {"all": sheet.spec.at_once.all, "per_node": sheet.spec.at_once.per_node},
        "stops": [{"failures": stop.failures, "of": stop.of, "canaries": stop.canaries} for stop in sheet.stops],
        "counts_as_failed": sorted(sheet.spec.budget.counts),
        "then": sheet.spec.budget.then,
        "each_s": sheet.each.total_seconds(),
        "slow_s": sheet.slow.total_seconds(),
        "lengths_of": sheet.lengths_of,
        "guessed": not sheet.lengths_of,
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
