"""Deliveries become signed posts. A row is taken for a while, posted outside any transaction, and then written down."""

import json
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import structlog
from sqlalchemy import func
from sqlmodel import Session, col, select

from models.clock import Clock
from models.database import Database
from models.hooks import Delivery, Webhook
from models.jobs import Event, Job
from models.vault import Vault, VaultError
from producers.webhooks.aim import BadAimError, Network, aim
from producers.webhooks.fan_out import fan_out
from producers.webhooks.manage import PING
from producers.webhooks.signing import headers

log = structlog.get_logger(__name__)
AT_ONCE = 16
TAKEN_FOR = timedelta(seconds=60)  # longer than a post may take; then somebody else may try
TIMEOUT_S = 10.0
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(hours=6)
GIVEN_UP_AFTER = timedelta(days=3)  # from the event; the log keeps it, and it can be redelivered


@dataclass(frozen=True)
class Post:
    """One delivery, ready to be sent."""

    delivery: int
    url: str
    message_id: str
    body: bytes
    secrets: tuple[str, ...]


class Deliverer:
    """Goes round in the service; two may run, a row is taken by one."""

    def __init__(self, database: Database, vault: Vault, clock: Clock, *, networks: Sequence[Network] = (), rng: random.Random | None = None) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._networks = networks
        self._rng = rng or random.Random()  # noqa: S311 - jitter
        self._client = httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, headers={"user-agent": "vzq-webhooks/1"})
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook")

    def run_once(self) -> int:
        """Turn new events into deliveries and post what is due; how many were posted."""
        with self._database.write() as session:
            self._database.lock(session, "webhooks")
            now = self._database.now(session)
            fan_out(session, now)
            posts = self._take(session, now)
        for post, status, error in self._pool.map(self._send, posts):
            with self._database.write() as session:
                self._write_down(session, post, status, error, self._database.now(session))
        return len(posts)

    def close(self) -> None:
        """Wait for the posts on their way."""
        self._pool.shutdown()
        self._client.close()

    def _take(self, session: Session, now: datetime) -> list[Post]:
        """The first waiting delivery of each subject, if it is due: the ones behind it keep their order."""
        heads = select(func.min(col(Delivery.id))).where(col(Delivery.state) == "waiting").group_by(col(Delivery.webhook), col(Delivery.subject))
        query = select(Delivery).where(col(Delivery.id).in_(heads), col(Delivery.due_at) <= now).order_by(col(Delivery.due_at)).limit(AT_ONCE)
        posts = []
        for delivery in session.exec(query.with_for_update(skip_locked=True)).all():
            hook = session.get(Webhook, delivery.webhook)
            told = _told(session, delivery)
            if hook is None or told is None or delivery.id is None:
                session.delete(delivery)  # its history was pruned or its webhook removed
                continue
            if not hook.active:
                continue
            delivery.due_at, delivery.attempts = now + TAKEN_FOR, delivery.attempts + 1
            session.add(delivery)
            try:
                opened = tuple(self._vault.open(sealed) for sealed in hook.sealed)
            except VaultError as error:
                delivery.error = str(error)
                continue
            body = json.dumps(told, separators=(",", ":")).encode()
            posts.append(Post(delivery.id, hook.url, f"evt_{delivery.event}_{hook.id}", body, opened))
        return posts

    def _send(self, post: Post) -> tuple[Post, int | None, str]:
        try:
            target = aim(post.url, self._networks)
            signed = headers(post.message_id, self._clock.now(), post.body, post.secrets)
            named = {"host": target.host, "content-type": "application/json"}
            name = target.host.rpartition(":")[0] if ":" in target.host else target.host
            answer = self._client.post(target.url, content=post.body, headers=signed | named, extensions={"sni_hostname": name})
        except BadAimError as error:
            return post, None, str(error)
        except httpx.HTTPError as error:
            return post, None, f"{type(error).__name__}: {error}"
        return post, answer.status_code, "" if answer.is_success else f"answered {answer.status_code}"

    def _write_down(self, session: Session, post: Post, status: int | None, error: str, now: datetime) -> None:
        delivery = session.get(Delivery, post.delivery, with_for_update=True)
        if delivery is None:
            return
        delivery.status, delivery.error = status, error[:500]
        if not error:
            delivery.state, delivery.delivered_at = "delivered", now
        else:
            pause = min(FIRST_PAUSE * 2 ** min(delivery.attempts - 1, 20), LONGEST_PAUSE) * self._rng.uniform(0.8, 1.2)
            delivery.due_at = now + pause
            event = session.exec(select(Event).where(col(Event.number) == delivery.event)).first()
            if delivery.subject == PING or status == httpx.codes.GONE or event is None or now - event.at > GIVEN_UP_AFTER:
                delivery.state = "given-up"
                log.warning("webhook_given_up", webhook=delivery.webhook, event_number=delivery.event, error=delivery.error)
        session.add(delivery)


def _told(session: Session, delivery: Delivery) -> dict[str, Any] | None:
    """What is to be posted; None where the event is not there any more."""
    if delivery.subject == PING:
        about = {"subject": PING, "sequence": delivery.sequence, "timestamp": delivery.due_at.isoformat()}
        return {"type": PING, "number": delivery.event, **about, "data": {}}
    event = session.exec(select(Event).where(col(Event.number) == delivery.event)).first()
    job = session.get(Job, event.job_id) if event is not None else None
    return payload(event, job, delivery) if event is not None and job is not None else None


def payload(event: Event, job: Job, delivery: Delivery) -> dict[str, Any]:
    """What is posted: the event, and the job as it is now. Never a secret."""
    return {
        "type": f"job.{event.cause}",
        "number": delivery.event,
        "subject": delivery.subject,
        "sequence": delivery.sequence,
        "timestamp": event.at.isoformat(),
        "data": {
            "job": job.id,
            "kind": job.kind,
            "key": job.key,
            "request": job.request,
            "state": event.state,
            "why": event.why,
            "container": job.ctid,
            "node": job.node,
            "result": job.result,
            "error": job.error,
        },
    }
