"""Webhooks as their owners handle them: made, turned, replayed, redelivered. Each takes a session of a writing transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import update
from sqlmodel import Session, col, select

from models.hooks import Delivery, Webhook
from models.house import Counter
from models.lifecycle import Cause
from models.vault import Vault
from producers.refusals import BadOrder
from producers.webhooks.aim import BadAimError, Network, aim
from producers.webhooks.signing import new_secret

SECRETS_AT_ONCE = 2  # the new one and the one before it


@dataclass(frozen=True)
class Wish:
    """What the owner of a webhook asked for."""

    url: str
    events: Sequence[str] = ()  # causes; empty: all that end or stop a job
    customer: str | None = None


def make(session: Session, vault: Vault, wish: Wish, *, hook_id: str, networks: Sequence[Network], by: str, now: datetime) -> tuple[Webhook, str]:
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
    hook = Webhook(id=hook_id, url=wish.url, events=list(wish.events), customer=wish.customer, created_at=now, created_by=by)
    hook.sealed, hook.cursor = [vault.seal(secret)], counter.value if counter else 0
    session.add(hook)
    return hook, secret


def turn_secret(session: Session, vault: Vault, hook: Webhook) -> str:
    """A new secret; the one before it signs too until the next turn, so that receivers can change over without loss."""
    secret = new_secret()
    hook.sealed = [vault.seal(secret), *hook.sealed][:SECRETS_AT_ONCE]
    session.add(hook)
    return secret


def redeliver(session: Session, delivery: Delivery, *, now: datetime) -> None:
    """Send it again at once, whatever became of it."""
    delivery.state, delivery.attempts, delivery.due_at, delivery.error = "waiting", 0, now, ""
    session.add(delivery)


def replay(session: Session, hook: Webhook, *, number: int, now: datetime) -> int:
    """Send everything from this event number on once more, under the same sequence numbers; how many wait now."""
    again = update(Delivery).where(col(Delivery.webhook) == hook.id, col(Delivery.event) >= number)
    session.execute(again.values(state="waiting", attempts=0, due_at=now, error=""))
    hook.cursor = min(hook.cursor, max(0, number - 1))  # what was never turned into a delivery comes too
    session.add(hook)
    return len(session.exec(select(Delivery.id).where(Delivery.webhook == hook.id, Delivery.state == "waiting")).all())
