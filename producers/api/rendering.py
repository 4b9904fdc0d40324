"""Rows as this caller sees them."""

from typing import Any

from models.jobs import Job
from producers.shapes import job_shape
from producers.tokens import Caller


def job_answer(job: Job, caller: Caller) -> dict[str, Any]:
    """The job's shape, with the key as this caller gave it."""
    shape = job_shape(job)
    return shape | {"key": shape["key"].removeprefix(f"{caller.name}/")}
