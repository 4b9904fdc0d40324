"""`vzq pause` and `vzq resume` on a house elsewhere."""

from datetime import UTC, datetime

from models.pauses import Reach
from producers.cli.remote import api
from producers.cli.screen import as_json, say, span, table


def turn(verb: str, reach: Reach, name: str, *, because: str, json: bool) -> None:
    """Let it rest (no verb) or go on (":resume")."""
    with api() as house:
        shape = house.post(f"/v1/pauses{verb}", {"reach": str(reach), "name": name}, because=because)
    as_json(shape) if json else say(
        f"{shape['reach']} {shape['name']}".strip() + (" goes on" if verb else f" rests, by {shape['by']}: {shape['because']}")
    )


def show(*, json: bool) -> None:
    """What is paused."""
    with api() as house:
        found = house.get("/v1/pauses")["items"]
    if json:
        as_json(found)
        return
    now = datetime.now(UTC)
    rows = [(one["reach"], one["name"], span(now - datetime.fromisoformat(one["since"])), one["by"], one["because"]) for one in found]
    table(("paused", "which", "for", "by", "because"), rows, empty="nothing is paused")
