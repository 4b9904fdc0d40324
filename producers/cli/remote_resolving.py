"""`vzq job resolve` on a house elsewhere."""

import typer

from producers.cli import resolving
from producers.cli.failures import NOT_REACHED, REFUSED
from producers.cli.follow import Quiet
from producers.cli.remote import api
from producers.cli.screen import as_json, say, short


def resolve(ending: str, choice: str, *, dry_run: bool, node_lost: bool, because: str, timeout: float | None, json: bool) -> None:
    """Decide, rehearse, look, or say that its node is lost."""
    with api() as house:
        job = house.find(ending)
        if node_lost or (choice and not dry_run):
            done = house.post(f"/v1/jobs/{job}:{'node-lost' if node_lost else 'resolve'}", None if node_lost else {"choice": choice}, because=because)
            as_json(done) if json else say(f"{short(job)}: {done['what']}")
            return
        if not choice:
            look = house.post(f"/v1/jobs/{job}:look", because=because)
            house.follow([look["id"]], Quiet(), timeout_s=resolving.LOOK_S if timeout is None else timeout)
        shape = house.get(f"/v1/jobs/{job}/choices")
    if choice:
        offer = next(one for one in shape["offers"] if one["choice"] == choice)
        as_json(offer) if json else say(resolving.told(offer))
        if offer["to"] is None:
            raise typer.Exit(REFUSED)
        return
    shape["missed"] = "" if shape["seen"] else f"nobody has looked yet: `vzq job why {short(look['id'])}`"
    as_json(shape) if json else resolving.show(shape)
    if shape["missed"]:
        raise typer.Exit(NOT_REACHED)
