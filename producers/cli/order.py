"""`vzq order`: one container, or a file of orders."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from models.orders import CheckQueue, CreateContainer, Order
from producers.cli import door, order_file
from producers.cli.door import elsewhere
from producers.cli.failures import BAD_INPUT, REFUSED
from producers.cli.options import Because, By, Json, Site, Timeout, Wait, asker, labels, ordered
from producers.cli.screen import as_json, say, warn
from producers.refusals import BadOrder

app = typer.Typer(no_args_is_help=True, help="Order a container, or a whole file of orders.")
Given = str | None
FOLDED_FROM = 30  # lines with one reason that still fit a screen


@app.command()
def create(
    *,
    plan: Annotated[str, typer.Option(help="Plan: how much RAM, disk and CPU; see `vzq plan list`.")],
    template: Annotated[str, typer.Option(help="OS template as the nodes name it; see `vzq node show`.")],
    hostname: Annotated[str, typer.Option(help="Host name of the container.")],
    pool: Annotated[list[str] | None, typer.Option(help="Address pool, several for an address of each; any of the site if left out.")] = None,
    ipv4: Annotated[int | None, typer.Option(help="How many IPv4 addresses.")] = None,
    ipv6: Annotated[int | None, typer.Option(help="How many IPv6 addresses.")] = None,
    ctid: Annotated[int | None, typer.Option(help="Container id; the next free one if left out.")] = None,
    node: Annotated[Given, typer.Option(help="Node; chosen by free capacity if left out.")] = None,
    name: Annotated[Given, typer.Option(help="vzctl's own name of the container.")] = None,
    customer: Annotated[Given, typer.Option(help="Whose container it is.")] = None,
    nameserver: Annotated[list[str] | None, typer.Option(help="Resolver, up to four times; the pool's if left out.")] = None,
    searchdomain: Annotated[Given, typer.Option(help="Search domain.")] = None,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the root password from standard input, one line.")] = False,
    generate_password: Annotated[bool, typer.Option("--generate-password", help="Make one up; `vzq job password` shows it once.")] = False,
    wait_for_capacity: Annotated[bool, typer.Option("--wait-for-capacity", help="Queue the order when no node has room.")] = False,
    label: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Label of the container, for selections; may be repeated.")] = None,
    require: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Label that the node must have; may be repeated.")] = None,
    kernel: Annotated[Given, typer.Option(help="The node's kernel release must begin so, e.g. 2.6.32.")] = None,
    dialect: Annotated[Given, typer.Option(help="Tools the node must have: vzctl or prlctl.")] = None,
    spread: Annotated[bool, typer.Option("--spread", help="On a node without another container of the customer.")] = False,
    key: Annotated[str, typer.Option(help="Your own name for the order: the same key and order again is the same job.", show_default=False)] = "",
    site: Site = "",
    by: By = "",
    because: Because = "",
    wait: Wait = False,
    timeout: Timeout = None,
    json: Json = False,
) -> None:
    """Order a new container; prints the job's id."""
    given: dict[str, object] = {
        "plan": plan, "template": template, "hostname": hostname, "ipv4": ipv4, "ipv6": ipv6, "ctid": ctid, "node": node, "name": name,
        "customer": customer,
        "nameservers": nameserver, "searchdomain": searchdomain, "site": site, "wait_for_capacity": wait_for_capacity,
        "kernel": kernel, "dialect": dialect, "pool": pool[0] if pool and len(pool) == 1 else None, "pools": pool if pool and len(pool) > 1 else None,
        "labels": labels(label, "--label"), "require": labels(require, "--require"), "spread": spread, "generate_password": generate_password,
    }  # fmt: skip
    if password_stdin:
        given["password"] = sys.stdin.readline().rstrip("\r\n") or "-"  # an empty line is a bad password, not none
    place_one(ordered(CreateContainer, given), key=key, by=by, because=because, wait=wait, timeout=timeout, json=json)


@app.command()
def check(site: Site = "", by: By = "", because: Because = "", wait: Wait = False, timeout: Timeout = None, json: Json = False) -> None:
    """Send an order that does nothing through the whole queue, to see that all parts work together."""
    place_one(ordered(CheckQueue, {"site": site}), key="", by=by, because=because, wait=wait, timeout=timeout, json=json)


