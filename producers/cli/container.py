"""`vzq container`: what the house knows of containers."""

from collections import defaultdict
from typing import Annotated

import typer
from sqlmodel import col, select

from models.fleet import Address, Container, ContainerState
from models.jobs import Job
from models.orders import AdoptContainer
from producers.cli import complete, door
from producers.cli.container_verbs import add_verbs
from producers.cli.door import elsewhere
from producers.cli.downtime import LAST_OUTAGES, told_of
from producers.cli.options import Because, By, Json, Timeout, Wait, ordered
from producers.cli.screen import as_json, clock_time, facts, say, short, table
from producers.cli.sizes import as_size
from producers.cli.story import COLUMNS, RIGHT, rows
from producers.cli.updates import updates
from producers.downtime import Wanted, downtime_s, month_of, outage_shape, outages
from producers.refusals import BadOrder
from producers.shapes import container_shape, job_shape, standing_of

app = typer.Typer(no_args_is_help=True, help="List and show containers, and order what shall become of them.")


@app.command("list")
def list_(
    node: Annotated[str | None, typer.Option("--node", help="Only this node's.")] = None,
    customer: Annotated[str | None, typer.Option("--customer", help="Only this customer's.")] = None,
    state: Annotated[str | None, typer.Option("--state", help=f"Only this state: {', '.join(ContainerState)}.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")] = 1000,
    json: Json = False,
) -> None:
    """Containers and reservations, by id."""
    if elsewhere():
        from producers.cli import remote_screens  # noqa: PLC0415 - needs httpx

        remote_screens.container_list(node=node, customer=customer, state=state, limit=limit, json=json)
        return
    query = select(Container).order_by(col(Container.ctid)).limit(limit)
    if node is not None:
        query = query.where(Container.node == node)
    if customer is not None:
        query = query.where(Container.customer == customer)
    if state is not None:
        if state not in set(ContainerState):
            raise BadOrder({"--state": f"there is no state {state!r}; known: {', '.join(ContainerState)}"})
        query = query.where(Container.state == state)
    with door.database() as database, database.read() as session:
        containers = session.exec(query).all()
        addresses: dict[int, list[str]] = defaultdict(list)
        for address, ctid in session.execute(select(Address.address, Address.ctid).order_by(Address.address)):
            addresses[ctid].append(address)
    if json:
        as_json([container_shape(container, addresses[container.ctid]) for container in containers])
        return
    rows = [(one.ctid, standing_of(one.state, one.standing), one.node, one.hostname, " ".join(addresses[one.ctid]), one.plan) for one in containers]
    table(("ct", "state", "node", "hostname", "addresses", "plan"), rows, empty="no containers; order one with `vzq order create`", right=("ct",))


@app.command("show")
def show(
    container: Annotated[str, typer.Argument(metavar="CONTAINER", autocompletion=complete.containers, help="Id or vzctl name.")], json: Json = False
) -> None:
    """One container, with the jobs that had to do with it."""
    if elsewhere():
        from producers.cli import remote_screens  # noqa: PLC0415 - needs httpx

        remote_screens.container_show(container, json=json)
        return
    with door.database() as database, database.read() as session:
        wanted = (
            Container.ctid == int(container) if container.isascii() and container.isdigit() and len(container) <= 10 else Container.name == container
        )
        found = session.exec(select(Container).where(wanted)).first()
        if found is None:
            raise BadOrder({"CONTAINER": f"there is no container {container!r}; see `vzq container list`"})
        addresses = list(session.exec(select(Address.address).where(Address.ctid == found.ctid).order_by(Address.address)))
        jobs = session.exec(select(Job).where(Job.ctid == found.ctid).order_by(col(Job.id).desc()).limit(20)).all()
        now = database.now(session)
        last = [outage_shape(outage) for outage in outages(session, Wanted(ctid=found.ctid), limit=LAST_OUTAGES)]
        measured, unmeasured = downtime_s(session, found.ctid, month_of(now))
    if json:
        down = {"measured_s": measured, "unmeasured": unmeasured, "last": last}
        as_json(container_shape(found, addresses) | {"jobs": [job_shape(job) for job in jobs], "downtime": down})
        return
    facts([
        ("container", found.ctid),
        ("state", standing_of(found.state, found.standing)),
        ("name", found.name),
        ("hostname", found.hostname),
        ("customer", found.customer),
        ("node", f"{found.node} (site {found.site})"),
        ("addresses", " ".join(addresses)),
        ("resolvers", " ".join(found.nameservers)),
        ("plan", f"{found.plan}: {as_size(found.ram_bytes)} memory, {as_size(found.disk_bytes)} disk, {found.cpus} cpus" if found.plan else ""),
        ("template", found.template),
        ("probe", found.probe),
        ("since", clock_time(found.since)),
        ("made by job", short(found.job_id)),
        *told_of(last, measured, unmeasured),
    ])  # fmt: skip
    say("")
    table(COLUMNS, rows(jobs, now=now), empty="no job has had to do with it", right=RIGHT)


add_verbs(app)
app.command()(updates)


@app.command()
def adopt(
    node: Annotated[str, typer.Argument(metavar="NODE", help="The node it is on.")],
    ctid: Annotated[int, typer.Argument(metavar="CTID", help="Its id there.")],
    customer: Annotated[str | None, typer.Option("--customer", help="Whose container it is.")] = None,
    by: By = "",
    because: Because = "",
    wait: Wait = False,
    timeout: Timeout = None,
    json: Json = False,
) -> None:
    """Take a container that exists on a node into the fleet as it is. Prints the job's id."""
    from producers.cli.order import place_one  # noqa: PLC0415 - only who orders needs it

    order = ordered(AdoptContainer, {"node": node, "ctid": ctid, "customer": customer})
    place_one(order, key="", by=by, because=because, wait=wait, timeout=timeout, json=json)
