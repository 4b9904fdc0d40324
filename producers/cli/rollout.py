"""`vzq rollout`: update many containers under one guard; see how far it is; stop, go on, try again what is left."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlmodel import Session, col, select

from models.campaign_states import OVER, CampaignState, Outcome
from models.campaigns import Campaign, CampaignEvent, CampaignKind
from producers.campaigns import control
from producers.cli import door
from producers.cli.options import Because, By, Json, asker
from producers.cli.rollout_flags import specified, with_flags
from producers.cli.screen import as_json, clock_time, say, short, span, table, warn
from producers.refusals import BadOrder
from producers.rollouts.shapes import campaign_event_shape, campaign_shape, sheet_shape, target_shape
from producers.rollouts.start import Sheet, left_over, retry, start
from producers.rollouts.start import plan as plan_of

app = typer.Typer(no_args_is_help=True, help="Update many containers under one guard.")
File = Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Specification, TOML or YAML; flags outrank it.", show_default=False)]
Id = Annotated[str, typer.Argument(metavar="ROLLOUT", help="A roll-out's id or its ending, or the name of the newest one called so.")]
Wait = Annotated[bool, typer.Option("--wait", help="Follow it to its end; exit 0 when done, 1 when aborted, 4 when stopped by its guard.")]
Key = Annotated[str, typer.Option("--key", help="Your own name for this order; the same key and specification again is the same roll-out.")]
Timeout = Annotated[float | None, typer.Option("--timeout", min=0, help="Stop waiting after so many seconds, with exit code 5.", show_default=False)]
SHOWN = 20  # targets of a plan that are listed


@app.command("plan")
@with_flags
def plan_(given: Mapping[str, Any], file: File = None, json: Json = False) -> None:
    """Show what a roll-out would do and when it would stop; nothing is written."""
    spec = specified(file, given)
    with door.database() as database, database.read() as session:
        sheet = plan_of(database, session, spec)
    as_json(sheet_shape(sheet)) if json else _tell(sheet)


@app.command("start")
@with_flags
def start_(
    given: Mapping[str, Any], file: File = None, key: Key = "", by: By = "", because: Because = "", wait: Wait = False, json: Json = False
) -> None:
    """Begin a roll-out; prints its rule sheet and id."""
    spec = specified(file, given)
    with door.house() as house:
        with house.database.write() as session:
            sheet = plan_of(house.database, session, spec)
            begun = start(house.database, house.intake, session, spec, by=asker(by), because=because, key=key)
            shape = campaign_shape(begun.campaign, control.counts(session, [begun.campaign.id])[begun.campaign.id])
        house.bell.wake()
        if json and not wait:
            as_json(shape | {"replay": begun.replay, "plan": {name: value for name, value in sheet_shape(sheet).items() if name != "targets"}})
        elif not json:
            rules(sheet)
            say(begun.campaign.id)
        if wait:
            _follow(begun.campaign.id, json=json)


@app.command()
def watch(rollout: Id, timeout: Timeout = None, json: Json = False) -> None:
    """Follow a roll-out live; exit 0 when done, 1 when aborted, 4 when stopped by its guard. With --json one event a line."""
    with door.database() as database, database.read() as session:
        campaign_id = control.find(session, rollout, kind=CampaignKind.ROLLOUT).id
    _follow(campaign_id, json=json, timeout=timeout)


@app.command()
def pause(rollout: Id, by: By = "", because: Because = "", json: Json = False) -> None:
    """Start nothing more for now; what runs goes to its end, what has not begun is held."""
    _act(rollout, lambda session, campaign, now: control.pause(session, campaign, by=asker(by), because=because, now=now), json=json)


@app.command()
def resume(
    rollout: Id,
    more_failures: Annotated[int, typer.Option("--more-failures", min=0, help="Allow so many more failures than its budget does.")] = 0,
    by: By = "",
    because: Because = "",
    json: Json = False,
) -> None:
    """Let a paused one go on."""

    def go_on(session: Session, campaign: Campaign, now: datetime) -> CampaignEvent:
        return control.resume(session, campaign, more_failures=more_failures, by=asker(by), because=because, now=now)

    _act(rollout, go_on, json=json)


@app.command()
def speed(
    rollout: Id,
    at_once: Annotated[int | None, typer.Argument(metavar="[AT_ONCE]", help="So many at once in all.", show_default=False)] = None,
    per_node: Annotated[int | None, typer.Option("--per-node", help="So many at once per node.", show_default=False)] = None,
    by: By = "",
    because: Because = "",
    json: Json = False,
) -> None:
    """Change how many go at once, from the next start on; the failure budget may allow fewer."""

    def change(session: Session, campaign: Campaign, now: datetime) -> CampaignEvent:
        return control.speed(session, campaign, at_once=at_once, per_node=per_node, by=asker(by), because=because, now=now)

    _act(rollout, change, json=json)


@app.command()
def abort(rollout: Id, by: By = "", because: Because = "", json: Json = False) -> None:
    """End it: what has not begun is taken back, what runs goes to its end."""
    _act(rollout, lambda session, campaign, now: control.abort(session, campaign, by=asker(by), because=because, now=now), json=json)


@app.command("retry")
def retry_(
    rollout: Id,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show which targets it would be; nothing is written.")] = False,
    by: By = "",
    because: Because = "",
    wait: Wait = False,
    json: Json = False,
) -> None:
    """A new roll-out of exactly those that failed or were not started; prints its id."""
    with door.house() as house:
        if dry_run:
            with house.database.read() as session:
                old = control.find(session, rollout, kind=CampaignKind.ROLLOUT)
                left = left_over(session, old)
            if json:
                as_json({"retry_of": old.id, "population": len(left), "targets": [target_shape(target) for target in left]})
                return
            rows = [(target.ctid, target.title, target.node, target.outcome, target.reason) for target in left]
            table(("ctid", "name", "node", "was", "why"), rows, empty="nothing is left", right=("ctid",))
            failed = sum(target.outcome is not Outcome.NOT_STARTED for target in left)
            say(f"{len(left)} targets: {failed} failed, {len(left) - failed} not started")
            return
        with house.database.write() as session:
            old = control.find(session, rollout, kind=CampaignKind.ROLLOUT)
            begun = retry(house.database, house.intake, session, old, by=asker(by), because=because)
            shape = campaign_shape(begun.campaign, control.counts(session, [begun.campaign.id])[begun.campaign.id])
        house.bell.wake()
        if not json:
            say(begun.campaign.id)
        elif not wait:
            as_json(shape | {"replay": begun.replay})
        if wait:
            _follow(begun.campaign.id, json=json)


@app.command("list")
def list_(
    state: Annotated[list[str] | None, typer.Option("--state", help="Only this state; may be repeated. `open` is all that have not ended.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")] = 50,
    json: Json = False,
) -> None:
    """The newest roll-outs first."""
    query = select(Campaign).where(Campaign.kind == CampaignKind.ROLLOUT).order_by(col(Campaign.id).desc()).limit(limit)
    if state:
        query = query.where(col(Campaign.state).in_(_states(state)))
    with door.database() as database, database.read() as session:
        campaigns = session.exec(query).all()
        told = control.counts(session, [campaign.id for campaign in campaigns])
    if json:
        as_json([campaign_shape(campaign, told[campaign.id]) for campaign in campaigns])
        return
    rows = [_row(campaign, told[campaign.id]) for campaign in campaigns]
    columns = ("id", "name", "state", "ended", "bad", "started", "why")
    table(columns, rows, empty="no roll-outs; begin one with `vzq rollout start`", right=("ended", "bad"))


@app.command("report")
def report_(
    rollout: Id,
    csv: Annotated[bool, typer.Option("--csv", help="One line a target.")] = False,
    html: Annotated[bool, typer.Option("--html", help="One page that needs nothing else.")] = False,
    output: Annotated[Path | None, typer.Option("--output", help="Write it to this file.", dir_okay=False, show_default=False)] = None,
    json: Json = False,
) -> None:
    """What became of every target; equal outputs are folded together."""
    from producers.cli.rollout_report import show, written  # noqa: PLC0415 - only here

    if csv + html + json > 1:
        raise BadOrder({"--csv": "--html and --json contradict each other; choose one"})
    form = "csv" if csv else "html" if html else "json" if json else ""
    with door.database() as database, database.read() as session:
        campaign = control.find(session, rollout, kind=CampaignKind.ROLLOUT)
        show(session, campaign) if not form and output is None else written(session, campaign, form, output)


def _follow(campaign_id: str, *, json: bool, timeout: float | None = None) -> None:
    from producers.cli.rollout_watch import follow  # noqa: PLC0415 - only who waits needs it

    with door.database() as database:
        raise typer.Exit(follow(database, campaign_id, json=json, timeout_s=timeout))


def _act(rollout: str, act: Callable[[Session, Campaign, datetime], CampaignEvent], *, json: bool) -> None:
    with door.house() as house:
        with house.database.write() as session:
            campaign = control.find(session, rollout, kind=CampaignKind.ROLLOUT, writing=True)
            event = act(session, campaign, house.database.now(session))
            session.flush()
            shape = campaign_event_shape(event)
        house.bell.wake()
        as_json(shape) if json else say(f"{campaign.name} {short(campaign.id)}: {event.state}; {event.why}")


def _tell(sheet: Sheet) -> None:
    rows = [(one.place, one.wave, one.ctid, one.title, one.node, sheet.unready.get(one.place, "")) for one in sheet.targets[:SHOWN]]
    table(("place", "wave", "ctid", "name", "node", "as things stand"), rows, empty="", right=("place", "wave", "ctid"))
    if len(sheet.targets) > SHOWN:
        say(f"… and {len(sheet.targets) - SHOWN} more (all of them with --json)")
    if len(sheet.unready) > 0:
        say(f"{len(sheet.unready)} of them cannot be updated as things stand")
    rules(sheet)


def rules(sheet: Sheet) -> None:
    """The rule sheet: population, waves, when it ends by itself, and when it would be through."""
    shape = sheet_shape(sheet)
    waves = ", ".join(str(size) for size in shape["waves"])
    at_once = f"{sheet.spec.at_once.all} at once, {sheet.spec.at_once.per_node} per node"
    say(f"{shape['population']} containers in waves of {waves}; at most {at_once}, and never more than could use up the budget")
    stops = ", ".join(str(stop) for stop in sheet.stops if stop.failures is not None)
    then = "pauses" if sheet.spec.budget.then == "pause" else "stops"
    say(f"{then} at {stops}; {', '.join(sheet.spec.budget.counts)} count" if stops else "however many fail, it goes to its end")
    for warning in sheet.warnings:
        warn(warning)
    length = f"{span(sheet.each)} each{' (a guess: nothing like it was done before)' if sheet.guessed else ''}"
    end = f"ends about {clock_time(sheet.forecast.ends_at)}" if sheet.forecast.ends_at else f"would not end: {sheet.forecast.why}"
    say(f"if none fails and all take {length}, it {end}")


def _row(campaign: Campaign, told: Mapping[Outcome, int]) -> tuple[object, ...]:
    population = sum(told.values())
    ended = population - told[Outcome.NOT_STARTED] - told[Outcome.IN_FLIGHT]
    bad = told[Outcome.FAILED] + told[Outcome.UNREACHABLE] + told[Outcome.REGRESSED]
    return (short(campaign.id), campaign.name, campaign.state, f"{ended}/{population}", bad, clock_time(campaign.started_at), campaign.why)


def _states(words: list[str]) -> list[CampaignState]:
    wrong = [word for word in words if word != "open" and word not in set(CampaignState)]
    if wrong:
        raise BadOrder({"--state": f"there is no state {wrong[0]!r}; known: open, {', '.join(CampaignState)}"})
    wanted = {CampaignState(word) for word in words if word != "open"}
    return sorted(wanted | (set(CampaignState) - OVER if "open" in words else set()))
