"""A roll-out begins: its population is chosen and written down. And once more, for exactly those that an ended one has left."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from models.campaign_states import BAD, Outcome
from models.campaigns import Campaign, CampaignKind, Target
from models.database import Database
from models.jobs import Job
from models.lifecycle import LEASED, State
from models.rollouts import RolloutSpec, Selector, Waves
from producers.campaigns.begin import Asked, Begun, begin, known
from producers.campaigns.rule_sheet import Forecast, Stop, forecast, stops
from producers.campaigns.rules import Seen
from producers.campaigns.sorts import SORTS
from producers.intake import Intake
from producers.refusals import Refusal
from producers.rollouts.compiled import population, rules_of, spec_of, stored
from producers.rollouts.history import GUESS, lengths, took
from producers.rollouts.sort import RolloutSort

LEFT = BAD | {Outcome.NOT_STARTED}  # what a retry takes up
LATE = 10  # a target in flight that takes longer than was thought is thought to need a tenth of the usual length yet


@dataclass(frozen=True)
class Sheet:
    """What a roll-out would be, told before it starts."""

    spec: RolloutSpec
    targets: list[Target]
    stops: list[Stop]
    forecast: Forecast
    each: timedelta  # how long a target is thought to take
    slow: timedelta  # one in ten takes longer
    lengths_of: str  # what took so long before; empty: nothing like it was ever done, this is a guess
    unready: dict[int, str]  # by place: who would be skipped or waited for as things stand, and why
    warnings: list[str]


def plan(database: Database, session: Session, spec: RolloutSpec) -> Sheet:
    """Its population, rules and predicted end; nothing is written. Raises BadOrder when nothing is selected."""
    targets = population(session, spec)
    now, rules = database.now(session), rules_of(spec)
    seen = [Seen(one.place, one.wave, one.outcome, one.node, one.customer, one.labels) for one in targets]
    past, many = lengths(session, stored(spec)["action"]), len(targets)
    unready = RolloutSort.unready_of(session, spec, {one.place: one.ctid or 0 for one in targets})
    told = {place: f"{'skipped' if one.skip else 'waited for'}: {one.why}" for place, one in unready.items()}
    end = forecast(rules, seen, now, ends=lambda place, at: at + past.each(many, place))
    return Sheet(spec, targets, stops(rules, seen, now), end, past.usual, past.slow, past.of, told, _warnings(spec))


def start(
    database: Database, intake: Intake, session: Session, spec: RolloutSpec, *, by: str, because: str = "", key: str = "", schedule: str | None = None
) -> Begun:
    """Begin it within the caller's transaction; raises BadOrder or KeyReused, and then nothing was written."""
    asked = Asked(CampaignKind.ROLLOUT, spec.name, stored(spec), by, because, key, spec.version, schedule=schedule)
    return known(database, session, asked) or begin(database, intake, session, asked, population(session, spec))


def left_over(session: Session, campaign: Campaign) -> list[Target]:
    """Exactly the targets that failed and those that were not started, in their places; raises Refusal while it has not ended.

    An unreachable target's job may still be open, and come to a good end: to retry it then could mean to update it twice. That is refused too.
    """
    if not campaign.over:
        raise Refusal(f"roll-out {campaign.name} ({campaign.id}) is {campaign.state}; abort it or wait for its end, then retry what is left")
    query = select(Target).where(Target.campaign_id == campaign.id, col(Target.outcome).in_(LEFT)).order_by(col(Target.place))
    left = list(session.exec(query).all())
    if not left:
        raise Refusal(f"roll-out {campaign.name} ({campaign.id}) has left nothing to retry: no target failed and all were started")
    under_way = col(Job.state).in_([State.QUEUED, *sorted(LEASED)])
    still = session.exec(select(Job).where(col(Job.id).in_([target.job_id for target in left if target.job_id]), under_way).order_by(Job.id)).first()
    if still is not None:
        raise Refusal(
            f"job {still.id} of container {still.ctid}, which counts as unreachable, is still {still.state}: it would be updated twice;"
            f" wait for its end (`vzq job why {still.id[-8:]}`) or cancel it, then retry what is left"
        )
    return left


def retry(database: Database, intake: Intake, session: Session, campaign: Campaign, *, by: str, because: str = "") -> Begun:
    """A new roll-out of what an ended one has left, under the same rules; it names the old one. Safe to repeat."""
    left = left_over(session, campaign)
    spec = narrowed(spec_of(campaign), left)
    asked = Asked(CampaignKind.ROLLOUT, spec.name, stored(spec), by, because or f"retry of {campaign.id}", f"retry:{campaign.id}", spec.version)
    asked = replace(asked, retry_of=campaign.id)
    before = known(database, session, asked)
    if before is not None:
        return before
    waves = sorted({target.wave for target in left})
    same = ("ctid", "title", "node", "customer", "labels")
    again = [
        Target(campaign_id="", place=place, wave=waves.index(old.wave), **{field: getattr(old, field) for field in same})
        for place, old in enumerate(left)
    ]
    return begin(database, intake, session, asked, again)


def narrowed(spec: RolloutSpec, left: list[Target]) -> RolloutSpec:
    """The same specification for these targets alone; canaries stay canaries."""
    canaries = tuple(target.ctid for target in left if target.wave == 0 and target.ctid is not None) if spec.waves.canaries else ()
    waves = Waves(**dict(spec.waves) | {"canaries": canaries})
    selector = Selector(ids=tuple(target.ctid for target in left if target.ctid is not None))
    return spec.model_copy(update={"selector": selector, "waves": waves})


def remaining(session: Session, campaign: Campaign, targets: Sequence[Target], now: datetime) -> Forecast:
    """When it will end, if no more fail; from how long its own targets took, or those of earlier ones. No end while that is not known."""
    if campaign.over:
        return Forecast(None, 0, f"it is {campaign.state}")
    past = took(targets, "its own targets")
    if past is None:
        past = lengths(session, campaign.spec.get("action", {})) if campaign.kind is CampaignKind.ROLLOUT else GUESS
    if not past.of:
        return Forecast(None, 0, "nothing like it was done before")
    many, late = len(targets), now + past.usual / LATE
    up = [one for one in targets if one.outcome is Outcome.IN_FLIGHT]
    flying = {one.place: max(one.begun_at + past.each(many, one.place), late) if one.begun_at else late for one in up}
    seen = [Seen(one.place, one.wave, one.outcome, one.node, one.customer, one.labels, one.ended_at) for one in targets]
    return forecast(SORTS[campaign.kind].rules(campaign), seen, now, ends=lambda place, at: at + past.each(many, place), flying=flying)


def _warnings(spec: RolloutSpec) -> list[str]:
    """What whoever starts it must know beforehand."""
    told = []
    if spec.revert:
        told.append("revert: after a failure a container goes back to its snapshot, and what its customers wrote since is lost")
    if spec.snapshot:
        told.append("snapshot: only where the layout is ploop; containers of another layout are skipped")
    if spec.reboot != "never":
        told.append(f"reboot {spec.reboot}: containers are down while they restart; how long is measured")
    if len(spec.windows) and spec.last_start == "0s":
        told.append("windows: a target that is started just before a window closes runs on after it; last_start keeps a distance")
    return told
