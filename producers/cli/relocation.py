"""`vzq node evacuate|return` and `vzq fleet rebalance|reboot`: campaigns of moves, told before they begin, followed to their end."""

import functools
import inspect
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import typer

from models.campaign_states import BAD, Outcome
from models.campaigns import Target
from models.fleet import NodeState
from models.relocations import RelocationOrder
from producers.cli import complete
from producers.cli.doors import Who
from producers.cli.options import Because, By, Json, asker, ordered
from producers.cli.relocation_doors import Left, Relocations, acting_on_relocations, relocations_known
from producers.cli.screen import as_json, clock_time, json_line, say, table, warn
from producers.refusals import BadOrder

fleet = typer.Typer(no_args_is_help=True, help="What concerns many nodes: even their load out, reboot them one after the other.")
GUARD = 4
NAMES = {"nodes": "NODE", "windows": "--window", "longest_gap_s": "--longest-gap"}  # of fields that are called otherwise on the command line
SHOWN = 40


@dataclass(frozen=True)
class How:
    """What the command does with it."""

    plan: bool
    key: str
    by: str
    because: str
    wait: bool
    json: bool


# option → field of the specification, what typer is told, what stands for it when it is left out
FIELDS: dict[str, tuple[str, Any, Any]] = {
    "mode": ("mode", Annotated[str, typer.Option(help="How running containers move: online, offline, online-else-offline.")], "online-else-offline"),
    "at_once": ("at_once", Annotated[int, typer.Option(min=1, help="Most moves at once in all.")], 4),
    "per_node": ("per_node", Annotated[int, typer.Option(min=1, help="Most moves at once from one node.")], 4),
    "failures": ("failures", Annotated[int, typer.Option(min=0, help="So many moves may fail; one more, and it stops.")], 3),
    "longest_gap": (
        "longest_gap_s",
        Annotated[float | None, typer.Option(help="Containers whose move is expected to interrupt them longer stay; seconds.", show_default=False)],
        None,
    ),
    "window": ("windows", Annotated[list[str] | None, typer.Option(help="When moves may start, e.g. 'mon-fri 22:00-04:00'; may be repeated.")], None),
    "timezone": ("timezone", Annotated[str, typer.Option(help="Whose clocks the windows go by.")], "UTC"),
}
HOW: dict[str, tuple[Any, Any]] = {
    "plan": (Annotated[bool, typer.Option("--plan", help="Only show moves, expected length and interruptions; nothing is written.")], False),
    "key": (Annotated[str, typer.Option(help="Your own name for it: the same key again is the same campaign.", show_default=False)], ""),
    "by": (By, ""),
    "because": (Because, ""),
    "wait": (Annotated[bool, typer.Option("--wait", help="Follow it to its end; exit 0 when done, 1 aborted, 4 stopped or not all moved.")], False),
    "json": (Json, False),
}


def with_flags(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the flags that all relocations share; it gets the specification's fields as `given`, the rest as `how`."""

    @functools.wraps(command)
    def called(**arguments: Any) -> None:  # noqa: ANN401 - what typer hands over
        given = {field: arguments.pop(name) for name, (field, _, _) in FIELDS.items()}
        how = How(**{name: arguments.pop(name) for name in HOW})
        command(given=given, how=how, **arguments)

    keyword = inspect.Parameter.KEYWORD_ONLY
    kept = [one.replace(kind=keyword) for one in inspect.signature(command).parameters.values() if one.name not in ("given", "how")]
    added = [inspect.Parameter(name, keyword, default=default, annotation=kind) for name, (_, kind, default) in FIELDS.items()]
    added += [inspect.Parameter(name, keyword, default=default, annotation=kind) for name, (kind, default) in HOW.items()]
    called.__signature__ = inspect.Signature([*kept, *added])  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in (*kept, *added)}
    return called


@with_flags
def evacuate(
    given: dict[str, Any],
    how: How,
    node: Annotated[str, typer.Argument(metavar="NODE", autocompletion=complete.nodes, help="The node to empty; it stays drained.")],
) -> None:
    """Move all containers of a node to others, the longest interruption first. The node stays drained."""
    _carry_out("evacuation", given | {"nodes": [node]}, how, left_on=node)


@with_flags
def return_(
    given: dict[str, Any],
    how: How,
    node: Annotated[str, typer.Argument(metavar="NODE", autocompletion=complete.nodes, help="The node to fill again; it becomes active.")],
) -> None:
    """Bring back the containers that evacuations took away from a node since it was last active. The node becomes active."""
    _carry_out("return", given | {"nodes": [node]}, how)


@fleet.command()
@with_flags
def rebalance(
    given: dict[str, Any],
    how: How,
    nodes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NODE]...", autocompletion=complete.nodes, help="The nodes; all active ones of the site if left out."),
    ] = None,
    site: Annotated[str, typer.Option("--site", envvar="VZQ_SITE", help="Site of the nodes that are not named.")] = "main",
    margin: Annotated[float, typer.Option("--margin", min=1, max=100, help="Percent of memory by which nodes may differ.")] = 10,
    most: Annotated[int, typer.Option("--most", min=1, max=1000, help="At most so many moves.")] = 20,
) -> None:
    """Move containers from full nodes to empty ones. What was moved within a day stays."""
    if not nodes:
        with relocations_known() as relocations:
            nodes = list(relocations.active(site))
        if not nodes:
            raise BadOrder({"--site": f"site {site!r} has no active node; see `vzq node list`"})
    _carry_out("rebalance", given | {"nodes": nodes, "margin": margin, "most": most}, how)


