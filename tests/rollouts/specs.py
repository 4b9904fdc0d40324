"""Specifications for tests, from one word each."""

from typing import Any

from models.rollouts import RolloutSpec


def make_spec(text: str = "exit 0", **given: Any) -> RolloutSpec:
    """A script for all containers; what a test cares about is given."""
    fields: dict[str, Any] = {"selector": {"all": True}, "action": {"do": "script", "text": text, "interpreter": "sh"}}
    return RolloutSpec.model_validate(fields | given)
