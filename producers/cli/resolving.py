"""The screens of `vzq job resolve`: what the node shows, what each choice would do, and the decision."""

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from models.lifecycle import State
from producers.cli import door
from producers.cli.failures import NOT_REACHED, REFUSED
from producers.cli.screen import as_json, facts, say, short, table, warn
from producers.jobs import Choice, find, lose_node
from producers.jobs import resolve as resolve_it
from producers.refusals import Refusal
from producers.resolving import advice, last_look, offer_shape, offers, order_look, sight_shape
from producers.resolving import rehearse as rehearse_it
from producers.shapes import event_shape

LOOK_S = 60.0  # a look takes a second or two; a node that does not answer is told sooner by its breaker


def look(ending: str, *, by: str, because: str, timeout: float | None, json: bool) -> None:
    """Have a worker look, then tell the choices; they are told without a look too when nobody can look now."""
    from producers.cli.follow import see_through  # noqa: PLC0415 - only who waits needs it

    missed = ""
    with door.house() as house:
        with house.database.write() as session:
            job = find(session, ending)
            _must_be_stuck(job.id, job.state)
            try:
                ordered = order_look(house.intake, session, job, by=by, because=because).job.id
            except Refusal as refusal:
                ordered, missed = "", str(refusal)
        if ordered:
            house.bell.wake()
            looked = see_through(house.database, ordered, quiet=True, timeout_s=LOOK_S if timeout is None else timeout)
            if looked.state != State.DONE:
                missed = f"nobody could look: {looked.error or f'job {short(ordered)} is {looked.state}; `vzq job why {short(ordered)}`'}"
        with house.database.read() as session:
            job = find(session, ending)
            seen = last_look(session, job)
            told = [offer_shape(offer) for offer in offers(house.database, session, job)]
            hint = advice(job, seen.result if seen is not None else None)
            shape = {"job": job.id, "error": job.error, "seen": sight_shape(seen), "advice": hint, "offers": told, "missed": missed}
    as_json(shape) if json else show(shape)
    if missed and ordered:
        raise typer.Exit(NOT_REACHED)


def rehearse(ending: str, choice: Choice, *, json: bool) -> None:
    """What the choice would do; exit 3 when it would be refused."""
    with door.house() as house:
        with house.database.read() as session:
            job = find(session, ending)
            seen = last_look(session, job)
        offer = offer_shape(rehearse_it(house.database, job.id, choice, seen=seen.result if seen is not None else None))
    as_json(offer) if json else say(told(offer))
    if offer["to"] is None:
        raise typer.Exit(REFUSED)


def decide(ending: str, choice: Choice, *, by: str, because: str, json: bool) -> None:
    """Leave stuck by this choice."""
    with door.house() as house:
        with house.database.write() as session:
            found = find(session, ending)
            event = resolve_it(session, found, choice, by=by, because=because, now=house.database.now(session))
        house.bell.wake()
    as_json(event_shape(event)) if json else say(f"{short(found.id)}: {event.state}; {event.why}")


def lose(ending: str, *, by: str, because: str, json: bool) -> None:
    """The job's node is gone for good."""
    with door.house() as house:
        with house.database.write() as session:
            found = find(session, ending)
            node = lose_node(session, found, by=by, because=because, now=house.database.now(session))
        house.bell.wake()
    as_json({"job": found.id, "node": node.name, "state": node.state}) if json else say(lost(found.id, node.name))


def lost(job: str, node: str) -> str:
    """What happens now."""
    return f"node {node} counts as lost: its jobs go elsewhere or end within seconds; see `vzq job show {short(job)}`"


def show(shape: Mapping[str, Any]) -> None:
    """What was seen, what fits it, and the choices."""
    seen = shape["seen"]
    facts([("stuck", shape["error"]), ("seen", _seen(seen) if seen else ""), ("not seen", shape["missed"]), ("so", shape["advice"])])
    rows: Sequence[tuple[str, str]] = [(offer["choice"], offer["to"] or "refused") for offer in shape["offers"]]
    table(("choice", "leads to"), rows, empty="")
    for offer in shape["offers"]:
        say(told(offer))
    say(f"decide: vzq job resolve {short(shape['job'])} CHOICE --because … (--dry-run only tells; --node-lost when its node is gone for good)")


def told(offer: Mapping[str, Any]) -> str:
    """One choice on one line."""
    return f"{offer['choice']}: {'→ ' + offer['to'] + '; ' if offer['to'] else 'refused: '}{offer['does']}"


def _seen(seen: Mapping[str, Any]) -> str:
    words = [word for word in ("whole", "half_made", "running", "mounted", "disabled", "onboot") if seen[word]]
    what = "nothing there" if seen["nothing"] else ", ".join(words).replace("_", " ") or "traces only"
    more = [f"mark {seen['mark']}" if seen["mark"] else "no mark", f"locked by {seen['locked_by']}" if seen["locked_by"] else ""]
    return f"container {seen['ctid']} on {seen['node']}: {what}; {', '.join(part for part in more if part)} (job {short(seen['job'])})"


def _must_be_stuck(job_id: str, state: State) -> None:
    if state != State.STUCK:
        warn(f"job {job_id} is {state}, not stuck; `vzq job why {short(job_id)}` tells what it waits for")
        raise typer.Exit(REFUSED)