@app.command()
def submit(
    file: Annotated[str, typer.Argument(metavar="FILE", help="File of orders, one JSON object a line; - is standard input.")],
    partial: Annotated[bool, typer.Option("--partial", help="Place what can be placed; without it a file is placed whole or not at all.")] = False,
    by: By = "",
    because: Because = "",
    json: Json = False,
) -> None:
    """Place a file of orders, each with its own "key"; the same file again places nothing twice."""
    with _opened(file) as lines:
        sheet = order_file.read(lines)
    if sheet.bad and not partial:
        _report(order_file.Outcome(bad=sheet.bad, kept=False), json=json)
        raise typer.Exit(BAD_INPUT)
    outcome = _placed(sheet, partial=partial, by=by, because=because)
    outcome.bad = sorted([*sheet.bad, *outcome.bad], key=lambda line: line.number)
    _report(outcome, json=json)
    if outcome.bad or outcome.refused:
        raise typer.Exit(BAD_INPUT if outcome.bad else REFUSED)


@app.command()
def schema() -> None:
    """Print the JSON schema of a line of an order file."""
    as_json(order_file.schema())


def _placed(sheet: order_file.Sheet, *, partial: bool, by: str, because: str) -> order_file.Outcome:
    if elsewhere():
        from producers.cli import remote_screens  # noqa: PLC0415 - needs httpx

        if not partial:
            raise BadOrder({"--partial": "is needed over --url: there each order stands for itself, and a file is not taken back as a whole"})
        return remote_screens.submit(sheet.good, because=because)
    from producers.cli import submission  # noqa: PLC0415 - a file that is bad needs no house

    with door.house() as house:
        place = submission.place_each if partial else submission.place_all
        outcome = place(house, sheet.good, by=asker(by), because=because)
        if outcome.taken:
            house.bell.wake()
    return outcome


def place_one(order: Order, *, key: str, by: str, because: str, wait: bool, json: bool, timeout: float | None = None) -> None:
    """Place one order and print its job; with `wait` follow it and leave with its exit code, at the latest after `timeout` seconds."""
    if elsewhere():
        from producers.cli import remote_screens  # noqa: PLC0415 - needs httpx

        remote_screens.place([order], key=key, because=because, wait=wait, json=json, timeout=timeout)
        return
    with door.house() as house:
        with house.database.write() as session:
            accepted = house.intake.submit(session, order, by=asker(by), because=because, key=key)
        house.bell.wake()
        if not wait:
            as_json({"job": accepted.job.id, "replay": accepted.replay}) if json else say(accepted.job.id)
            return
        from producers.cli.follow import follow  # noqa: PLC0415 - only who waits needs it

        raise typer.Exit(follow(house.database, [accepted.job.id], json=json, timeout_s=timeout))


def _opened(file: str) -> "nullcontext[BinaryIO] | BinaryIO":
    if file == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(file).open("rb")
    except OSError as error:
        warn(f"{file}: {error.strerror}")
        raise typer.Exit(BAD_INPUT) from None


def _report(outcome: order_file.Outcome, *, json: bool) -> None:
    """Reasons to standard error, a line each; the sum, or everything as JSON, to standard output."""
    taken, bad, refused = outcome.taken, outcome.bad, outcome.refused
    accepted = sum(not line.replay for line in taken)
    _tell([(line.number, line.reason) for line in bad] + [(full.number, f"refused: {full.what}") for full in refused])
    if not outcome.kept:
        warn("nothing of this file was accepted; mend it and submit it again, or place what can be placed with --partial")
    if json:
        as_json(
            {
                "accepted": accepted,
                "replayed": len(taken) - accepted,
                "jobs": [{"line": line.number, "key": line.key, "job": line.job, "replay": line.replay} for line in taken],
                "bad": [{"line": line.number, "key": line.key, "reason": line.reason} for line in bad],
                "refused": [{"line": full.number, "key": full.key, "reason": full.what, "reasons": full.reasons} for full in refused],
            }
        )
        return
    say(
        f"{accepted} accepted, {len(taken) - accepted} replayed"
        + (f", {len(bad)} bad" if bad else "")
        + (f", {len(refused)} refused" if refused else "")
    )


def _tell(reasons: list[tuple[int, str]]) -> None:
    """A line each; a reason that very many lines share is told once, with their numbers."""
    lines: dict[str, list[int]] = {}
    for number, reason in reasons:
        lines.setdefault(reason, []).append(number)
    for number, reason in reasons:
        if len(lines[reason]) <= FOLDED_FROM:
            warn(f"line {number}: {reason}")
        elif lines[reason][0] == number:
            warn(f"lines {order_file.ranges(lines[reason])}: {reason}")
