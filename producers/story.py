"""The whole story of a job: its row, every event, every try on the node, its container's addresses."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session, col, select

from models.access import Audit
from models.fleet import Address, Container
from models.jobs import Begun, Event, Job
from models.outages import Outage
from producers.downtime import outage_shape
from producers.shapes import audit_shape, begun_shape, event_shape, job_shape


@dataclass(frozen=True)
class Story:
    """Everything that is known of a job."""

    job: Job
    events: Sequence[Event]
    begun: Sequence[Begun]
    addresses: list[str]
    hostname: str
    acts: Sequence[Audit] = field(default=())  # what people and programs did about it, its order first
    outages: Sequence[Outage] = field(default=())
    retried_by: str = ""  # the job that took its order up again


def story(session: Session, job: Job) -> Story:
    """Read it."""
    events = session.exec(select(Event).where(Event.job_id == job.id).order_by(col(Event.id))).all()
    begun = session.exec(select(Begun).where(Begun.job_id == job.id).order_by(col(Begun.id))).all()
    container = session.get(Container, job.ctid) if job.ctid is not None else None
    addresses = session.exec(select(Address.address).where(Address.ctid == job.ctid).order_by(Address.address)).all() if container else []
    acts = session.exec(select(Audit).where(Audit.subject == f"job:{job.id}").order_by(col(Audit.id))).all()
    outages = session.exec(select(Outage).where(Outage.job_id == job.id).order_by(col(Outage.id))).all()
    later = session.exec(select(Job.id).where(Job.key == f"retry:{job.id}")).first() or ""
    return Story(job, events, begun, list(addresses), container.hostname if container else "", acts, outages, later)


def story_shape(told: Story) -> dict[str, Any]:
    """The story as JSON, as everybody may know it who may know of the job."""
    return job_shape(told.job) | {
        "addresses": told.addresses,
        "events": [event_shape(event) for event in told.events],
        "journal": [begun_shape(begun) for begun in told.begun],
    }


def whole_shape(told: Story) -> dict[str, Any]:
    """The same with who did what about it, for those who run the house."""
    return story_shape(told) | {
        "acts": [audit_shape(act) for act in told.acts],
        "outages": [outage_shape(outage) for outage in told.outages],
        "retried_by": told.retried_by or None,
    }
