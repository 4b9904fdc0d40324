"""How long updates take, by those that were done: what a predicted end is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlmodel import Session, col, select

from models.campaign_states import GOOD
from models.campaigns import Campaign, CampaignKind, Target

UNKNOWN = timedelta(minutes=5)  # how long a target takes when nothing like it was ever done
CAMPAIGNS, TARGETS = 50, 200  # the newest that are looked at
MANY = 1000  # a population beyond which all take the usual length: to play them apart would take many seconds
SPREAD = 0.6180339887498949  # its multiples fall evenly between 0 and 1, whatever part of them is looked at


@dataclass(frozen=True)
class Lengths:
    """Lengths that targets took; never empty."""

    sorted: tuple[timedelta, ...]
    of: str = ""  # what took so long, in words; empty: nothing like it was done, this is a guess

    @property
    def usual(self) -> timedelta:
        """The one in the middle."""
        return self.sorted[len(self.sorted) // 2]

    @property
    def slow(self) -> timedelta:
        """One in ten takes longer."""
        return self.sorted[len(self.sorted) * 9 // 10]

    def each(self, population: int, place: int) -> timedelta:
        """What the target at this place is thought to take: among many there are as many slow ones as there were, and a wave waits for them."""
        return self.usual if population > MANY else self.sorted[int(place * SPREAD % 1 * len(self.sorted))]


GUESS = Lengths((UNKNOWN,))
WORDS = {"packages": "other upgrades of packages", "script": "other scripts"}


def lengths(session: Session, action: Mapping[str, Any]) -> Lengths:
    """Of the last runs of the same action, else of the same sort of action; the action as it is stored."""
    query = select(Campaign.id, Campaign.spec).where(Campaign.kind == CampaignKind.ROLLOUT).order_by(col(Campaign.id).desc()).limit(CAMPAIGNS)
    before = [(campaign_id, spec.get("action", {})) for campaign_id, spec in session.exec(query).all()]
    same = [campaign_id for campaign_id, done in before if done == action]
    alike = [campaign_id for campaign_id, done in before if done.get("do") == action.get("do")]
    for campaigns, of in ((same, "the same update"), (alike, WORDS.get(str(action.get("do")), ""))):
        found = took(_done(session, campaigns), of)
        if found is not None:
            return found
    return GUESS


def took(targets: Sequence[Target], of: str) -> Lengths | None:
    """What these targets took from order to end; None where none has ended well."""
    ended = [one.ended_at - one.begun_at for one in targets if one.ended_at and one.begun_at and one.outcome in GOOD]
    return Lengths(tuple(sorted(ended)), of) if ended else None


def _done(session: Session, campaigns: Sequence[str]) -> Sequence[Target]:
    query = select(Target).where(col(Target.campaign_id).in_(campaigns), col(Target.outcome).in_(GOOD))  # index target_outcome
    return session.exec(query.order_by(col(Target.id).desc()).limit(TARGETS)).all() if campaigns else ()
