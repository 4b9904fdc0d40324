"""`vzq plan`: the sizes that can be ordered."""

from typing import Annotated

import typer
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from models.fleet import Plan
from producers.cli import door
from producers.cli.options import Because, By, Json, asker, word
from producers.cli.screen import as_json, say, table
from producers.cli.sizes import as_bytes, as_size
from producers.fleet import LEAST_DISK, LEAST_RAM, drop_plan, put_plan
from producers.refusals import BadOrder
from producers.shapes import plan_shape

app = typer.Typer(no_args_is_help=True, help="The sizes that can be ordered.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The plan's name.")]


@app.command()
def add(
    name: Name,
    *,
    ram: Annotated[str, typer.Option(help="Memory, e.g. 512M.")],
    disk: Annotated[str, typer.Option(help="Disk, e.g. 10G.")],
    swap: Annotated[str, typer.Option(help="Swap, e.g. 256M.")] = "0",
    inodes: Annotated[int | None, typer.Option(min=1, help="Files at most; the node's default if left out.")] = None,
    cpus: Annotated[int, typer.Option(min=1, max=1024, help="Processors at most.")] = 1,
    cpuunits: Annotated[int, typer.Option(min=8, max=500_000, help="Share of processor time against other containers.")] = 1000,
    downtime: Annotated[float | None, typer.Option(min=0, help="Seconds of planned downtime a month; no limit if left out.")] = None,
    by: By = "",
    because: Because = "",
    json: Json = False,
) -> None:
    """Offer a plan. The same plan again changes nothing; another one under the same name is refused."""
    plan = Plan(
        name=word(name, "NAME"),
        ram_bytes=as_bytes(ram, "--ram"),
        swap_bytes=as_bytes(swap, "--swap"),
        disk_bytes=as_bytes(disk, "--disk"),
        inodes=inodes,
        cpus=cpus,
        cpuunits=cpuunits,
        downtime_month_s=downtime,
    )
    if plan.ram_bytes < LEAST_RAM or plan.disk_bytes < LEAST_DISK:
        raise BadOrder({"--ram, --disk": "no container lives on less than 16M of memory and 64M of disk"})
    shape = plan_shape(plan)
    with door.database() as database:
        try:
            with database.write() as session:
                known = session.get(Plan, name, with_for_update=True)
                if known is not None and plan_shape(known) != shape:
                    raise BadOrder({"NAME": f"there is a plan {name!r} with other sizes; take another name or `vzq plan remove {name}` first"})
                if known is None:
                    put_plan(session, plan, by=asker(by), because=because, now=database.now(session))
        except IntegrityError:
            raise BadOrder({"NAME": f"somebody else is adding a plan {name!r} at this moment; see `vzq plan list`"}) from None
    as_json(shape) if json else say(f"plan {name}: {_sizes(shape)}")


@app.command("list")
def list_(json: Json = False) -> None:
    """All plans."""
    with door.database() as database, database.read() as session:
        plans = session.exec(select(Plan).order_by(Plan.name)).all()
    if json:
        as_json([plan_shape(plan) for plan in plans])
        return
    rows = [
        (plan.name, as_size(plan.ram_bytes), as_size(plan.swap_bytes), as_size(plan.disk_bytes), plan.inodes or "default", plan.cpus, plan.cpuunits)
        for plan in plans
    ]
    columns = ("plan", "ram", "swap", "disk", "inodes", "cpus", "cpuunits")
    table(columns, rows, empty="no plans; add one with `vzq plan add small --ram 512M --disk 10G`", right=columns[1:])


@app.command()
def remove(name: Name, by: By = "", because: Because = "", json: Json = False) -> None:
    """Offer a plan no longer. Containers and reservations keep their sizes; orders that still wait for room must have gone before."""
    with door.database() as database, database.write() as session:
        try:
            drop_plan(session, name, by=asker(by), because=because, now=database.now(session))
        except LookupError:
            raise BadOrder({"NAME": f"there is no plan {name!r}; see `vzq plan list`"}) from None
    as_json({"removed": name}) if json else say(f"plan {name} removed")


def _sizes(shape: dict[str, int]) -> str:
    return f"{as_size(shape['ram_bytes'])} memory, {as_size(shape['disk_bytes'])} disk, {shape['cpus']} cpus"
