"""`vzq rollout`: update many containers under one guard; see how far it is; stop, go on, try again what is left."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from models.campaign_states import Outcome
from models.campaigns import Campaign, CampaignKind
from producers.campaigns.shapes import campaign_shape, target_shape
from producers.cli.campaign_acts import Id, Limit, States, add_acts, far, listed
from producers.cli.campaign_doors import Counts
from producers.cli.doors import Who
from producers.cli.options import Because, By, Json, asker
from producers.cli.rollout_doors import Rollouts, acting_on_rollouts, rollouts_known
from producers.cli.rollout_flags import specified, with_flags
from producers.cli.rollout_sheet import rules, targets_of
from producers.cli.screen import as_json, clock_time, say, short, table, warn
from producers.refusals import BadOrder
from producers.rollouts.shapes import sheet_shape

app = typer.Typer(no_args_is_help=True, help="Update many containers under one guard.")
File = Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Specification, TOML or YAML; flags outrank it.", show_default=False)]
Wait = Annotated[
    bool, typer.Option("--wait", help="Follow it to its end; exit 0 when done, 1 when aborted or none ended well, 4 when stopped by its guard.")
]
Key = Annotated[str, typer.Option("--key", help="Your own name for this order; the same key and specification again is the same roll-out.")]
KIND = CampaignKind.ROLLOUT


@app.command("plan")
@with_flags
def plan_(
    given: Mapping[str, Any],
    file: File = None,
    check: Annotated[bool, typer.Option("--check", "--dry-run", help="Ask every container's package manager what would be upgraded.")] = False,
    check_timeout: Annotated[int, typer.Option("--check-timeout", min=1, help="Wait so many seconds for their answers.")] = 600,
    json: Json = False,
) -> None:
    """Show what a roll-out would do and when it would stop; nothing is written. With --check exit 1 where one could not be asked."""
    spec = specified(file, given)
    with rollouts_known() as known:
        sheet = known.plan(spec)
    if check:
        from producers.cli.rollout_check import dry_run  # noqa: PLC0415 - only here

        raise typer.Exit(dry_run(spec, sheet, timeout_s=check_timeout, json=json))
    if json:
        as_json(sheet_shape(sheet))
    else:
        targets_of(sheet)
        rules(sheet)


@app.command("start")
@with_flags
def start_(
    given: Mapping[str, Any], file: File = None, key: Key = "", by: By = "", because: Because = "", wait: Wait = False, json: Json = False
) -> None:
    """Begin a roll-out; prints its rule sheet and id."""
    spec = specified(file, given)
    with acting_on_rollouts() as known:
        sheet = known.plan(spec)
        begun = known.start(spec, key, Who(asker(by), because))
        if json and not wait:
            told = {name: value for name, value in sheet_shape(sheet).items() if name != "targets"}
            as_json(begun.shape | {"replay": begun.replay, "plan": told})
        elif not json:
            if begun.replay:
                warn(f"key {key}: this roll-out was begun before; it is {begun.campaign.state}")
            else:
                rules(sheet)
            say(begun.campaign.id)
        if wait:
            _follow(known, begun.campaign, json=json)


add_acts(app, KIND)


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
    if dry_run:
        _left(rollout, json=json)
        return
    with acting_on_rollouts() as known:
        begun = known.retry(known.find(rollout, KIND), Who(asker(by), because))
        if not json:
            say(begun.campaign.id)
        elif not wait:
            as_json(begun.shape | {"replay": begun.replay})
        if wait:
            _follow(known, begun.campaign, json=json)


@app.command("list")
def list_(state: States = None, limit: Limit = 50, json: Json = False) -> None:
    """The newest roll-outs first."""
    found = listed(KIND, state, limit)
    if json:
        as_json([campaign_shape(campaign, told) for campaign, told in found])
        return
    columns = ("id", "name", "state", "ended", "bad", "started", "why")
    table(columns, [_row(*one) for one in found], empty="no roll-outs; begin one with `vzq rollout start`", right=("ended", "bad"))


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
    with rollouts_known() as known:
        told = known.report(known.find(rollout, KIND))
    show(told) if not form and output is None else written(told, form, output)


def _left(rollout: str, *, json: bool) -> None:
    with rollouts_known() as known:
        old = known.find(rollout, KIND)
        left = known.left(old)
    if json:
        as_json({"retry_of": old.id, "population": len(left), "targets": [target_shape(target) for target in left]})
        return
    rows = [(target.ctid, target.title, target.node, target.outcome, target.reason) for target in left]
    table(("ctid", "name", "node", "was", "why"), rows, empty="nothing is left", right=("ctid",))
    failed = sum(target.outcome is not Outcome.NOT_STARTED for target in left)
    say(f"{len(left)} targets: {failed} failed, {len(left) - failed} not started")


def _follow(known: Rollouts, campaign: Campaign, *, json: bool) -> None:
    from producers.cli.rollout_watch import follow  # noqa: PLC0415 - only who waits needs it

    raise typer.Exit(follow(known, campaign.id, json=json))


def _row(campaign: Campaign, told: Counts) -> tuple[object, ...]:
    bad = told[Outcome.FAILED] + told[Outcome.UNREACHABLE] + told[Outcome.REGRESSED]
    return (short(campaign.id), campaign.name, campaign.state, far(told), bad, clock_time(campaign.started_at), campaign.why)
