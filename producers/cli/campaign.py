"""`vzq campaign`: evacuations, returns, rebalancings, rolling reboots and roll-outs; see how far one is, hold it, end it."""

from typing import Annotated

import typer

from models.campaign_states import Outcome
from models.campaigns import CampaignKind
from producers.campaigns.shapes import campaign_shape, target_shape
from producers.cli.campaign_acts import Id, Limit, States, add_acts, far, listed
from producers.cli.campaign_doors import campaigns
from producers.cli.options import Json
from producers.cli.screen import as_json, clock_time, facts, say, short, table

app = typer.Typer(no_args_is_help=True, help="Many jobs under one guard: list, show, follow, pause, resume, abort.")
add_acts(app, None)


@app.command("list")
def list_(
    kind: Annotated[CampaignKind | None, typer.Option("--kind", help="Only this kind.", show_default=False)] = None,
    state: States = None,
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """The newest first."""
    found = listed(kind, state, limit)
    if json:
        as_json([campaign_shape(campaign, told) for campaign, told in found])
        return
    rows = [(short(one.id), one.kind, one.name, one.state, far(told), clock_time(one.started_at), one.why) for one, told in found]
    table(("id", "kind", "name", "state", "ended", "started", "why"), rows, empty="no campaigns; e.g. `vzq node evacuate n1`", right=("ended",))


@app.command()
def show(campaign: Id, json: Json = False) -> None:
    """One campaign with its targets and what became of each."""
    with campaigns() as known:
        found = known.find(campaign, None)
        told, targets = known.counts(found.id), known.targets(found.id)
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
