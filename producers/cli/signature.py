"""`vzq signature`: answers of nodes that vzq does not know, grouped, with what is known about them."""

from datetime import datetime
from typing import Annotated

import typer

from producers.cli import door
from producers.cli.options import Because, By, Json, asker
from producers.cli.screen import as_json, clock_time, facts, say, short, span, table
from producers.signatures import settle as settle_it
from producers.signatures import signature_shape, signatures, told, told_shape

app = typer.Typer(no_args_is_help=True, help="Answers of nodes that vzq does not know, grouped.")
Id = Annotated[int, typer.Argument(metavar="ID", help="The signature's number.")]


@app.command("list")
def list_(
    settled: Annotated[bool, typer.Option("--all", help="Those that are settled as well.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")] = 500,
    json: Json = False,
) -> None:
    """Each sort of unexpected answer: how often, since when, and the last one."""
    with door.database() as database, database.read() as session:
        found = signatures(session, settled=settled, limit=limit)
        now = database.now(session)
    if json:
        as_json([signature_shape(one) for one in found])
        return
    rows = [
        (one.id, one.count, span(now - one.first_seen), span(now - one.last_seen), one.text, "settled" if one.settled_at else "open") for one in found
    ]
    columns = ("id", "times", "first", "last", "signature", "state")
    table(columns, rows, empty="nothing: every answer of every node was understood", right=("id", "times"))


@app.command()
def show(number: Id, json: Json = False) -> None:
    """One of them: examples, the jobs that are stuck because of it, and what to do."""
    with door.database() as database, database.read() as session:
        about = told(session, number)
    if json:
        as_json(told_shape(about))
        return
    one = about.signature
    facts([
        ("signature", f"{one.id}: {one.text}"),
        ("met", f"{one.count} times, first {clock_time(one.first_seen)}, last {clock_time(one.last_seen)}"),
        ("note", one.note),
        ("settled", f"{clock_time(one.settled_at)} by {one.settled_by}" if one.settled_at else ""),
        ("stuck", ", ".join(short(job) for job in about.stuck) or "no job any more"),
    ])  # fmt: skip
    for example in one.examples:
        at = f" at {example['step']}" if example["step"] else ""
        where = f"{example['kind']} on {example['node'] or 'no node'}{at}"
        say(f"{clock_time(datetime.fromisoformat(example['at']))} {short(example['job'])} {where}: {example['why']}")
    say("what to do: look at the container on the node; `vzq job resolve JOB` looks for you and says what each choice would do;")
    say(f'then `vzq signature settle {one.id} --because "what it was"`: the alert ends, and the next one reads it')


@app.command()
def settle(number: Id, by: By = "", because: Because = "", json: Json = False) -> None:
    """Say what it was: the alert ends until it is met again, and the note stays."""
    with door.database() as database, database.write() as session:
        one = settle_it(session, number, by=asker(by), because=because, now=database.now(session))
        shape = signature_shape(one)
    as_json(shape) if json else say(f"signature {number} is settled")
