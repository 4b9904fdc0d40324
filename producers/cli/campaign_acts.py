"""What may be done with every campaign, whatever kind it is of: the same commands under `vzq campaign` and `vzq rollout`."""

from typing import Annotated

import typer

from models.campaign_states import OVER, CampaignState, Outcome
from models.campaigns import Campaign, CampaignKind
from producers.campaigns.shapes import campaign_event_shape
from producers.cli.campaign_doors import Counts, acting_on_campaigns, campaigns
from producers.cli.doors import Who
from producers.cli.options import Because, By, Json, Timeout, asker
from producers.cli.screen import as_json, say, short
from producers.refusals import BadOrder

Id = Annotated[str, typer.Argument(metavar="ID", help="Its id or the ending of it, or the name of the newest one called so.")]
States = Annotated[list[str] | None, typer.Option("--state", help="Only this state; may be repeated. `open` is all that have not ended.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")]


def add_acts(app: typer.Typer, kind: CampaignKind | None) -> None:
    """Follow, pause, resume, speed up or slow down, abort; `kind`: only of that kind."""

    @app.command()
    def watch(campaign: Id, timeout: Timeout = None, json: Json = False) -> None:
        """Follow it live; exit 0 when done, 1 aborted (a roll-out also: none ended well), 4 stopped by its guard. With --json one event a line."""
        from producers.cli.rollout_watch import follow  # noqa: PLC0415 - only who waits needs it

        with campaigns() as known:
            raise typer.Exit(follow(known, known.find(campaign, kind).id, json=json, timeout_s=timeout))

    @app.command()
    def pause(campaign: Id, by: By = "", because: Because = "", json: Json = False) -> None:
        """Start nothing more for now; what runs goes to its end, what has not begun is held."""
        _act(campaign, kind, "pause", Who(asker(by), because), json=json)

    @app.command()
    def resume(
        campaign: Id,
        more_failures: Annotated[int, typer.Option("--more-failures", min=0, max=100_000, help="Allow so many more failures than its budget.")] = 0,
        by: By = "",
        because: Because = "",
        json: Json = False,
    ) -> None:
        """Let a paused one go on."""
        _act(campaign, kind, "resume", Who(asker(by), because), json=json, more_failures=more_failures)

    @app.command()
    def speed(
        campaign: Id,
        at_once: Annotated[int | None, typer.Argument(metavar="[AT_ONCE]", help="So many at once in all.", show_default=False)] = None,
        per_node: Annotated[int | None, typer.Option("--per-node", help="So many at once per node.", show_default=False)] = None,
        by: By = "",
        because: Because = "",
        json: Json = False,
    ) -> None:
        """Change how many go at once, from the next start on; the failure budget may allow fewer."""
        _act(campaign, kind, "speed", Who(asker(by), because), json=json, at_once=at_once, per_node=per_node)

    @app.command()
    def abort(campaign: Id, by: By = "", because: Because = "", json: Json = False) -> None:
        """End it: what has not begun is taken back, what runs goes to its end."""
        _act(campaign, kind, "abort", Who(asker(by), because), json=json)


def listed(kind: CampaignKind | None, words: list[str] | None, limit: int) -> list[tuple[Campaign, Counts]]:
    """The newest first; raises BadOrder for a state that is none."""
    states = _states(words or [])
    with campaigns() as known:
        return known.newest(kind, states, limit)


def far(told: Counts) -> str:
    """How many have ended, of how many."""
    population = sum(told.values())
    return f"{population - told[Outcome.NOT_STARTED] - told[Outcome.IN_FLIGHT]}/{population}"


def _act(called: str, kind: CampaignKind | None, verb: str, who: Who, *, json: bool, **given: int | None) -> None:
    with acting_on_campaigns() as known:
        campaign, event = known.act(known.find(called, kind), verb, who, **given)
    as_json(campaign_event_shape(event)) if json else say(f"{campaign.name} {short(campaign.id)}: {event.state}; {event.why}")


def _states(words: list[str]) -> list[CampaignState]:
    wrong = [word for word in words if word != "open" and word not in set(CampaignState)]
    if wrong:
        raise BadOrder({"--state": f"there is no state {wrong[0]!r}; known: open, {', '.join(CampaignState)}"})
    wanted = {CampaignState(word) for word in words if word != "open"}
    return sorted(wanted | (set(CampaignState) - OVER if "open" in words else set()))
