"""`vzq demo`: what vzq does, shown on simulated nodes and checked against the nodes themselves."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from producers.cli import demo_migrate, demo_orders, demo_rollout
from producers.cli.empty import folder
from producers.cli.screen import say
from producers.cli.up import Speed

demo_app = typer.Typer(help="Show what vzq can do, on simulated nodes.", invoke_without_command=True)
Orders = Annotated[int, typer.Option("--orders", metavar="N", help="Containers to order.", min=1, max=100_000)]
Nodes = Annotated[int, typer.Option("--nodes", metavar="M", help="Simulated nodes.", min=1, max=500)]
Keep = Annotated[bool, typer.Option("--keep", help="Stay up afterwards, to look around, until Ctrl-C.")]
State = Annotated[
    Path | None, typer.Option("--state", help="State folder; a throw-away one if left out.", parser=folder, metavar="DIR", show_default=False)
]
Containers = Annotated[int, typer.Option("--containers", metavar="N", help="Containers to update, ten nodes' worth.", min=10, max=2000)]


@demo_app.callback()
def everything(context: typer.Context, orders: Orders = 30, nodes: Nodes = 3, keep: Keep = False, speed: Speed = None, state: State = None) -> None:
    """Run all demonstrations there are: `orders`, `migrate` and `rollout`. The options are those of `orders`."""
    if context.invoked_subcommand is not None:
        return
    ends: dict[str, str] = {}

    def run(name: str, part: Callable[[], str]) -> None:
        say(f"── {name} " + "─" * (76 - len(name)))
        ends[name] = part()

    if not keep:
        run("orders", lambda: demo_orders.place(orders, nodes, keep=False, speed=speed, state=state))
    run("migrate", lambda: demo_migrate.move(speed=speed, state=None))
    run("rollout", lambda: demo_rollout.update(demo_rollout.CONTAINERS, speed=speed, state=None))
    if keep:
        run("orders", lambda: demo_orders.place(orders, nodes, keep=True, speed=speed, state=state))
    say("── all of it, as the nodes have it " + "─" * 43)
    for name in ("rollout", "migrate", "orders"):  # the orders last, as `vzq demo orders` ends
        say(ends[name])


@demo_app.command("orders")
def place_orders(orders: Orders = 30, nodes: Nodes = 3, keep: Keep = False, speed: Speed = None, state: State = None) -> None:
    """Order containers on a house of its own, then ask the nodes whether each was made exactly once."""
    demo_orders.place(orders, nodes, keep=keep, speed=speed, state=state)


@demo_app.command("migrate")
def move_containers(speed: Speed = None, state: State = None) -> None:
    """Move a container online under a client's requests, then empty its node; the nodes say where each one runs."""
    demo_migrate.move(speed=speed, state=state)


@demo_app.command("rollout")
def roll_out(containers: Containers = demo_rollout.CONTAINERS, speed: Speed = None, state: State = None) -> None:
    """Roll an update out twice: a bad canary stops the first run, the second reaches all; the nodes say which have it."""
    demo_rollout.update(containers, speed=speed, state=state)
