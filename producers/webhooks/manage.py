"""Webhooks as their owners handle them: made, turned, tried, replayed, redelivered, removed; each with its audit entry.

Command line and API call these, each within a writing transaction of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, update
from sqlmodel import Session, col, select

from models.hooks import Delivery, Webhook
from models.house import Counter
from models.lifecycle import Cause
from models.vault import Vault
from producers.audit import audit
from producers.refusals import BadOrder
from producers.webhooks.aim import BadAimError, Network, aim
from producers.webhooks.signing import new_secret

SECRETS_AT_ONCE = 2  # the new one and the one before it
PING = "ping"  # subject of deliveries that tell of no event; their numbers are below zero


@dataclass(frozen=True)
class Wish:
    """What the owner of a webhook asked for."""

    url: str
    events: Sequence[str] = ()  # causes; empty: all that end or stop a job
    customer: str | None = None


@dataclass(frozen=True)
class Asked:
    """Who does it, when and why."""

    by: str
    now: datetime
    because: str = ""

    def note(self, session: Session, action: str, hook: Webhook, **data: object) -> None:
        """The audit entry."""
        audit(session, at=self.now, by=self.by, action=f"webhook {action}", subject=hook.id, because=self.because, data=data)


def make(session: Session, vault: Vault, wish: Wish, asked: Asked, *, hook_id: str, networks: Sequence[Network]) -> tuple[Webhook, str]:
    """A webhook that is told of everything from now on, and its secret, shown this once; raises BadOrder."""
    known = [cause.value for cause in Cause]
    unknown = sorted(set(wish.events) - set(known))
    if unknown:
        raise BadOrder({"events": f"no such events: {', '.join(unknown)}; known: {', '.join(known)}"})
    try:
        aim(wish.url, networks)
    except BadAimError as error:
        raise BadOrder({"url": str(error)}) from error
    secret = new_secret()
    counter = session.get(Counter, "event")
    hook = Webhook(id=hook_id, url=wish.url, events=list(wish.events), customer=wish.customer, created_at=asked.now, created_by=asked.by)
    hook.sealed, hook.cursor = [vault.seal(secret)], counter.value if counter else 0
    session.add(hook)
    asked.note(session, "create", hook, url=hook.url)
    return hook, secret


def find(session: Session, hook_id: str) -> Webhook:
    """The webhook; raises LookupError."""
    hook = session.get(Webhook, hook_id.upper())
    if hook is None:
        raise LookupError(f"there is no webhook {hook_id}")
    return hook


def turn_secret(session: Session, vault: Vault, hook: Webhook, asked: Asked) -> str:
    """A new secret; the one before it signs too until the next turn, so that receivers can change over without loss."""
    secret = new_secret()
    hook.sealed = [vault.seal(secret), *hook.sealed][:SECRETS_AT_ONCE]
    session.add(hook)
    asked.note(session, "rotate", hook)
    return secret


def ping(session: Session, hook: Webhook, asked: Asked) -> Delivery:
    """A delivery that tells of no event, to try receiver and signature; it is sent once and not tried again."""
    lowest = session.exec(select(func.min(Delivery.event)).where(Delivery.webhook == hook.id)).one() or 0
    sent = session.exec(select(func.max(Delivery.sequence)).where(Delivery.webhook == hook.id, Delivery.subject == PING)).one() or 0
    delivery = Delivery(webhook=hook.id, event=min(lowest, 0) - 1, subject=PING, sequence=sent + 1, due_at=asked.now)
    session.add(delivery)
    session.flush()
    asked.note(session, "ping", hook, delivery=delivery.id)
    return delivery


def deliveries(session: Session, hook: Webhook, *, before: int | None = None, limit: int) -> Sequence[Delivery]:
    """What became of each delivery, newest first."""
    query = select(Delivery).where(Delivery.webhook == hook.id)
    if before is not None:
        query = query.where(col(Delivery.id) < before)
    return session.exec(query.order_by(col(Delivery.id).desc()).limit(limit)).all()


def redeliver(session: Session, hook: Webhook, delivery_id: int, asked: Asked) -> Delivery:
    """Send it again at once, whatever became of it; raises LookupError."""
    delivery = session.get(Delivery, delivery_id)
    if delivery is None or delivery.webhook != hook.id:
        raise LookupError(f"webhook {hook.id} has no delivery {delivery_id}")
    delivery.state, delivery.attempts, delivery.due_at, delivery.error = "waiting", 0, asked.now, ""
    session.add(delivery)
    asked.note(session, "redeliver", hook, delivery=delivery_id)
    return delivery


def replay(session: Session, hook: Webhook, number: int, asked: Asked) -> int:
    """Send everything from this event number on once more, under the same sequence numbers; how many wait now."""
    again = update(Delivery).where(col(Delivery.webhook) == hook.id, col(Delivery.event) >= number)
    session.execute(again.values(state="waiting", attempts=0, due_at=asked.now, error=""))
    hook.cursor = min(hook.cursor, max(0, number - 1))  # what was never turned into a delivery comes too
    session.add(hook)
    asked.note(session, "replay", hook, number=number)
    return len(session.exec(select(Delivery.id).where(Delivery.webhook == hook.id, Delivery.state == "waiting")).all())


def remove(session: Session, hook: Webhook, asked: Asked) -> None:
    """Tell it nothing more; its deliveries go too."""
    session.execute(delete(Delivery).where(col(Delivery.webhook) == hook.id))
    session.delete(hook)
    asked.note(session, "delete", hook, url=hook.url)
