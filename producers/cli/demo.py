"""`vzq demo`: what vzq does, shown on simulated nodes and checked against the nodes themselves."""

import asyncio
import secrets
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from sqlmodel import col, select

from models.jobs import Job
from producers.cli.demo_orders import Progress, book, latencies, sample, summary
from producers.cli.failures import FAILED, NOT_REACHED, REFUSED
from producers.cli.follow import watch
from producers.cli.screen import say, warn
from producers.cli.up import INTERRUPTED, Speed, age_s, running
from producers.embedded.auditor import SilentNodeError, look
from producers.embedded.bring_up import Embedded, StoppedError
from producers.embedded.verdict import Verdict, judge
from producers.refusals import Refusal

demo_app = typer.Typer(help="Show what vzq can do, on simulated nodes.", invoke_without_command=True)
ENOUGH_S = 600.0  # then the demo is over, done or not
Orders = Annotated[int, typer.Option("--orders", metavar="N", help="Containers to order.", min=1, max=100_000)]
Nodes = Annotated[int, typer.Option("--nodes", metavar="M", help="Simulated nodes.", min=1, max=500)]
Keep = Annotated[bool, typer.Option("--keep", help="Stay up afterwards, to look around, until Ctrl-C.")]
State = Annotated[Path | None, typer.Option("--state", help="State folder; a throw-away one if left out.", file_okay=False, show_default=False)]


@demo_app.callback()
def everything(context: typer.Context, orders: Orders = 30, nodes: Nodes = 3, keep: Keep = False, speed: Speed = None, state: State = None) -> None:
    """Run all demonstrations there are; at the moment that is `orders`."""
    if context.invoked_subcommand is None:
        place_orders(orders, nodes, keep, speed, state)


@demo_app.command("orders")
def place_orders(orders: Orders = 30, nodes: Nodes = 3, keep: Keep = False, speed: Speed = None, state: State = None) -> None:
    """Order containers on a house of its own, then ask the nodes whether each was made exactly once."""
    folder = state or Path(tempfile.mkdtemp(prefix="vzq-demo-"))
    good = False
    try:
        with running(state=folder, lab=nodes, speed=speed, workers=1, api=_free(), service_metrics=_free(), worker_metrics=_free()) as (embedded, _):
            say(f"ready in {age_s():.1f} s")
            verdict = _place_and_judge(embedded, orders)
            good = verdict.good
            if keep:
                _tell(verdict)
                say(f"it stays up until Ctrl-C; to look around, in another shell: export VZQ_STATE={folder.absolute()}")
                say("then: vzq job list, vzq container list, vzq node list, vzq order create …")
                embedded.tend()
        if not keep:
            _tell(verdict)
    except StoppedError:
        warn("stopped before the end")
        raise typer.Exit(INTERRUPTED) from None
    finally:
        if state is None and good:
            shutil.rmtree(folder, ignore_errors=True)
        elif state is None:
            warn(f"what happened is kept in {folder} (logs in {folder / 'logs'})")
    if not good:
        raise typer.Exit(FAILED)


def _place_and_judge(embedded: Embedded, number: int) -> Verdict:
    house, begun = embedded.house, time.monotonic()
    run = secrets.token_hex(4)  # the same sample may be ordered again on the same state folder
    try:
        with house.database.write() as session:
            ids = [
                house.intake.submit(session, order, by="vzq demo", because="demo", key=f"demo-{run}-{key}").job.id for key, order in sample(number)
            ]
    except Refusal as refusal:
        warn(f"refused: {refusal}; take fewer orders or more nodes (--orders, --nodes)")
        raise typer.Exit(REFUSED) from None
    house.bell.wake()
    view = Progress(ids)
    try:
        watch(house.database, ids, view, timeout_s=ENOUGH_S, pause=embedded.mind)
    finally:
        view.close()
    say(f"all orders ended after {time.monotonic() - begun:.1f} s; now the nodes are asked what they have")
    try:
        found = asyncio.run(look(embedded.nodes, house.settings.ssh_key_file))
    except SilentNodeError as error:
        warn(error)
        raise typer.Exit(NOT_REACHED) from None
    with house.database.read() as session:
        summary(session.exec(select(Job).where(col(Job.id).in_(ids))).all(), found)
        for line in latencies(session, ids):
            say(line)
        return judge(book(session, ids), found)


def _tell(verdict: Verdict) -> None:
    for complaint in verdict.complaints[:20]:
        warn(complaint)
    say(verdict)


def _free() -> str:
    """A free port, so that the demo runs beside a house that is up already."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{trial.getsockname()[1]}"
