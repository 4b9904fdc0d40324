"""Rows that a house elsewhere told of over its API: so that its commands show them as those of the house itself."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from models.campaign_states import CampaignCause, CampaignState, Outcome
from models.campaigns import Campaign, CampaignEvent, CampaignKind, Target
from models.inside import ExecResult
from models.jobs import Job
from models.lifecycle import State

Shape = Mapping[str, Any]


def job_of(shape: Shape) -> Job:
    """A job."""
    return Job(**fields(shape, producer=shape["by"], state=State(shape["state"])))


def campaign_of(shape: Shape) -> Campaign:
    """A campaign."""
    return Campaign(**fields(shape, producer=shape["by"], state=CampaignState(shape["state"]), kind=CampaignKind(shape["kind"])))


def counts_of(shape: Shape) -> dict[Outcome, int]:
    """How far a campaign is."""
    return {Outcome(outcome): count for outcome, count in shape["counts"].items()}


def target_of(shape: Shape) -> Target:
    """One of its targets."""
    return Target(**fields(shape, job_id=shape["job"], outcome=Outcome(shape["outcome"])))


def campaign_event_of(shape: Shape) -> CampaignEvent:
    """One of its moves."""
    told = {"campaign_id": shape["campaign"], "cause": CampaignCause(shape["cause"]), "state": CampaignState(shape["state"])}
    return CampaignEvent(**fields(shape, **told))


def result_of(shape: Shape) -> ExecResult:
    """How a container answered a command."""
    return ExecResult(**fields(shape, job_id=shape["job"]))


def fields(shape: Shape, **more: object) -> dict[str, Any]:
    """What a row is made of; moments are moments again."""
    told = {name: moment(value) if name in MOMENTS and isinstance(value, str) else value for name, value in shape.items()}
    return told | more


def moment(text: str) -> datetime:
    """A moment as the API tells it."""
    return datetime.fromisoformat(text).astimezone(UTC)


MOMENTS = frozenset({"accepted_at", "at", "begun_at", "deadline", "due_at", "ended_at", "resumes_at", "started_at", "until"})


def stands(node: Shape) -> str:
    """A node's state for people: one that is drained and empty has been emptied."""
    return "drained" if node["state"] == "draining" and not node["containers"] else str(node["state"])
