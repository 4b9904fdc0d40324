"""A node's abilities as the JSON that its row keeps, and back."""

from collections.abc import Mapping
from typing import Any  # the row's column is JSON: whatever an older release wrote

from pydantic import TypeAdapter, ValidationError

from workers.openvz.driver import Abilities

_ABILITIES: TypeAdapter[Abilities] = TypeAdapter(Abilities)


def row_of(abilities: Abilities) -> dict[str, Any]:
    """What to store in `Node.abilities`."""
    row: dict[str, Any] = _ABILITIES.dump_python(abilities, mode="json")
    return row


def abilities_of(row: Mapping[str, Any]) -> Abilities | None:
    """What was stored; None if the node was not looked at yet, or by a release that stored less. Unknown keys are ignored."""
    try:
        return _ABILITIES.validate_python(dict(row))
    except ValidationError:
        return None
