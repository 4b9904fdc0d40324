"""Receivers that do not take what they are sent."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import func
from sqlmodel import Session, col

from models.hooks import Delivery

FAILING_AFTER = 3  # attempts: some minutes without an answer
GIVEN_UP_WITHIN = timedelta(days=1)


@dataclass(frozen=True)
class Trouble:
    """So many deliveries of a webhook were tried in vain, and what one of them was answered."""

    deliveries: int
    error: str


def troubles(session: Session, now: datetime) -> dict[str, Trouble]:
    """By webhook: what waits after several attempts, or was given up within a day."""
    late = (col(Delivery.state) == "waiting") & (col(Delivery.attempts) >= FAILING_AFTER)
    lost = (col(Delivery.state) == "given-up") & (col(Delivery.due_at) > now - GIVEN_UP_WITHIN)
    query = sa.select(col(Delivery.webhook), func.count(), func.max(Delivery.error)).where(late | lost).group_by(col(Delivery.webhook))
    return {hook: Trouble(count, error) for hook, count, error in session.execute(query)}
