"""`vzq signature`: answers of nodes that vzq does not know, grouped, with what is known about them."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from models.ids import HIGHEST_NUMBER
from producers.cli.doors import Who
from producers.cli.options import Because, By, Json, asker
from producers.cli.rows import moment
from producers.cli.screen import as_json, clock_time, facts, say, short, span, table
from producers.cli.signature_doors import signatures_known
from producers.signatures import MOST

app = typer.Typer(no_args_is_help=True, help="Answers of nodes that vzq does not know, grouped.")
Id = Annotated[int, typer.Argument(metavar="ID", help="The signature's number.", min=1, max=HIGHEST_NUMBER)]


@app.command("list")
def list_(
    settled: Annotated[bool, typer.Option("--all", help="Those that are settled as well.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST, help="At most so many.")] = MOST,
    json: Json = False,
) -> None:
    """Each sort of unexpected answer: how often, since when, and the last one."""
    with signatures_known() as known:
        found = known.all(settled=settled, limit=limit)
    if json:
        as_json(found)
        return
    now = datetime.now(UTC)
    rows = [
        (one["id"], one["count"], span(now - moment(one["first_seen"])), span(now - moment(one["last_seen"])), one["text"],
         "settled" if one["settled_at"] else "open")
        for one in found
    ]  # fmt: skip
    columns = ("id", "times", "first", "last", "signature", "state")
    table(columns, rows, empty="nothing: every answer of every node was understood", right=("id", "times"))


@app.command()
def show(number: Id, json: Json = False) -> None:
    """One of them: examples, the jobs that are stuck because of it, and what to do."""
    with signatures_known() as known:
        one = known.told(number)
    if json:
        as_json(one)
        return
    facts([
        ("signature", f"{one['id']}: {one['text']}"),
        ("met", f"{one['count']} times, first {clock_time(moment(one['first_seen']))}, last {clock_time(moment(one['last_seen']))}"),
        ("note", one["note"]),
        ("settled", f"{clock_time(moment(one['settled_at']))} by {one['settled_by']}" if one["settled_at"] else ""),
        ("stuck", ", ".join(short(job) for job in one["stuck"]) or "no job any more"),
    ])  # fmt: skip
    for example in one["examples"]:
        at = f" at {example['step']}" if example["step"] else ""
        where = f"{example['kind']} on {example['node'] or 'no node'}{at}"
        say(f"{clock_time(moment(example['at']))} {short(example['job'])} {where}: {example['why']}")
    say("what to do: look at the container on the node; `vzq job resolve JOB` looks for you and says what each choice would do;")
    say(f'then `vzq signature settle {one["id"]} --because "what it was"`: the alert ends, and the next one reads it')


@app.command()
def settle(number: Id, by: By = "", because: Because = "", json: Json = False) -> None:
    """Say what it was: the alert ends until it is met again, and the note stays."""
    with signatures_known() as known:
        one = known.settle(number, Who(asker(by), because))
    as_json(one) if json else say(f"signature {number} is settled")
