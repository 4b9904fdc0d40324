"""Who did what: every action that changes something is written down in the transaction that does it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from models.access import Audit
from producers.request_id import REQUEST

HOUSE = "vzq"  # the house itself; what it does by itself is told by the events of its jobs


def audit(session: Session, *, at: datetime, by: str, action: str, subject: str = "", because: str = "", data: dict[str, Any] | None = None) -> None:
    """Write it down, with the request it came with; `data` must hold no secret."""
    request = REQUEST.get()
    asked = {"request": request} if request else {}
    session.add(Audit(at=at, by=by, action=action, subject=subject, because=because, data=asked | (data or {})))


def entries(
    session: Session, *, by: str = "", action: str = "", subject: str = "", since: datetime | None = None, below: int | None = None, limit: int
) -> Sequence[Audit]:
    """The newest first, those with these values, at most `limit`; `below`: older than the entry of this number."""
    wanted = ((Audit.by, by), (Audit.action, action), (Audit.subject, subject))
    query = select(Audit).where(*(col(column) == value for column, value in wanted if value)).order_by(col(Audit.id).desc()).limit(limit)
    if since is not None:
        query = query.where(col(Audit.at) >= since)
    if below is not None:
        query = query.where(col(Audit.id) < below)
    return session.exec(query).all()
