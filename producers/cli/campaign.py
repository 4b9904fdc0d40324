"""`vzq campaign`: evacuations, returns, rebalancings, rolling reboots and roll-outs; see how far one is, hold it, end it."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import typer
from sqlmodel import Session, col, select

from models.campaign_states import Outcome
from models.campaigns import Campaign, CampaignEvent, Target
from producers.campaigns import control
from producers.cli import door
from producers.cli.options import Because, By, Json, asker
from producers.cli.screen import as_json, clock_time, facts, say, short, table
from producers.refusals import BadOrder
from producers.rollouts.shapes import campaign_event_shape, campaign_shape, target_shape

app = typer.Typer(no_args_is_help=True, help="Many jobs under one guard: list, show, follow, pause, resume, abort.")
Id = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="Its id or ending, or the name of the newest one called so.")]
Timeout = Annotated[float | None, typer.Option("--timeout", min=0, help="Stop waiting after so many seconds, with exit code 5.", show_default=False)]


@app.command("list")
def list_(
    kind: Annotated[str | None, typer.Option("--kind", help="Only this kind.", show_default=False)] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")] = 50,
    json: Json = False,
) -> None:
    """The newest first."""
    query = select(Campaign).order_by(col(Campaign.id).desc()).limit(limit)
    with door.database() as database, database.read() as session:
        campaigns = session.exec(query.where(Campaign.kind == kind) if kind else query).all()
        told = control.counts(session, [campaign.id for campaign in campaigns])
    if json:
        as_json([campaign_shape(campaign, told[campaign.id]) for campaign in campaigns])
        return
    rows = [(short(one.id), one.kind, one.name, one.state, _far(told[one.id]), clock_time(one.started_at), one.why) for one in campaigns]
    table(("id", "kind", "name", "state", "ended", "started", "why"), rows, empty="no campaigns; e.g. `vzq node evacuate n1`", right=("ended",))


@app.command()
def show(campaign: Id, json: Json = False) -> None:
    """One campaign with its targets and what became of each."""
    with door.database() as database, database.read() as session:
        found = control.find(session, campaign)
        told = control.counts(session, [found.id])[found.id]
        targets = session.exec(select(Target).where(Target.campaign_id == found.id).order_by(col(Target.place))).all()
    if json:
        as_json(campaign_shape(found, told) | {"targets": [target_shape(target) for target in targets]})
        return
    facts([
        ("campaign", found.id), ("kind", found.kind), ("name", found.name), ("state", found.state), ("why", found.why),
        ("ordered by", found.producer), ("because", found.because), ("started", clock_time(found.started_at)), ("ended", clock_time(found.ended_at)),
        ("ended well", f"{told[Outcome.OK] + told[Outcome.UP_TO_DATE]} of {sum(told.values())}"),
    ])  # fmt: skip
    say("")
    rows = [(one.wave, one.ctid or "", one.title, one.node, one.outcome, short(one.job_id), one.reason) for one in targets]
    table(("wave", "ct", "name", "node", "outcome", "job", "why"), rows, empty="no targets", right=("wave", "ct"))


@app.command()
def watch(campaign: Id, timeout: Timeout = None, json: Json = False) -> None:
    """Follow it live; exit 0 when done, 1 when aborted, 4 when stopped or paused by its guard."""
    from producers.cli.rollout_watch import follow  # noqa: PLC0415 - only here

    with door.database() as database:
        with database.read() as session:
            campaign_id = control.find(session, campaign).id
        raise typer.Exit(follow(database, campaign_id, json=json, timeout_s=timeout))


@app.command()
def pause(campaign: Id, by: By = "", because: Because = "", json: Json = False) -> None:
    """Start nothing more for now; what runs goes to its end."""
    _act(campaign, lambda session, one, now: control.pause(session, one, by=asker(by), because=because, now=now), json=json)


@app.command()
def resume(
    campaign: Id,
    more_failures: Annotated[int, typer.Option("--more-failures", min=0, help="Allow so many more failures than its budget does.")] = 0,
    by: By = "",
    because: Because = "",
    json: Json = False,
) -> None:
    """Let a paused one go on."""

    def go_on(session: Session, one: Campaign, now: datetime) -> CampaignEvent:
        return control.resume(session, one, more_failures=more_failures, by=asker(by), because=because, now=now)

    _act(campaign, go_on, json=json)


@app.command()
def abort(campaign: Id, by: By = "", because: Because = "", json: Json = False) -> None:
    """End it: what has not begun is taken back, what runs goes to its end."""
    _act(campaign, lambda session, one, now: control.abort(session, one, by=asker(by), because=because, now=now), json=json)


def _act(wanted: str, act: Callable[[Session, Campaign, datetime], CampaignEvent], *, json: bool) -> None:
    if not wanted:
        raise BadOrder({"CAMPAIGN": "is missing; see `vzq campaign list`"})
    with door.house() as house:
        with house.database.write() as session:
            found = control.find(session, wanted, writing=True)
            event = act(session, found, house.database.now(session))
            session.flush()
            shape = campaign_event_shape(event)
        house.bell.wake()
        as_json(shape) if json else say(f"{found.name} {short(found.id)}: {event.state}; {event.why}")


def _far(told: dict[Outcome, int]) -> str:
    population = sum(told.values())
    return f"{population - told[Outcome.NOT_STARTED] - told[Outcome.IN_FLIGHT]}/{population}"
