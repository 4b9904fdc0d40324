"""What a person may decide about a stuck job, told before it is done: what the node shows, what each choice leads to, rehearsed in full."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Never

from sqlmodel import Session, col, select

from models.clock import stamp
from models.database import Database
from models.fleet import Container
from models.jobs import Begun, Event, Job
from models.lifecycle import State
from models.orders import LookAtContainer
from producers.intake import Accepted, Intake
from producers.jobs import CHOICES, Choice, resolve
from producers.refusals import Refusal

LOOK = "look-at-container"


@dataclass(frozen=True)
class Offer:
    """One choice: where it leads, what follows, or why it cannot be had."""

    choice: Choice
    to: State | None  # None: refused
    does: str


def order_look(intake: Intake, session: Session, job: Job, *, by: str, because: str = "") -> Accepted:
    """Have a worker look at what the job left on its node. Raises Refusal when there is nothing to look at."""
    if job.node is None or job.ctid is None:
        raise Refusal(f"job {job.id} has no container on a node; there is nothing to look at")
    order = LookAtContainer(node=job.node, ctid=job.ctid, site=job.site)
    return intake.submit(session, order, by=by, because=because or f"to decide about job {job.id}")


def last_look(session: Session, job: Job) -> Job | None:
    """The newest look at its container that came after the job got stuck."""
    looks = select(Job).where(Job.kind == LOOK, Job.node == job.node, Job.state == State.DONE, col(Job.id) > job.id).order_by(col(Job.id).desc())
    since = _stuck_since(session, job)
    for look in session.exec(looks.limit(50)):
        if look.order.get("ctid") == job.ctid:
            return look if since is None or look.accepted_at >= since else None
    return None


def offers(database: Database, session: Session, job: Job) -> list[Offer]:
    """All choices, each rehearsed; nothing is written."""
    seen = last_look(session, job)
    return [rehearse(database, job.id, choice, seen=seen.result if seen is not None else None) for choice in CHOICES]


def rehearse(database: Database, job_id: str, choice: Choice, *, seen: Mapping[str, Any] | None) -> Offer:
    """What `resolve` would do: it is done, read, and taken back."""
    told: list[Offer] = []
    try:
        with suppress(_Nothing), database.write() as session:
            job = session.get_one(Job, job_id)
            begun = job.begun
            event = resolve(session, job, choice, by="rehearsal", because="", now=database.now(session))
            session.flush()
            told.append(Offer(choice, event.state, _follows(session, job, choice, begun=begun, seen=seen)))
            _go_back()
    except Refusal as refusal:
        return Offer(choice, None, str(refusal))
    return told[0]


def advice(job: Job, seen: Mapping[str, Any] | None) -> str:
    """What the node shows, and which choice fits it."""
    if seen is None:
        return f"nobody has looked since it got stuck; `vzq job resolve {job.id[-8:]}` has a worker look"
    ours = seen["mark"] in (job.id, None) or not job.rules.placed
    if seen["nothing"]:
        return "nothing of the container is there: go-on begins anew, put-back and give-up leave nothing behind"
    if not ours:
        return f"what is there carries the mark of {seen['mark']}, not of this job: give-up leaves it alone"
    if seen["locked_by"]:
        return f"it is locked by {seen['locked_by']}: wait for that, then look again"
    return _by_its_copy(job, seen)


def _by_its_copy(job: Job, seen: Mapping[str, Any]) -> str:
    if not seen["whole"]:
        return "the container is half made: go-on clears that and makes it anew, put-back removes it"
    state = "runs" if seen["running"] else "does not run"
    if job.to_node is None:
        return f"the container is whole and {state}: go-on does what is missing, accept if it is as ordered"
    return (
        f"the copy on {job.node} is whole and {state}; look at {job.to_node} too. Where neither runs, start the newer one by hand,"
        f" then go-on puts the rest right; accept counts it as moved to {job.to_node} and touches nothing"
    )


def _follows(session: Session, job: Job, choice: Choice, *, begun: bool, seen: Mapping[str, Any] | None) -> str:
    """After the choice was rehearsed within `session`."""
    row = session.get(Container, job.ctid) if job.ctid is not None else None
    match choice:
        case "go-on":
            return f"it goes on at step {job.step or 'the first'} on {job.node or 'a node with room'}; each step looks first, does what is missing"
        case "put-back":
            begins = session.exec(select(Begun.step).where(Begun.job_id == job.id, Begun.direction == "do").order_by(col(Begun.id))).all()
            what = ", ".join(dict.fromkeys(reversed(begins)))
            return (
                f"undoes what it began ({what}), as far as the node proves that it was this job; then failed"
                if begins
                else "nothing was begun; failed"
            )
        case "accept":
            there = "" if row is None else f"; container {row.ctid} is {row.state} and stands as {row.standing}"
            doubt = " - but the node showed nothing of it" if seen is not None and seen["nothing"] else ""
            return f"counts as done, nothing is done on the node{there}{doubt}"
        case "give-up":
            barred = job.rules.placed and begun
            return "nothing is done on the node; " + (f"id {job.ctid} is never given out again" if barred else "what was kept for it is free again")


def offer_shape(offer: Offer) -> dict[str, Any]:
    """An offer as JSON has it."""
    return {"choice": offer.choice, "to": offer.to, "does": offer.does}


def sight_shape(look: Job | None) -> dict[str, Any] | None:
    """What was seen, and when."""
    return None if look is None else {"job": look.id, "at": stamp(look.ended_at), **look.result}


def _stuck_since(session: Session, job: Job) -> datetime | None:
    return session.exec(select(Event.at).where(Event.job_id == job.id, Event.state == State.STUCK).order_by(col(Event.id).desc()).limit(1)).first()


class _Nothing(Exception):
    """Rolls a rehearsal back."""


def _go_back() -> Never:
    raise _Nothing
