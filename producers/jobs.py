"""What a person may do with a job: find it, take it back, place it again, decide about a stuck one."""

from datetime import datetime
from typing import Literal

from sqlmodel import Session, col, select

from models.database import Database
from models.fleet import Node, NodeState
from models.house import HANDOUT, Secret, erase_secrets
from models.jobs import Event, Job
from models.lifecycle import FINAL, Cause, State
from models.orders import ORDER
from models.reservations import give_back, keep
from models.vault import Vault
from producers.audit import audit
from producers.fleet import turn
from producers.intake import Accepted, Intake
from producers.refusals import BadOrder, Refusal

Choice = Literal["go-on", "put-back", "accept", "give-up"]
CHOICES: dict[Choice, tuple[Cause, str]] = {
    "go-on": (Cause.GO_ON, "try again from where it is"),
    "put-back": (Cause.PUT_BACK, "undo what it began"),
    "accept": (Cause.ACCEPTED_AS_IS, "it is right as it is: counts as done"),
    "give-up": (Cause.GIVEN_UP, "leave the node as it is and free the reservation"),
}


def find(session: Session, ending: str) -> Job:
    """The job with this id, or the only one whose id ends so; raises BadOrder."""
    ending = ending.upper()
    if len(ending) < 4 or not ending.isalnum():
        raise BadOrder({"job": f"{ending!r} is not a job id; give at least its last four characters"})
    found = session.exec(select(Job).where(col(Job.id).endswith(ending)).limit(3)).all()
    if not found:
        raise BadOrder({"job": f"there is no job {ending}; see `vzq job list`"})
    if len(found) > 1:
        raise BadOrder({"job": f"{ending} fits several jobs ({', '.join(job.id for job in found)}); give more of it"})
    return found[0]


def cancel(database: Database, session: Session, job: Job, *, by: str, because: str) -> str:
    """Take a job back; says what will happen. Waiting ones end at once, running ones at the next safe point. Safe to repeat."""
    session.refresh(job, with_for_update=True)
    now = database.now(session)
    why = f"cancelled by {by}" + (f": {because}" if because else "")
    if job.ended or job.state == State.STUCK:
        hint = "; decide with `vzq job resolve`" if job.state == State.STUCK else ""
        raise Refusal(f"job {job.id} is {job.state} and cannot be cancelled{hint}")
    if job.past_pivot:
        raise Refusal(f"job {job.id} is past the point of no return (step {job.step}) and only goes forward")
    if job.cancel_asked:
        return "cancel was asked for already; it happens at the next safe point"
    audit(session, at=now, by=by, action="job cancel", subject=f"job:{job.id}", because=because)
    job.cancel_asked = True
    if job.state in (State.QUEUED, State.DISPATCHED):
        cause = Cause.CANCELLING if job.begun else Cause.WITHDRAWN
        event = job.move(cause, now=now, why=why)
        job.lease_until, job.worker, job.due_at = None, None, now  # the token of a message on its way is refused from here on
        if event.state in FINAL:
            give_back(session, job, now=now)
            erase_secrets(session, job.id)
        session.add_all([job, event])
        return "cancelled, nothing had begun" if event.state in FINAL else "what it began is being undone"
    session.add(job.move(Cause.CANCELLING, now=now, why=why))
    session.add(job)
    return "running: it stops at the next safe point and undoes what it began"


def retry(intake: Intake, vault: Vault, session: Session, job: Job, *, by: str, because: str, request: str = "") -> Accepted:
    """A new job with the order of an ended one; raises Refusal while the old one may still act, or when its password is gone."""
    if not job.ended:
        hint = "decide with `vzq job resolve`" if job.state == State.STUCK else "wait for its end or cancel it"
        raise Refusal(f"job {job.id} is {job.state}; {hint}")
    if job.state == State.DONE:
        raise Refusal(f"job {job.id} is done; there is nothing to retry")
    order = dict(job.order)
    if order.get("generate_password"):
        order.pop("password", None)  # a new one is made up
    if "password" in order:
        secret = session.get(Secret, (job.id, "password"))
        if secret is None:
            raise Refusal(f"the password of job {job.id} has been erased; place the order again with a password")
        order["password"] = vault.open(secret.sealed)
    return intake.submit(
        session,
        ORDER.validate_python(order),
        by=by,
        because=because or f"retry of {job.id}",
        key=f"retry:{job.id}",
        retry_of=job.id,
        request=request,
    )


def lose_node(session: Session, job: Job, *, by: str, because: str, now: datetime) -> Node:
    """The node of this job is gone for good: the node is quarantined, and the next round places its jobs elsewhere or ends them. Raises Refusal."""
    node = session.get(Node, job.node, with_for_update=True) if job.node is not None else None
    if node is None or job.ended:
        raise Refusal(f"job {job.id} is {job.state}" + ("; it waits for no node" if node is None else ""))
    return turn(session, node, NodeState.LOST, by=by, because=because or f"job {job.id}", now=now)


def resolve(session: Session, job: Job, choice: Choice, *, by: str, because: str, now: datetime) -> Event:
    """Leave stuck by a person's choice; raises Refusal for a job that is not stuck."""
    session.refresh(job, with_for_update=True)
    if job.state != State.STUCK:
        raise Refusal(f"job {job.id} is {job.state}, not stuck")
    if choice == "put-back" and job.past_pivot:
        raise Refusal(f"job {job.id} is past the point of no return (step {job.step}); choose go-on, accept or give-up")
    cause, meaning = CHOICES[choice]
    event = job.move(cause, now=now, why=f"{by}: {meaning}" + (f" ({because})" if because else ""), by=by, choice=choice)
    job.due_at, job.crashes, job.attempts, job.lost_above = now, 0, 0, None
    job.cancel_asked = job.cancel_asked and choice != "go-on"
    job.deadline = max(job.deadline, now + job.rules.deadline)
    if event.state == State.DONE:
        keep(session, job, now=now)
    if event.state == State.FAILED:
        give_back(session, job, now=now, foreign=job.begun)  # what is left on the node keeps its id from being given out
    if event.state in FINAL:
        erase_secrets(session, job.id, but=HANDOUT if event.state == State.DONE else "")
    session.add_all([job, event])
    audit(session, at=now, by=by, action=f"job {choice}", subject=f"job:{job.id}", because=because)
    return event
