"""What a kind of campaign must say of itself, so that the same guard can run it.

A new kind needs its specification (stored as JSON in the campaign), targets with places and waves, a class that keeps
the promise of `Sort`, and its line in producers/campaigns/sorts.py. Everything else, from the failure budget to
pause, resume and abort, is there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlmodel import Session

from models.campaign_states import Outcome
from models.campaigns import Campaign, Target
from models.jobs import Job
from models.orders import Order
from producers.campaigns.rules import Rules


@dataclass(frozen=True)
class Unready:
    """Why a target cannot be started now, and whether it is left out for that or waited for."""

    why: str
    skip: bool
    counts_as: Outcome = Outcome.SKIPPED  # where it is left out


class Sort(Protocol):
    """One kind of campaign. Raises ValueError where a stored specification cannot be read any more."""

    refused: Outcome  # what a target counts as whose order the intake refuses

    def rules(self, campaign: Campaign) -> Rules:
        """What the decision goes by."""
        ...

    def patience(self, campaign: Campaign) -> timedelta:
        """How long a target in flight may wait for a node that does not answer."""
        ...

    def unready(self, session: Session, campaign: Campaign) -> Mapping[int, Unready]:
        """By place: the targets that are not started and cannot be now."""
        ...

    def order(self, campaign: Campaign, target: Target) -> Order:
        """What is ordered for a target."""
        ...

    def ordered(self, target: Target) -> str:
        """The kind of order that a target is placed as."""
        ...

    def begins(self, session: Session, campaign: Campaign, members: Sequence[Target], *, now: datetime) -> None:
        """A wave begins: what must be so before its first order is placed. Safe to repeat."""
        ...

    def outcome(self, job: Job) -> tuple[Outcome, str]:
        """What an ended (or stuck) job means for its target, with the reason where it is not good."""
        ...
