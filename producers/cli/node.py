"""`vzq node`: take nodes into the fleet, look at them, drain them. Nothing here touches a node: all of it are orders and rows."""

import sys
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import func
from sqlmodel import Session, col, select

from models.fleet import Container, Node, NodeState
from models.jobs import Job
from models.kinds import DEFAULT_SLOTS, Slots
from models.lifecycle import FINAL, State
from models.orders import EnrolNode, ObserveNode, Order, ScanHostKey
from models.whitelist import Proxy, Word
from producers.audit import audit
from producers.cli import complete, door
from producers.cli.door import elsewhere
from producers.cli.failures import BAD_INPUT, FAILED, NOT_REACHED, REFUSED
from producers.cli.follow import see_through
from producers.cli.options import Because, By, Json, Site, Timeout, Wait, asker, labels, ordered
from producers.cli.order import place_one
from producers.cli.relocation import evacuate, return_
from producers.cli.rows import stands
from producers.cli.screen import as_json, clock_time, facts, say, short, span, table, warn
from producers.cli.sizes import as_share
from producers.fleet import change_node, node_shapes, turn
from producers.house import House
from producers.refusals import BadOrder, Refusal

app = typer.Typer(no_args_is_help=True, help="Take nodes into the fleet, look at them, drain them.")
Name = Annotated[str, typer.Argument(metavar="NAME", autocompletion=complete.nodes, help="The node's name.")]
PROXY: TypeAdapter[str] = TypeAdapter(Proxy)
WORD: TypeAdapter[str] = TypeAdapter(Word)
SLOTS: TypeAdapter[dict[str, int | None]] = TypeAdapter(Slots)
UNKNOWN = "SHA256:" + "A" * 43  # stands for a fingerprint that is not known yet while the rest of the order is checked
ADVICE = {  # by the class of the job's last error
    "Unreachable": "see that sshd runs there, that host and port are right, and that this host's key (`vzq key`) is in root's authorized_keys",
    "Permanent": "what it says must be put right first; then run this command again",
}


@app.command()
def add(
    name: Name,
    *,
    host: Annotated[str, typer.Option(help="Host name or address on which its sshd listens.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of its sshd.")] = 22,
    user: Annotated[str, typer.Option(help="User with root's rights.")] = "root",
    fingerprint: Annotated[str, typer.Option(help="Fingerprint of its host key, SHA256:…; scanned and shown if left out.", show_default=False)] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Take the scanned host key without asking; only where nobody can sit in between.")] = False,
    site: Site = "",
    by: By = "",
    because: Because = "",
    timeout: Timeout = None,
    json: Json = False,
) -> None:
    """Take a machine into the fleet: pin its host key, install the node's side, learn what it can do."""
    at: dict[str, object] = {"host": host, "port": port, "site": site}
    scan = ordered(ScanHostKey, at)
    enrolment = at | {"node": name, "user": user, "fingerprint": fingerprint or UNKNOWN}
    ordered(EnrolNode, enrolment)  # whatever is wrong with it is told before anything is placed
    if not (fingerprint or yes or sys.stdin.isatty()):
        warn("no terminal to confirm the host key on; give --fingerprint SHA256:… (`ssh-keygen -lf` on the node shows it), or --yes")
        raise typer.Exit(BAD_INPUT)
    with door.house() as house:
        if not fingerprint:
            fingerprint = _scanned(house, scan, by=by, because=because, yes=yes, timeout=timeout, json=json)
        job = _carried_out(house, ordered(EnrolNode, enrolment | {"fingerprint": fingerprint}), by=by, because=because, timeout=timeout, json=json)
        _insist(job, f"node {name} was not enrolled")
        with house.database.read() as session:
            node = _node(session, name)
            shape = node_shapes(session, [node])[0]
    as_json(shape) if json else _show(node, shape)


@app.command("list")
def list_(site: Annotated[str, typer.Option("--site", help="Only this site's.")] = "", json: Json = False) -> None:
    """All nodes, with what is taken of them."""
    if elsewhere():
        from producers.cli import remote_screens  # noqa: PLC0415 - needs httpx

        remote_screens.node_list(site=site, json=json)
        return
    query = select(Node).order_by(Node.site, Node.name)
    if site:
        query = query.where(Node.site == site)
    with door.database() as database, database.read() as session:
        nodes = session.exec(query).all()
        shapes = node_shapes(session, nodes)
        now = database.now(session)
    if json:
        as_json(shapes)
        return
    rows = [
        (
            node.name,
            node.site,
            stands(shape),
            shape["containers"],
            as_share(shape["memory_taken"], node.memory_bytes),
            as_share(shape["disk_taken"], node.disk_bytes),
            node.finding or (f"seen {span(now - node.seen_at)} ago" if node.seen_at else "not seen yet"),
        )
        for node, shape in zip(nodes, shapes, strict=True)
    ]
    columns = ("node", "site", "state", "cts", "memory", "disk", "finding")
    table(columns, rows, empty="no nodes; take one into the fleet with `vzq node add NAME --host HOST`", right=("cts", "memory", "disk"))