@fleet.command()
@with_flags
def reboot(
    given: dict[str, Any],
    how: How,
    nodes: Annotated[list[str], typer.Argument(metavar="NODE...", autocompletion=complete.nodes, help="The nodes, in this order.")],
    together: Annotated[int, typer.Option("--together", min=1, max=100, help="So many nodes at a time.")] = 1,
    kernel: Annotated[str | None, typer.Option("--kernel", help="What each must run afterwards; another one stops it.", show_default=False)] = None,
) -> None:
    """Empty each node, reboot it, see which kernel it runs, fill it again; then the next."""
    _carry_out("reboot", given | {"nodes": nodes, "kernel": kernel, "together": together}, how)


def _carry_out(kind: str, given: dict[str, Any], how: How, *, left_on: str = "") -> None:
    order = ordered(RelocationOrder, given | {"kind": kind}, NAMES)
    if how.plan:
        with relocations_known() as relocations:
            shape = relocations.plan(order)
        as_json(shape) if how.json else _show(shape)
        return
    with acting_on_relocations() as relocations:
        campaign_id, shape = relocations.start(order, how.key, Who(asker(how.by), how.because))
        if how.json and not how.wait:
            as_json({"campaign": campaign_id, **shape})
        elif campaign_id is None and not how.json:
            say("nothing has to move")
        elif not how.json:
            _summary(shape)
            say(campaign_id)
        if how.wait:
            raise typer.Exit(see_through(relocations, campaign_id, json=how.json, left_on=left_on))


def see_through(
    relocations: Relocations, campaign_id: str | None, *, json: bool = False, left_on: str, pause: Callable[[float], None] = time.sleep
) -> int:
    """Follow it to its end and tell what it has left behind; the exit code."""
    from producers.cli.rollout_watch import follow  # noqa: PLC0415 - only who waits needs it

    code = follow(relocations, campaign_id, json=json, pause=pause) if campaign_id is not None else 0
    if campaign_id is not None and _left_out(relocations.targets(campaign_id), tell=not json):
        code = code or GUARD
    if left_on:
        left = relocations.left(left_on)
        _tell_left(left_on, left, json=json)
        return code or (GUARD if left.containers or left.unknown else 0)
    return code


def _tell_left(node: str, left: Left, *, json: bool) -> None:
    state = "drained" if left.state == NodeState.DRAINING else left.state
    if json:
        json_line({"node": node, "state": left.state, "containers": left.containers, "unknown": left.unknown, "making": sorted(left.making)})
        return
    for ctid, job in left.making.items():
        say(f"  container {ctid} is still being made by job {job}; run this again when that has ended")
    if left.unknown:
        say(f"  {left.unknown} containers on it are not in the books; see `vzq finding list`")
    unknown = f" and {left.unknown} unknown ones" if left.unknown else ""
    say(f"{node}: {left.containers} containers{unknown}, {state}")


def _left_out(targets: Sequence[Target], *, tell: bool) -> bool:
    """Say of each that did not move why, the first ones; whether any has failed."""
    bad = [target for target in targets if target.outcome in BAD | {Outcome.SKIPPED}]
    for target in sorted(bad, key=lambda one: (one.outcome == Outcome.SKIPPED, one.place))[:SHOWN] if tell else ():
        say(f"  {f'container {target.ctid}' if target.ctid is not None else f'node {target.node}'} {target.outcome}: {target.reason}")
    return any(target.outcome in BAD for target in bad)


def _show(shape: dict[str, Any]) -> None:
    rows = [(one["wave"], one["ctid"], one["name"], one["node"], one["to"] or "by room", f"{one['gap_s']:.2f} s") for one in shape["moves"][:SHOWN]]
    table(("wave", "ct", "name", "from", "to", "expected gap"), rows, empty="no moves", right=("wave", "ct", "expected gap"))
    if len(shape["moves"]) > SHOWN:
        say(f"… and {len(shape['moves']) - SHOWN} more (all of them with --json)")
    for one in shape["staying"]:
        say(f"container {one['ctid']} stays: {one['why']}")
    _summary(shape)


def _summary(shape: dict[str, Any]) -> None:
    gaps = sorted((one["gap_s"] for one in shape["moves"]), reverse=True)
    reboots = f", {len(shape['reboots'])} reboots" if shape["reboots"] else ""
    end = f"ends about {clock_time(datetime.fromisoformat(shape['ends_at']))}" if shape["ends_at"] else f"would not end: {shape['would_not_end']}"
    known = "which is a guess" if shape["guessed"] else "as far as the past tells"
    longest = f"; each container is down for {gaps[0]:.1f} s at most, {known}" if gaps else ""
    say(f"{len(gaps)} moves{reboots}: {end}{longest}")
    if shape["guessed"] and gaps:
        warn("no move was ever measured here: the figures are a guess")
