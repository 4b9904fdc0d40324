"""Unexpected answers by signature: list them, see what they are about and which jobs wait because of them, settle them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from models.clock import stamp
from models.jobs import Event, Job
from models.lifecycle import Cause, State
from models.signatures import Signature
from producers.audit import audit
from producers.refusals import BadOrder

MOST = 500  # that are listed
STUCK_AT_MOST = 500


@dataclass(frozen=True)
class Told:
    """A signature with the jobs that are stuck because of it."""

    signature: Signature
    stuck: Sequence[str]


def signatures(session: Session, *, settled: bool = False, limit: int = MOST) -> Sequence[Signature]:
    """The open ones, last met first; with `settled` the others as well."""
    query = select(Signature).order_by(col(Signature.last_seen).desc(), col(Signature.id).desc()).limit(limit)
    return session.exec(query if settled else query.where(col(Signature.settled_at).is_(None))).all()


def find(session: Session, number: int, *, writing: bool = False) -> Signature:
    """The signature with this number; raises BadOrder."""
    found = session.get(Signature, number, with_for_update=writing)
    if found is None:
        raise BadOrder({"ID": f"there is no signature {number}; see `vzq signature list`"})
    return found


def told(session: Session, number: int) -> Told:
    """What is known of it, and who waits for it."""
    signature = find(session, number)
    query = select(Event).join(Job, col(Job.id) == col(Event.job_id)).where(Job.state == State.STUCK, Event.cause == Cause.UNEXPECTED)
    events = session.exec(query.order_by(col(Event.id).desc()).limit(STUCK_AT_MOST)).all()
    last: dict[str, str] = {}
    for event in events:
        last.setdefault(event.job_id, str(event.data.get("signature", "")))
    return Told(signature, sorted(job for job, text in last.items() if text[: len(signature.text)] == signature.text))


def settle(session: Session, number: int, *, by: str, because: str, now: datetime) -> Signature:
    """Somebody knows what it is: the note stays with it, the alert ends until it is met again. Raises BadOrder."""
    if not because.strip():
        raise BadOrder({"because": "say what it was and what to do next time: whoever meets it again reads it"})
    signature = find(session, number, writing=True)
    signature.note, signature.settled_at, signature.settled_by = because, now, by
    session.add(signature)
    audit(session, at=now, by=by, action="signature settle", subject=f"signature:{number}", because=because, data={"text": signature.text})
    return signature


def signature_shape(signature: Signature) -> dict[str, Any]:
    """A signature as JSON has it."""
    return {
        "id": signature.id,
        "text": signature.text,
        "count": signature.count,
        "first_seen": stamp(signature.first_seen),
        "last_seen": stamp(signature.last_seen),
        "examples": signature.examples,
        "note": signature.note,
        "settled_at": stamp(signature.settled_at),
        "settled_by": signature.settled_by,
    }


def told_shape(told: Told) -> dict[str, Any]:
    """The same, with the jobs that are stuck because of it."""
    return signature_shape(told.signature) | {"stuck": list(told.stuck)}
