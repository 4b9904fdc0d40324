"""Letting things rest and go on again: everything, a site, a node, a kind of order, a producer; audited, the same for every face."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from models.clock import stamp
from models.fleet import Node
from models.jobs import Job
from models.kinds import KINDS
from models.lifecycle import FINAL, State
from models.pauses import Pause, Reach
from producers.audit import audit
from producers.refusals import BadOrder, Refusal


def pauses(session: Session) -> Sequence[Pause]:
    """All that is paused now, the oldest first."""
    return session.exec(select(Pause).order_by(col(Pause.since), col(Pause.reach), col(Pause.name))).all()


def pause(session: Session, reach: Reach, name: str, *, by: str, because: str, now: datetime) -> tuple[Pause, bool]:
    """Let it rest; True when it did not already. A pause that is there keeps its owner and reason. Raises BadOrder."""
    _check(session, reach, name)
    if not because.strip():
        raise BadOrder({"because": "say why: whoever asks what holds a job reads it"})
    known = session.get(Pause, (reach, name), with_for_update=True)
    if known is not None:
        return known, False
    made = Pause(reach=reach, name=name, by=by, because=because, since=now)
    session.add(made)
    audit(session, at=now, by=by, action="pause", subject=subject(made), because=because)
    return made, True


def resume(session: Session, reach: Reach, name: str, *, by: str, because: str, now: datetime) -> Pause:
    """Let it go on; jobs that rested have their whole time again. Raises Refusal when it does not rest."""
    known = session.get(Pause, (reach, name), with_for_update=True)
    if known is None:
        raise Refusal(f"{f'{reach} {name}'.strip()} is not paused; see `vzq pause --list`")
    is_open = col(Job.state).in_(sorted(set(State) - FINAL))
    for kind, rules in KINDS.items():
        whole = now + rules.deadline
        held = (col(Job.kind) == kind, is_open, col(Job.deadline) < whole, known.held)
        session.execute(update(Job).where(*held).values(deadline=whole), execution_options={"synchronize_session": False})
    session.delete(known)
    data = {"paused_by": known.by, "since": stamp(known.since), "paused_because": known.because}
    audit(session, at=now, by=by, action="resume", subject=subject(known), because=because, data=data)
    return known


def pause_shape(pause: Pause) -> dict[str, Any]:
    """A pause as JSON has it."""
    return {"reach": pause.reach, "name": pause.name, "by": pause.by, "because": pause.because, "since": stamp(pause.since)}


def subject(pause: Pause) -> str:
    """How the audit names it."""
    return f"{pause.reach}:{pause.name}" if pause.name else str(pause.reach)


def _check(session: Session, reach: Reach, name: str) -> None:
    if reach is Reach.KIND and name not in KINDS:
        raise BadOrder({"kind": f"there is no kind {name!r}; known: {', '.join(KINDS)}"})
    if reach is Reach.NODE and session.get(Node, name) is None:
        raise BadOrder({"node": f"there is no node {name!r}; see `vzq node list`"})
    if (reach is Reach.EVERYTHING) is bool(name):
        raise BadOrder({"name": "everything has no name" if name else f"which {reach}?"})
