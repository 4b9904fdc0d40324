"""`vzq finding`: what is not as the books say, and the orders that mend it."""

from typing import Annotated

import typer

from models.ids import HIGHEST_NUMBER
from producers.cli import door
from producers.cli.options import Because, By, Json, Timeout, Wait, asker
from producers.cli.screen import as_json, clock_time, facts, say, short, span, table
from producers.findings import Repair, find, finding_shape, findings, rehearse, repair, repair_shape
from producers.refusals import BadOrder

app = typer.Typer(no_args_is_help=True, help="What is not as the books say, and the orders that mend it.")
Id = Annotated[int, typer.Argument(metavar="ID", help="The finding's number.", min=1, max=HIGHEST_NUMBER)]
Ids = Annotated[int | None, typer.Argument(metavar="[ID]", help="The finding's number; or all with --all --kind.", min=1, max=HIGHEST_NUMBER)]


@app.command("list")
def list_(
    node: Annotated[str, typer.Option("--node", help="Only this node's.")] = "",
    site: Annotated[str, typer.Option("--site", help="Only this site's.")] = "",
    kind: Annotated[str, typer.Option("--kind", help="Only of this kind, e.g. unknown-container.")] = "",
    gone: Annotated[bool, typer.Option("--all", help="Those that are no longer seen as well.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")] = 1000,
    json: Json = False,
) -> None:
    """What was found and is still seen; nothing of it is mended until you order it."""
    with door.database() as database, database.read() as session:
        listed = findings(session, site=site, node=node, kind=kind, gone=gone, limit=limit)
        now = database.now(session)
    if json:
        as_json([finding_shape(finding) for finding in listed])
        return
    rows = [
        (
            finding.id,
            finding.kind,
            finding.node,
            finding.subject,
            f"gone {clock_time(finding.gone_at)}" if finding.gone_at else span(now - finding.first_seen),
            f"job {short(finding.job_id)}" if finding.job_id else finding.repair.get("kind", "by hand"),
        )
        for finding in listed
    ]
    table(("id", "kind", "node", "about", "since", "repair"), rows, empty="nothing: all nodes are as the books say", right=("id", "about"))


@app.command()
def show(number: Id, json: Json = False) -> None:
    """One finding: what it is, and what would mend it."""
    with door.database() as database, database.read() as session:
        finding = find(session, number)
    if json:
        as_json(finding_shape(finding))
        return
    facts([
        ("finding", finding.id),
        ("kind", finding.kind),
        ("node", finding.node),
        ("about", finding.subject),
        ("why", finding.why),
        ("repair", _words(finding.repair) if finding.repair else "none that can be ordered; a person must look"),
        ("first seen", clock_time(finding.first_seen)),
        ("last seen", clock_time(finding.last_seen)),
        ("gone", clock_time(finding.gone_at)),
        ("repair job", short(finding.job_id)),
    ])  # fmt: skip


@app.command("repair")
def repair_(
    number: Ids = None,
    every: Annotated[bool, typer.Option("--all", help="All of the --kind that have a repair; of unknown containers those with our mark.")] = False,
    kind: Annotated[str, typer.Option("--kind", help="With --all: of this kind, e.g. unknown-container.")] = "",
    node: Annotated[str, typer.Option("--node", help="With --all: only this node's.")] = "",
    strangers: Annotated[bool, typer.Option("--strangers", help="With --all: unknown containers without our mark, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the order and what it would do; nothing is written.")] = False,
    by: By = "",
    because: Because = "",
    wait: Wait = False,
    timeout: Timeout = None,
    json: Json = False,
) -> None:
    """Order what mends it; prints the job's id. While that order is open the same one is given back."""
    if (number is None) is not every or (every and not kind):
        raise BadOrder({"ID": "give the number of one finding, or --all with --kind KIND"})
    if number is None:
        from producers.cli.finding_all import repair_all  # noqa: PLC0415 - seldom needed

        repair_all(kind=kind, node=node, strangers=strangers, dry_run=dry_run, by=asker(by), because=because, wait=wait, json=json)
        return
    with door.house() as house:
        if dry_run:
            _tell(rehearse(house.database, house.intake, number, by=asker(by)), json=json)
            return
        with house.database.write() as session:
            told = repair(house.database, house.intake, session, number, by=asker(by), because=because)
            shape, job = repair_shape(told, dry_run=False), told.job.id if told.job else ""
        house.bell.wake()
        if not wait:
            as_json(shape) if json else say(job)
            return
        from producers.cli.follow import follow  # noqa: PLC0415 - only who waits needs it

        raise typer.Exit(follow(house.database, [job], json=json, timeout_s=timeout))


def _tell(told: Repair, *, json: bool) -> None:
    if json:
        as_json(repair_shape(told, dry_run=True))
        return
    facts([
        ("finding", f"{told.finding.id}: {told.finding.why}"),
        ("order", _words(told.order.model_dump(mode="json", exclude_none=True))),
        ("does", told.does),
        ("where", told.why),
        ("ordered", f"already, job {short(told.job.id)}" if told.job else "no: this was a dry run"),
    ])  # fmt: skip


def _words(order: dict[str, object]) -> str:
    """The order as an operator reads it."""
    return " ".join([str(order.get("kind", "")), *(f"{name}={value}" for name, value in order.items() if name != "kind" and value is not False)])
