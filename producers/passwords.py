"""Root passwords that nobody thought of: made up, handed out once, erased."""

import secrets
from datetime import datetime, timedelta

from sqlmodel import Session, col, delete, select

from models.house import HANDOUT, Secret
from models.jobs import Job
from models.lifecycle import State
from models.vault import Vault
from producers.refusals import Refusal

# Without letters that look alike on paper, and without signs that shells, URLs or CSV files take amiss.
ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
LENGTH = 20  # 116 bits


def generate() -> str:
    """A new password."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def hand_out(session: Session, vault: Vault, job: Job) -> str:
    """The generated password of a job that is done, and with the end of this transaction nobody can have it again; raises Refusal."""
    secret = session.get(Secret, (job.id, HANDOUT), with_for_update=True)
    if not job.order.get("generate_password"):
        raise Refusal(f"job {job.id} generated no password")
    if job.state != State.DONE:
        raise Refusal(f"job {job.id} is {job.state}; its password is handed out when it is done")
    if secret is None:
        raise Refusal(f"the password of job {job.id} has been handed out or was erased; order set-password to have another one")
    password = vault.open(secret.sealed)
    session.delete(secret)
    return password


def erase_unfetched(session: Session, *, now: datetime, kept: timedelta) -> int:
    """Passwords that nobody fetched in time are erased; how many."""
    late = select(Job.id).where(col(Job.ended_at) < now - kept).join(Secret, col(Secret.job_id) == col(Job.id)).where(Secret.name == HANDOUT)
    ids = list(session.exec(late).all())
    if ids:
        session.execute(delete(Secret).where(col(Secret.job_id).in_(ids), col(Secret.name) == HANDOUT))
    return len(ids)
