"""How far what was foretold of a relocation lay from what became of it: of the last one of each kind that went to its end."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from sqlmodel import Session, col, select

from models.campaign_states import CampaignState
from models.campaigns import Campaign, CampaignKind, Target
from models.outages import Outage
from producers.relocations.history import KIND, gaps_of_jobs

KINDS = (CampaignKind.EVACUATION, CampaignKind.RETURN, CampaignKind.REBALANCE, CampaignKind.REBOOT)


@dataclass(frozen=True)
class ForecastError:
    """None where nothing was foretold, or nothing measured."""

    kind: CampaignKind
    ratio: float | None  # actual length / foretold length - 1
    gap_s: float | None  # median over its containers of measured less foretold interruption


def forecast_errors(session: Session) -> Iterator[ForecastError]:
    """One a kind that has ended so; those that were stopped or aborted tell nothing of the forecast."""
    for kind in KINDS:
        ended = select(Campaign).where(Campaign.kind == kind, Campaign.state == CampaignState.DONE)
        campaign = session.exec(ended.order_by(col(Campaign.id).desc()).limit(1)).first()
        if campaign is None:
            continue
        targets = session.exec(select(Target).where(Target.campaign_id == campaign.id, col(Target.ctid).is_not(None))).all()
        jobs = [target.job_id for target in targets if target.job_id is not None]
        outages = session.exec(select(Outage).where(col(Outage.job_id).in_(jobs), Outage.cause == KIND)).all()
        yield ForecastError(kind, _ratio(campaign), _gap_error_s(campaign.foretold.get("gaps_s") or {}, targets, gaps_of_jobs(outages)))


def _ratio(campaign: Campaign) -> float | None:
    foretold = campaign.foretold.get("seconds")
    if not foretold or campaign.ended_at is None:
        return None
    return float((campaign.ended_at - campaign.started_at).total_seconds() / foretold - 1)


def _gap_error_s(foretold: Mapping[str, float], targets: Sequence[Target], gaps_s: Mapping[str, float]) -> float | None:
    """Only containers of which every move was measured: their moves were foretold together."""
    moves: dict[int, list[str | None]] = {}
    for target in targets:
        moves.setdefault(target.ctid or 0, []).append(target.job_id)
    errors = [
        sum(gaps_s[job or ""] for job in jobs) - foretold[str(ctid)]
        for ctid, jobs in moves.items()
        if str(ctid) in foretold and all(job in gaps_s for job in jobs)
    ]
    return median(errors) if errors else None