@app.command("show")
def show(name: Name, json: Json = False) -> None:
    """One node: what it can do, what is taken of it, what is wrong with it."""
    with door.database() as database, database.read() as session:
        node = _node(session, name)
        shape = node_shapes(session, [node])[0]
    as_json(shape) if json else _show(node, shape)


@app.command()
def observe(name: Name, by: By = "", because: Because = "", wait: Wait = False, timeout: Timeout = None, json: Json = False) -> None:
    """Look at a node again: abilities, free space, containers. Prints the job's id."""
    with door.database() as database, database.read() as session:
        site = _node(session, name).site  # its own site's workers reach it
    place_one(ordered(ObserveNode, {"node": name, "site": site}), key="", by=by, because=because, wait=wait, timeout=timeout, json=json)


@app.command()
def drain(name: Name, by: By = "", because: Because = "", json: Json = False) -> None:
    """Let a node finish what it has and give it nothing new."""
    _turn(name, NodeState.DRAINING, by=by, because=because, json=json)


@app.command()
def activate(name: Name, by: By = "", because: Because = "", json: Json = False) -> None:
    """Let a node take new containers again; a breaker that is open after a fault is closed, for the fault is mended."""
    _turn(name, NodeState.ACTIVE, by=by, because=because, json=json)


@app.command()
def describe(
    name: Name,
    *,
    proxy: Annotated[
        str | None, typer.Option(metavar="URL", help="http://HOST:PORT for the package managers in its containers; '' for none.", show_default=False)
    ] = None,
    domain: Annotated[str | None, typer.Option(help="Failure domain: rack, power feed; '' for none.", show_default=False)] = None,
    containers_max: Annotated[int | None, typer.Option(min=0, help="At most so many containers; 0: no limit.", show_default=False)] = None,
    slots: Annotated[
        list[str] | None,
        typer.Option(metavar="LOAD=N", help=f"Jobs of a load at once ({', '.join(DEFAULT_SLOTS)}); LOAD= for the default.", show_default=False),
    ] = None,
    by: By = "",
    because: Because = "",
    json: Json = False,
) -> None:
    """Say what a node is good for and how its containers reach their mirrors; what is not given stays."""
    wanted: dict[str, Any] = {"proxy": proxy, "domain": domain, "containers_max": containers_max, "slots": _slots(slots)}
    wanted = {field: value for field, value in wanted.items() if value is not None}
    kinds: dict[str, TypeAdapter[Any]] = {"proxy": PROXY, "domain": WORD, "slots": SLOTS}
    for field, kind in kinds.items():
        if wanted.get(field):
            try:
                kind.validate_python(wanted[field])
            except ValidationError as error:
                raise BadOrder({f"--{field}": str(error.errors()[0]["msg"]).removeprefix("Value error, ")}) from None
    if not wanted:
        raise BadOrder({"--proxy": "nothing is to be changed; give --proxy, --domain, --containers-max or --slots"})
    with door.database() as database, database.write() as session:
        node = _node(session, name, writing=True)
        change_node(session, node, wanted, by=asker(by), because=because, now=database.now(session))
        shape = node_shapes(session, [node])[0]
    as_json(shape) if json else _show(node, shape)


def _slots(given: list[str] | None) -> dict[str, int | None] | None:
    if not given:
        return None
    counts = {load: most.strip() for load, most in labels(given, "--slots").items()}
    wrong = next((load for load, most in counts.items() if most and not (most.isascii() and most.isdigit())), None)
    if wrong is not None:
        raise BadOrder({"--slots": f"{wrong}={counts[wrong]} is not LOAD=NUMBER"})
    return {load: int(most) if most else None for load, most in counts.items()}


@app.command()
def lost(name: Name, by: By = "", because: Because = "", json: Json = False) -> None:
    """Say that a node is gone for good: its jobs go elsewhere or end, and nothing starts there unseen if it comes back."""
    _turn(name, NodeState.LOST, by=by, because=because, json=json)


app.command("evacuate")(evacuate)
app.command("return")(return_)


