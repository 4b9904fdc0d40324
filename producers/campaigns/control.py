"""What people do with campaigns, the same for every face: find, count, pause, let go on, speed up or slow down, abort. Audited."""

from collections.abc import Callable, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import func
from sqlmodel import Session, col, select

from models.campaign_states import CampaignCause, CampaignState, NoSuchTurn, Outcome
from models.campaigns import Campaign, CampaignEvent, CampaignKind, Target
from producers.audit import audit
from producers.campaigns.book import Book
from producers.campaigns.flight import lengthen, seen
from producers.campaigns.sorts import SORTS
from producers.refusals import BadOrder, Refusal


def find(session: Session, text: str, *, kind: CampaignKind | None = None, writing: bool = False) -> Campaign:
    """The campaign with this id, or the only one whose id ends so, or the newest of this name; raises BadOrder."""
    ours = (Campaign.kind == kind,) if kind is not None else ()
    if len(text) >= 4 and text.isalnum():
        found = session.exec(select(Campaign).where(col(Campaign.id).endswith(text.upper()), *ours).limit(3)).all()
        if len(found) > 1:
            raise BadOrder({"campaign": f"{text} fits several ({', '.join(one.id for one in found)}); give more of it"})
        if found:
            return _written(session, found[0], writing=writing)
    named = session.exec(select(Campaign).where(Campaign.name == text, *ours).order_by(col(Campaign.id).desc()).limit(1)).first()
    if named is None:
        raise BadOrder({"campaign": f"there is no {kind or 'campaign'} {text!r}; see `vzq {kind or 'campaign'} list`"})
    return _written(session, named, writing=writing)


def counts(session: Session, campaign_ids: Sequence[str]) -> dict[str, dict[Outcome, int]]:
    """How many targets have which outcome; every outcome is named, and together they are the population (index target_outcome)."""
    told = {campaign_id: dict.fromkeys(Outcome, 0) for campaign_id in campaign_ids}
    scope = (col(Target.campaign_id), col(Target.outcome))
    for campaign_id, outcome, count in session.execute(sa.select(*scope, func.count()).where(scope[0].in_(campaign_ids)).group_by(*scope)):
        told[campaign_id][outcome] = count
    return told


def pause(session: Session, campaign: Campaign, *, by: str, because: str, now: datetime) -> CampaignEvent:
    """Nothing more is started, and what has not begun is held; what runs goes to its end."""
    return _move(session, campaign, CampaignCause.PAUSED, "pause", by=by, because=because, now=now, why=f"paused by {by}{_for(because)}")


def resume(session: Session, campaign: Campaign, *, more_failures: int = 0, by: str, because: str, now: datetime) -> CampaignEvent:
    """Let it go on; with `more_failures` on top of its budget, which is never widened otherwise; raises Refusal while that is used up."""
    if more_failures < 0:
        raise BadOrder({"more_failures": "a budget is not narrowed so; abort the campaign"})
    campaign.more_failures += more_failures
    if campaign.state == CampaignState.PAUSED:
        _can_go_on(session, campaign)
    more = f", {more_failures} more failures are allowed" if more_failures else ""
    why = f"resumed by {by}{more}{_for(because)}"
    event = _move(session, campaign, CampaignCause.RESUMED, "resume", by=by, because=because, now=now, why=why, more_failures=more_failures)
    lengthen(session, campaign, now)
    return event


def speed(session: Session, campaign: Campaign, *, at_once: int | None, per_node: int | None, by: str, because: str, now: datetime) -> CampaignEvent:
    """Other limits from now on; what is in flight stays so. None leaves one as it is."""
    if at_once is None and per_node is None:
        raise BadOrder({"at_once": "give at_once or per_node"})
    for field, value in (("at_once", at_once), ("per_node", per_node)):
        if value is not None and not 1 <= value <= 100_000:
            raise BadOrder({field: "must be 1 to 100000; to let nothing start, pause the campaign"})
    campaign.speed, campaign.speed_per_node = at_once or campaign.speed, per_node or campaign.speed_per_node
    words = ", ".join(f"{value} at once {where}" for value, where in ((at_once, "in all"), (per_node, "per node")) if value)
    why = f"{by}: {words}{_for(because)}"
    standing = campaign.why
    event = _move(session, campaign, CampaignCause.RESPED, "speed", by=by, because=because, now=now, why=why, at_once=at_once, per_node=per_node)
    campaign.why = standing
    return event


def abort(session: Session, campaign: Campaign, *, by: str, because: str, now: datetime) -> CampaignEvent:
    """End it: what has not begun is taken back and counts as not started, what runs goes to its end."""
    return _move(session, campaign, CampaignCause.ABORTED, "abort", by=by, because=because, now=now, why=f"aborted by {by}{_for(because)}")


ACTS: dict[str, Callable[..., CampaignEvent]] = {"pause": pause, "resume": resume, "speed": speed, "abort": abort}


def _move(
    session: Session, campaign: Campaign, cause: CampaignCause, verb: str, *, by: str, because: str, now: datetime, why: str, **data: object
) -> CampaignEvent:
    try:
        event = campaign.move(cause, now=now, why=why, by=by, **data)
    except NoSuchTurn:
        raise Refusal(f"{campaign.kind} {campaign.name} ({campaign.id}) is {campaign.state}; it cannot be told to {verb}") from None
    campaign.look_at = now
    session.add_all([campaign, event])
    audit(session, at=now, by=by, action=f"{campaign.kind} {verb}", subject=f"campaign:{campaign.id}", because=because, data=dict(data))
    return event


def _can_go_on(session: Session, campaign: Campaign) -> None:
    """Raises Refusal where its guard would pause or stop it at once."""
    try:
        rules = SORTS[campaign.kind].rules(campaign)
    except ValueError:  # another version wrote it; the campaigner lays it aside and says so
        return
    targets = session.exec(select(Target).where(Target.campaign_id == campaign.id)).all()
    book = Book(rules, [seen(target) for target in targets])
    which = f"{campaign.kind} {campaign.name}"
    if lost := book.lost():
        then = "bring back what was moved away with `vzq node return`, and order the rest anew"
        raise Refusal(f"{which} cannot go on ({lost}); look at that node, abort this, {then}")
    if spent := book.used_up():
        raise Refusal(f"{which}: its failure budget is used up ({spent}); resume it with --more-failures, or abort it")


def _written(session: Session, campaign: Campaign, *, writing: bool) -> Campaign:
    if writing:
        session.refresh(campaign, with_for_update=True)
    return campaign


def _for(because: str) -> str:
    return f": {because}" if because else ""
