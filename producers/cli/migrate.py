"""`vzq migrate`: move a container to another node, or only look whether it could be moved."""

from typing import Annotated

import typer

from models.jobs import Job
from models.lifecycle import State
from models.orders import CheckMigration, MigrateContainer, Order
from producers.cli import complete, door
from producers.cli.door import elsewhere
from producers.cli.failures import FAILED, NOT_REACHED, REFUSED
from producers.cli.options import Because, By, Json, Timeout, Wait, asker, ordered
from producers.cli.order import place_one
from producers.cli.screen import as_json, say, short, warn
from producers.refusals import BadOrder, Refusal

NAMES = {"ctid": "CTID", "to": "NODE", "budget_s": "--budget"}  # of fields that are called otherwise on the command line


def migrate(
    ctid: Annotated[int, typer.Argument(metavar="CTID", autocompletion=complete.containers, help="The container's id.", min=101)],
    node: Annotated[
        str | None, typer.Argument(metavar="NODE", autocompletion=complete.nodes, help="Where it shall go; chosen by free capacity if left out.")
    ] = None,
    *,
    online: Annotated[bool, typer.Option("--online", help="Keep its processes; the default.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Stop it here and start it there.")] = False,
    either: Annotated[bool, typer.Option("--online-else-offline", help="Keep its processes if that can be done, else stop and start it.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only look: exit 0 if it can be moved so, 3 with all that is in the way.")] = False,
    keep_source: Annotated[bool, typer.Option("--keep-source", help="Leave the copy on the old node, unable to start.")] = False,
    window: Annotated[str | None, typer.Option("--window", help="Begin only then, e.g. 'mon-fri 22:00-04:00'.")] = None,
    zone: Annotated[str | None, typer.Option("--zone", help="Time zone of the window; UTC if left out.")] = None,
    budget: Annotated[float | None, typer.Option("--budget", metavar="SECONDS", help="Refuse it if earlier moves took longer.")] = None,
    over_budget: Annotated[bool, typer.Option("--over-budget", help="Move it although that breaks a budget; needs --because.")] = False,
    key: Annotated[str, typer.Option(help="Your own name for the order: the same key and order again is the same job.", show_default=False)] = "",
    by: By = "",
    because: Because = "",
    wait: Wait = False,
    timeout: Timeout = None,
    json: Json = False,
) -> None:
    """Move a container to another node; prints the job's id."""
    if zone is not None and window is None:
        raise BadOrder({"--zone": "is that of a --window; give both or none"})
    if over_budget and not because.strip():
        raise BadOrder({"--over-budget": "goes only with a reason; say it with --because"})
    modes = [mode for mode, given in (("online", online), ("offline", offline), ("online-else-offline", either)) if given]
    if len(modes) > 1:
        raise BadOrder({f"--{modes[1]}": f"goes not together with --{modes[0]}; give one"})
    given: dict[str, object] = {"ctid": ctid, "to": node, "mode": modes[0] if modes else None, "budget_s": budget, "over_budget": over_budget}
    if check:
        for option, wish in (("--keep-source", keep_source), ("--window", window), ("--zone", zone)):
            if wish:
                raise BadOrder({option: "a check moves nothing; leave one of the two out"})
        raise typer.Exit(_look(ordered(CheckMigration, given, NAMES), key=key, by=by, because=because, timeout=timeout, json=json))
    given |= {"keep_source": keep_source, "window": window, "zone": zone}
    place_one(ordered(MigrateContainer, given, NAMES), key=key, by=by, because=because, wait=wait, json=json, timeout=timeout)


def _look(order: CheckMigration, *, key: str, by: str, because: str, timeout: float | None, json: bool) -> int:
    """See the check through and tell what it found; the exit code."""
    try:
        job = seen_through(order, key=key, by=by, because=because, timeout=timeout)
    except Refusal as refusal:
        if json:
            as_json({"job": None, "state": "refused", "error": str(refusal), "refusals": [{"code": "refused", "why": str(refusal)}]})
        raise
    refusals = job.result.get("refusals", [])
    if json:
        as_json({"job": job.id, "state": str(job.state), "error": job.error, **job.result})
    elif late(job):
        warn(f"the check has not ended in time: {late(job)}")
    elif job.state != State.DONE:
        warn(f"the check itself {job.state}: {job.error}")
    elif refusals:
        warn(f"container {order.ctid} cannot be moved {order.mode} from {job.result['source']} to {job.result['target']}:")
        for found in refusals:
            warn(f"  {found['code']}: {found['why']}")
    else:
        say(f"container {order.ctid} can be moved {order.mode} from {job.result['source']} to {job.result['target']}")
    if late(job):
        return NOT_REACHED
    if job.state != State.DONE:
        return FAILED
    return REFUSED if refusals else 0


def seen_through(order: Order, *, key: str, by: str, because: str, timeout: float | None) -> Job:
    """The job of an order, at its end or after so long; here, or on another host over its API."""
    if elsewhere():
        return _there(order, key=key, because=because, timeout=timeout)
    with door.house() as house:
        with house.database.write() as session:
            accepted = house.intake.submit(session, order, by=asker(by), because=because, key=key)
        house.bell.wake()
        from producers.cli.follow import see_through  # noqa: PLC0415 - only who waits needs it

        return see_through(house.database, accepted.job.id, quiet=True, timeout_s=timeout)


def late(job: Job) -> str:
    """How a job stands that was not waited for to its end; empty for one that has ended or waits for a person."""
    if job.ended or job.state == State.STUCK:
        return ""
    return f"job {job.id} is {job.state}{': ' + job.error if job.error else ''}; it goes on: vzq job show {short(job.id)}"


def _there(order: Order, *, key: str, because: str, timeout: float | None) -> Job:
    from producers.cli.follow import Quiet  # noqa: PLC0415 - needs httpx
    from producers.cli.remote import api  # noqa: PLC0415

    with api() as house:
        job, _ = house.place(order, key=key, because=because)
        return house.follow([job.id], Quiet(), timeout_s=timeout)[0]
