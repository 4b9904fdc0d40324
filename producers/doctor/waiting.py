"""What waits for a person: secrets that do not open, deliveries that fail, pauses, stuck jobs."""

from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from models.hooks import Webhook
from models.house import Secret
from models.jobs import Job
from models.lifecycle import State
from models.vault import Vault, VaultError
from producers.doctor.check import Check, fault, look, ok, some
from producers.pauses import pauses as in_force
from producers.webhooks.trouble import troubles

TRIED = 50  # sealed secrets that are opened; a wrong key fails at the first


def sealed(session: Session, vault: Vault) -> Check:
    """The key opens what is sealed."""
    secrets = [(f"job {row.job_id}", row.sealed) for row in session.exec(select(Secret).order_by(col(Secret.job_id).desc()).limit(TRIED)).all()]
    hooks = session.exec(select(Webhook).where(col(Webhook.active)).limit(TRIED)).all()
    secrets += [(f"webhook {hook.id}", text) for hook in hooks for text in hook.sealed]
    closed = []
    for whose, text in secrets:
        try:
            vault.open(text)
        except VaultError:
            closed.append(whose)
    if closed:
        do = "put the key they were sealed with back as another line of the key file (VZQ_SECRET_KEY_FILE)"
        return fault("sealed", f"the secret key does not open the secret of {some(closed)}", do)
    return ok("sealed", f"{len(secrets)} secrets open" if secrets else "nothing is sealed now")


def webhooks(session: Session, now: datetime) -> Check:
    """Receivers take what they are sent."""
    active = session.exec(select(Webhook).where(col(Webhook.active)).order_by(Webhook.id)).all()
    failing = troubles(session, now)
    bad = [f"{hook.url} ({failing[hook.id].deliveries} deliveries: {failing[hook.id].error})" for hook in active if hook.id in failing]
    if bad:
        first = next(hook.id for hook in active if hook.id in failing)
        return fault("webhooks", f"not delivered to {some(bad)}", f"`vzq webhook ping {first}` when it is mended, then `vzq webhook replay`")
    return ok("webhooks", f"{len(active)} take what they are sent" if active else "there are none")


def pauses(session: Session) -> Check:
    """Nothing rests that somebody forgot."""
    found = in_force(session)
    if found:
        return look("pauses", f"paused: {some([f'{one.what} by {one.by} ({one.because})' for one in found])}", "`vzq resume` ends it")
    return ok("pauses", "nothing is paused")


def stuck(session: Session) -> Check:
    """No job waits for a person."""
    query = select(Job.kind, func.count()).where(Job.state == State.STUCK).group_by(Job.kind).order_by(Job.kind)
    kinds = [f"{count} {kind}" for kind, count in session.execute(query)]
    if kinds:
        return fault("stuck-jobs", f"stuck: {some(kinds)}", "`vzq job list --state stuck`, then `vzq job resolve JOB`")
    return ok("stuck-jobs", "none")
