"""Root passwords that nobody thought of: made up, handed out once, erased."""

import secrets
from datetime import timedelta

from sqlmodel import Session, col, delete, select

from models.database import Database
from models.house import HANDOUT, Secret
from models.jobs import Job
from models.lifecycle import State
from models.vault import Vault
from producers.refusals import Refusal

# Without letters that look alike on paper, and without signs that shells, URLs or CSV files take amiss.
ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
LENGTH = 20  # 116 bits
AT_ONCE = 500


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


class Unfetched:
    """Erases generated passwords that nobody fetched in time."""

    def __init__(self, database: Database, *, kept: timedelta) -> None:
        self._database = database
        self._kept = kept

    def run_once(self) -> int:
        """How many were erased."""
        with self._database.read() as session:
            before = self._database.now(session) - self._kept
            late = select(Job.id).join(Secret, col(Secret.job_id) == col(Job.id)).where(Secret.name == HANDOUT, col(Job.ended_at) < before)
            ids = list(session.exec(late.limit(AT_ONCE)).all())
        if ids:
            with self._database.write() as session:
                session.execute(delete(Secret).where(col(Secret.job_id).in_(ids), col(Secret.name) == HANDOUT))
        return len(ids)
