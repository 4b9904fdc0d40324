"""A roll-out live on a terminal: a bar a wave, a bar a node, the counts and the predicted end."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from models.campaign_states import BAD, OPEN_OUTCOMES, Outcome
from models.campaigns import Campaign, CampaignEvent, Target
from producers.cli.screen import clean, clock_time

MOST = 20  # bars of nodes at once; more would not fit a screen


class Bars:
    """The View for terminals."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._live.start()

    def show(self, campaign: Campaign, targets: Sequence[Target], events: Sequence[CampaignEvent], ends_at: datetime | None) -> None:
        """Draw it anew."""
        for event in events:
            self._console.print(Text(clean(f"{clock_time(event.at)} {event.cause.replace('_', ' ')}: {event.why}"), "dim"))
        waves = sorted({target.wave for target in targets})
        nodes = sorted({target.node for target in targets})
        rows = [(f"wave {wave}", [one for one in targets if one.wave == wave]) for wave in waves]
        rows += [(node, [one for one in targets if one.node == node]) for node in nodes[:MOST]]
        end = f", ends about {clock_time(ends_at)}" if ends_at and not campaign.over else ""
        head = Text(clean(f"{campaign.name}: {campaign.state}{end}; {campaign.why}"), "bold")
        self._live.update(Group(head, _grid(rows)), refresh=True)

    def close(self) -> None:
        """Leave the screen as it is."""
        self._live.stop()


def _grid(rows: Iterable[tuple[str, list[Target]]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for name, targets in rows:
        ended = sum(target.outcome not in OPEN_OUTCOMES for target in targets)
        bad = sum(target.outcome in BAD for target in targets)
        flying = sum(target.outcome is Outcome.IN_FLIGHT for target in targets)
        style = "red" if bad else "green"
        bar = ProgressBar(total=len(targets), completed=ended, width=30, complete_style=style, finished_style=style)
        told = f"{ended}/{len(targets)}" + (f", {flying} in flight" if flying else "") + (f", {bad} bad" if bad else "")
        grid.add_row(Text(clean(name)), bar, Text(told))
    return grid