@app.command()
def remove(name: Name, by: By = "", because: Because = "", json: Json = False) -> None:
    """Forget a node that was never enrolled, or one that is drained and empty. Nothing is done on the machine itself."""
    with door.database() as database, database.write() as session:
        node = _node(session, name, writing=True)
        if node.state == NodeState.ACTIVE:
            raise Refusal(f"node {name} is active; drain it first with `vzq node drain {name}`")
        kept = session.exec(select(func.count()).select_from(Container).where(Container.node == name)).one()
        if kept:
            raise Refusal(f"node {name} has {kept} containers or reservations; see `vzq container list --node {name}`")
        is_open = col(Job.state).in_(sorted(set(State) - FINAL))
        busy = [job.id for job in session.exec(select(Job).where(is_open)) if name in (job.node, job.order.get("node"))]
        if busy:
            raise Refusal(f"job {short(busy[0])} has still to do with node {name}; wait for its end or cancel it")
        session.delete(node)
        audit(session, at=database.now(session), by=asker(by), action="node remove", subject=f"node:{name}", because=because)
    as_json({"removed": name}) if json else say(f"node {name} is forgotten; take this host's key out of its authorized_keys")


def _turn(name: str, state: NodeState, *, by: str, because: str, json: bool) -> None:
    with door.house() as house:
        with house.database.write() as session:
            node = turn(session, _node(session, name, writing=True), state, by=asker(by), because=because, now=house.database.now(session))
            shape = node_shapes(session, [node])[0]
        house.bell.wake()
    as_json(shape) if json else say(f"node {name} is {state}")


def _scanned(house: House, order: ScanHostKey, *, by: str, because: str, yes: bool, timeout: float | None, json: bool) -> str:
    """The fingerprint that the machine shows, once a person has said that it is the right one."""
    job = _carried_out(house, order, by=by, because=because, timeout=timeout, json=json)
    _insist(job, f"the host key of {order.host}:{order.port} could not be read")
    shown = str(job.result.get("fingerprint", ""))
    sentence = f"{order.host}:{order.port} shows the {job.result.get('algorithm', '')} host key {shown}"
    if yes:
        warn(f"{sentence}; taken without being compared (--yes)")
        return shown
    say(sentence)
    say("compare it with what the machine's own console prints: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
    if not typer.confirm("Is it the same?"):
        warn("nothing was enrolled")
        raise typer.Exit(REFUSED)
    return shown


def _insist(job: Job, otherwise: str) -> None:
    """The job is done, or the command ends here with what to do now."""
    if job.state == State.DONE:
        return
    if not (job.ended or job.state == State.STUCK):
        warn(f"{otherwise} within the time; job {short(job.id)} goes on: `vzq job why {short(job.id)}` tells what it waits for")
        raise typer.Exit(NOT_REACHED)
    warn(f"{otherwise}: {job.error or job.state}")
    advice = ADVICE.get(job.error_class, f"see `vzq job show {short(job.id)}`, mend it and run this command again")
    warn(f"{advice} (job {short(job.id)})")
    raise typer.Exit(FAILED)


def _carried_out(house: House, order: Order, *, by: str, because: str, timeout: float | None, json: bool) -> Job:
    """Place the order and follow its job to the end, for `timeout` seconds at most."""
    with house.database.write() as session:
        accepted = house.intake.submit(session, order, by=asker(by), because=because)
    house.bell.wake()
    return see_through(house.database, accepted.job.id, quiet=json, timeout_s=timeout)


def _node(session: Session, name: str, *, writing: bool = False) -> Node:
    node = session.get(Node, name, with_for_update=writing)
    if node is None:
        raise BadOrder({"NAME": f"there is no node {name!r}; see `vzq node list`"})
    return node


def _show(node: Node, shape: dict[str, Any]) -> None:
    can = node.abilities
    able = [word for word in ("vswap", "ploop", "checkpointing", "ssh_mux") if can.get(word)]
    facts([
        ("node", node.name),
        ("state", stands(shape)),
        ("site", node.site),
        ("reached at", f"{node.user}@{node.host}:{node.port}"),
        ("runs", " ".join(str(can[word]) for word in ("dialect", "version", "kernel", "arch") if can.get(word))),
        ("can do", ", ".join(able)),
        ("containers", shape["containers"]),
        ("memory", as_share(shape["memory_taken"], node.memory_bytes)),
        ("disk", as_share(shape["disk_taken"], node.disk_bytes)),
        ("templates", ", ".join(map(str, can.get("templates", [])))),
        ("slots", ", ".join(f"{node.slots_for(load)} {load}" for load in DEFAULT_SLOTS)),
        ("mirror proxy", node.proxy),
        ("finding", f"{node.finding}: {node.finding_why}" if node.finding else ""),
        ("broken until", clock_time(node.broken_until)),
        ("last seen", clock_time(node.seen_at)),
    ])  # fmt: skip
