"""`vzq webhook`: who is told of events, and what became of each delivery."""

import time
from typing import Annotated, Any

import typer

from models.ids import HIGHEST_NUMBER
from producers.cli.failures import FAILED, NOT_REACHED
from producers.cli.options import Because, By, Json
from producers.cli.rows import Shape
from producers.cli.screen import as_json, facts, say, table, warn
from producers.cli.webhook_doors import Hooks, hooks, whole
from producers.webhooks.manage import Wish

app = typer.Typer(no_args_is_help=True, help="Who is told of events, and what became of each delivery.")
Id = Annotated[str, typer.Argument(metavar="ID", help="The webhook's id, or its last characters.")]
LOOK_S = 0.3


@app.command()
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where to post; internal addresses only as VZQ_WEBHOOK_NETWORKS allows.")],
    *,
    event: Annotated[list[str] | None, typer.Option(help="Cause to tell of, e.g. finished; may be repeated. All that end a job if left out.")] = None,
    customer: Annotated[str, typer.Option(help="Only what concerns this customer's containers.", show_default=False)] = "",
    by: By = "",
    because: Because = "",
    json: Json = False,
) -> None:
    """Tell somebody of events from now on; prints the secret that signs, which cannot be shown again."""
    with hooks(by, because) as known:
        made = known.make(Wish(url, event or [], customer or None))
    _secret(made, json=json)


@app.command("list")
def list_(json: Json = False) -> None:
    """All webhooks."""
    with hooks() as known:
        found = known.all()
    if json:
        as_json(found)
        return
    rows = [(one["id"], one["url"], _state(one), ", ".join(one["events"]) or "ends of jobs", one["customer"] or "", one["cursor"]) for one in found]
    table(
        ("webhook", "url", "state", "told of", "customer", "up to event"),
        rows,
        empty="no webhooks; add one with `vzq webhook add URL`",
        right=("up to event",),
    )


def _state(one: Shape) -> str:
    if not one["active"]:
        return "off"
    return f"failing: {one['failing']} not delivered, {one['failing_why']}" if one["failing"] else "active"


@app.command()
def show(hook: Id, json: Json = False) -> None:
    """One webhook, with how its newest deliveries stand."""
    with hooks() as known:
        hook_id = whole(known, hook)
        found = next(one for one in known.all() if one["id"] == hook_id)
        newest = known.deliveries(hook_id, 10)
    if json:
        as_json(found | {"deliveries": newest})
        return
    facts([
        ("webhook", found["id"]), ("url", found["url"]), ("state", _state(found)), ("told of", ", ".join(found["events"]) or "ends of jobs"),
        ("customer", found["customer"]), ("up to event", found["cursor"]), ("made", f"{found['created_at']} by {found['created_by']}"),
    ])  # fmt: skip
    say("")
    _deliveries(newest)


@app.command()
def ping(
    hook: Id,
    wait: Annotated[float, typer.Option(help="Wait so many seconds for the receiver's answer; 0: do not wait.", min=0, max=120)] = 15,
    by: By = "",
    because: Because = "",
    json: Json = False,
) -> None:
    """Post something signed that tells of no event, and say what the receiver answered. Not tried again."""
    with hooks(by, because) as known:
        hook_id = whole(known, hook)
        sent = _settled(known, hook_id, known.ping(hook_id), wait)
    if json:
        as_json(sent)
    elif sent["state"] == "delivered":
        say(f"delivered: answered {sent['status']}")
    elif sent["state"] == "waiting":
        warn("not sent yet: see that a service runs, and `vzq webhook deliveries`" if wait else f"delivery {sent['id']} is on its way")
    else:
        warn(f"not delivered: {sent['error']}")
    if sent["state"] != "delivered" and wait:
        raise typer.Exit(NOT_REACHED if sent["state"] == "waiting" else FAILED)


app.command("test", hidden=True)(ping)


@app.command()
def deliveries(
    hook: Id, limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")] = 50, json: Json = False
) -> None:
    """What became of each delivery, newest first."""
    with hooks() as known:
        found = known.deliveries(whole(known, hook), limit)
    as_json(found) if json else _deliveries(found)


@app.command()
def redeliver(
    hook: Id,
    number: Annotated[int, typer.Argument(metavar="DELIVERY", help="The delivery's number.", min=1, max=HIGHEST_NUMBER)],
    by: By = "",
    because: Because = "",
    json: Json = False,
) -> None:
    """Send one delivery again at once, whatever became of it."""
    with hooks(by, because) as known:
        sent = known.redeliver(whole(known, hook), number)
    as_json(sent) if json else say(f"delivery {number} goes again")


@app.command()
def replay(
    hook: Id,
    number: Annotated[int, typer.Argument(metavar="EVENT", help="From this event number on.", min=1, max=HIGHEST_NUMBER)],
    by: By = "",
    because: Because = "",
    json: Json = False,
) -> None:
    """Send everything from an event number on once more, under the same sequence numbers."""
    with hooks(by, because) as known:
        waiting = known.replay(whole(known, hook), number)
    as_json({"waiting": waiting}) if json else say(f"{waiting} deliveries wait; what was never sent is added to them")


@app.command()
def rotate(hook: Id, by: By = "", because: Because = "", json: Json = False) -> None:
    """A new secret; the one before it signs too until the next rotation, so that the receiver loses nothing while it changes over."""
    with hooks(by, because) as known:
        turned = known.rotate(whole(known, hook))
    _secret(turned, json=json)


@app.command()
def remove(hook: Id, by: By = "", because: Because = "", json: Json = False) -> None:
    """Tell it nothing more; its delivery log goes too."""
    with hooks(by, because) as known:
        hook_id = whole(known, hook)
        known.remove(hook_id)
    as_json({"removed": hook_id}) if json else say(f"webhook {hook_id} is removed")


def _settled(known: Hooks, hook_id: str, sent: dict[str, Any], wait_s: float) -> dict[str, Any]:
    """The delivery once it was answered or given up, or as it stands when the time is over."""
    end = time.monotonic() + wait_s
    while sent["state"] == "waiting" and time.monotonic() < end:
        time.sleep(LOOK_S)
        sent = next((one for one in known.deliveries(hook_id, 50) if one["id"] == sent["id"]), sent)
    return sent


def _secret(hook: dict[str, Any], *, json: bool) -> None:
    if json:
        as_json(hook)
        return
    say(hook["secret"])
    warn(f"webhook {hook['id']} to {hook['url']}: keep its secret now, it cannot be shown again")


def _deliveries(found: list[dict[str, Any]]) -> None:
    rows = [
        (one["id"], one["event"], one["subject"], one["sequence"], one["state"], one["attempts"], one["status"] or "", one["error"] or one["due_at"])
        for one in found
    ]
    columns = ("delivery", "event", "about", "sequence", "state", "tries", "status", "error, or when due")
    table(columns, rows, empty="nothing was sent to it yet", right=("delivery", "event", "sequence", "tries", "status"))
