"""The whole story of a job: its row, every event, every try on the node, its container's addresses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from models.fleet import Address, Container
from models.jobs import Begun, Event, Job
from producers.shapes import begun_shape, event_shape, job_shape


@dataclass(frozen=True)
class Story:
    """Everything that is known of a job."""

    job: Job
    events: Sequence[Event]
    begun: Sequence[Begun]
    addresses: list[str]
    hostname: str


def story(session: Session, job: Job) -> Story:
    """Read it."""
    events = session.exec(select(Event).where(Event.job_id == job.id).order_by(col(Event.id))).all()
    begun = session.exec(select(Begun).where(Begun.job_id == job.id).order_by(col(Begun.id))).all()
    container = session.get(Container, job.ctid) if job.ctid is not None else None
    addresses = session.exec(select(Address.address).where(Address.ctid == job.ctid).order_by(Address.address)).all() if container else []
    return Story(job, events, begun, list(addresses), container.hostname if container else "")


def story_shape(told: Story) -> dict[str, Any]:
    """The story as JSON."""
    return job_shape(told.job) | {
        "addresses": told.addresses,
        "events": [event_shape(event) for event in told.events],
        "journal": [begun_shape(begun) for begun in told.begun],
    }
