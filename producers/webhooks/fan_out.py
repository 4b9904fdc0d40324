"""Events become deliveries: one row for each webhook that wants it, numbered per subject, in the order of the events."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import func
from sqlmodel import Session, col, select

from models.hooks import Delivery, Webhook
from models.jobs import Event, Job
from models.lifecycle import FINAL, State

AT_ONCE = 500
TELLING = frozenset(FINAL) | {State.STUCK}  # states that a webhook without a list of its own is told of


def fan_out(session: Session, now: datetime) -> int:
    """Turn what is new for each webhook into deliveries; call it under the webhooks' lock. How many there were."""
    return sum(_for_one(session, hook, now) for hook in session.exec(select(Webhook).where(col(Webhook.active).is_(True))).all())


def _for_one(session: Session, hook: Webhook, now: datetime) -> int:
    query = select(Event, Job).join(Job, col(Job.id) == col(Event.job_id)).where(col(Event.number) > hook.cursor)
    rows = session.exec(query.order_by(col(Event.number)).limit(AT_ONCE)).all()
    if not rows:
        return 0
    wanted = [(event, job) for event, job in rows if _wants(hook, event, job)]
    sequences = _sequences(session, hook, {subject(job) for _, job in wanted})
    known = _known(session, hook, [event.number or 0 for event, _ in wanted])
    for event, job in wanted:
        number, about = event.number or 0, subject(job)
        if number in known:  # a replay: the row is there and only goes again
            continue
        sequences[about] = sequences.get(about, 0) + 1
        session.add(Delivery(webhook=hook.id, event=number, subject=about, sequence=sequences[about], due_at=now))
    hook.cursor = rows[-1][0].number or hook.cursor
    session.add(hook)
    return len(wanted)


def subject(job: Job) -> str:
    """What a job's events are about; its deliveries keep their order."""
    return f"container:{job.ctid}" if job.ctid is not None else f"job:{job.id}"


def _wants(hook: Webhook, event: Event, job: Job) -> bool:
    if event.cause not in hook.events if hook.events else event.state not in TELLING:
        return False
    return hook.customer is None or job.customer == hook.customer


def _sequences(session: Session, hook: Webhook, subjects: set[str]) -> dict[str, int]:
    query = sa.select(col(Delivery.subject), func.max(col(Delivery.sequence))).where(col(Delivery.webhook) == hook.id)
    rows = session.execute(query.where(col(Delivery.subject).in_(subjects)).group_by(col(Delivery.subject))).all()
    return {about: highest for about, highest in rows}  # noqa: C416 - rows are not pairs to a type checker


def _known(session: Session, hook: Webhook, numbers: Sequence[int]) -> set[int]:
    return set(session.exec(select(Delivery.event).where(col(Delivery.webhook) == hook.id, col(Delivery.event).in_(numbers))).all())
