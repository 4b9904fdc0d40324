"""Who did what: every action that changes something is written down in the transaction that does it."""

from datetime import datetime
from typing import Any

from sqlmodel import Session

from models.access import Audit

HOUSE = "vzq"  # the house itself; what it does by itself is told by the events of its jobs


def audit(session: Session, *, at: datetime, by: str, action: str, subject: str = "", because: str = "", data: dict[str, Any] | None = None) -> None:
    """Write it down; `data` must hold no secret."""
    session.add(Audit(at=at, by=by, action=action, subject=subject, because=because, data=data or {}))
