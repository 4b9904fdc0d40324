"""Who did what: every action that changes something is written down in the transaction that does it."""

from datetime import datetime
from typing import Any

from sqlmodel import Session

from models.access import Audit
from producers.request_id import REQUEST

HOUSE = "vzq"  # the house itself; what it does by itself is told by the events of its jobs


def audit(session: Session, *, at: datetime, by: str, action: str, subject: str = "", because: str = "", data: dict[str, Any] | None = None) -> None:
    """Write it down, with the request it came with; `data` must hold no secret."""
    request = REQUEST.get()
    asked = {"request": request} if request else {}
    session.add(Audit(at=at, by=by, action=action, subject=subject, because=because, data=asked | (data or {})))
