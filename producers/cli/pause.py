"""`vzq pause` and `vzq resume`: let everything, a site, a node, a kind or a producer rest, and go on again."""

from collections.abc import Mapping
from typing import Annotated

import typer

from models.pauses import Reach
from producers.cli import door
from producers.cli.door import elsewhere
from producers.cli.options import Because, By, Json, asker
from producers.cli.screen import as_json, say, span, table
from producers.pauses import pause as let_rest
from producers.pauses import pause_shape, pauses
from producers.pauses import resume as let_go_on
from producers.refusals import BadOrder

AtSite = Annotated[str, typer.Option("--site", help="Only this site's jobs.", show_default=False)]
OnNode = Annotated[str, typer.Option("--node", help="Only jobs on this node.", show_default=False)]
OfKind = Annotated[str, typer.Option("--kind", help="Only jobs of this kind, e.g. create-container.", show_default=False)]
OfProducer = Annotated[str, typer.Option("--producer", help="Only jobs that this token or person ordered.", show_default=False)]


def pause(
    site: AtSite = "",
    node: OnNode = "",
    kind: OfKind = "",
    producer: OfProducer = "",
    listed: Annotated[bool, typer.Option("--list", help="Show what is paused, by whom, since when and why.")] = False,
    by: By = "",
    because: Because = "",
    json: Json = False,
) -> None:
    """Begin nothing more of everything, a site, a node, a kind or a producer; what runs goes on, orders are still taken."""
    if listed:
        _list(json=json)
        return
    reach, name = _reach(site=site, node=node, kind=kind, producer=producer)
    if elsewhere():
        from producers.cli import remote_pauses  # noqa: PLC0415 - needs httpx

        remote_pauses.turn("", reach, name, because=because, json=json)
        return
    with door.database() as database, database.write() as session:
        made, new = let_rest(session, reach, name, by=asker(by), because=because, now=database.now(session))
        shape, sentence = pause_shape(made), f"{made.what} rests" if new else f"{made.what} rests already, by {made.by}: {made.because}"
    as_json(shape) if json else say(f"{sentence}; `vzq resume` with the same options lets it go on")


def resume(
    site: AtSite = "", node: OnNode = "", kind: OfKind = "", producer: OfProducer = "", by: By = "", because: Because = "", json: Json = False
) -> None:
    """End a pause; jobs that waited have their whole time again."""
    reach, name = _reach(site=site, node=node, kind=kind, producer=producer)
    if elsewhere():
        from producers.cli import remote_pauses  # noqa: PLC0415 - needs httpx

        remote_pauses.turn(":resume", reach, name, because=because, json=json)
        return
    with door.house() as house:
        with house.database.write() as session:
            ended = let_go_on(session, reach, name, by=asker(by), because=because, now=house.database.now(session))
            shape = pause_shape(ended)
            left = [pause.what for pause in pauses(session) if pause is not ended]
        house.bell.wake()
    as_json(shape) if json else say(f"{ended.what} goes on" + (f"; still paused: {', '.join(left)}" if left else ""))


def _list(*, json: bool) -> None:
    if elsewhere():
        from producers.cli import remote_pauses  # noqa: PLC0415 - needs httpx

        remote_pauses.show(json=json)
        return
    with door.database() as database, database.read() as session:
        found = pauses(session)
        now = database.now(session)
    if json:
        as_json([pause_shape(pause) for pause in found])
        return
    rows = [(pause.reach, pause.name, span(now - pause.since), pause.by, pause.because) for pause in found]
    table(("paused", "which", "for", "by", "because"), rows, empty="nothing is paused")


def _reach(**given: str) -> tuple[Reach, str]:
    named: Mapping[str, str] = {option: name for option, name in given.items() if name}
    if len(named) > 1:
        raise BadOrder({f"--{option}": "one pause holds one thing; give one option, and pause twice" for option in named})
    return next(((Reach(option), name) for option, name in named.items()), (Reach.EVERYTHING, ""))
