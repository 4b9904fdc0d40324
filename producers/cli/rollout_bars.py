"""A roll-out live on a terminal: a bar a wave, a bar a node, what went wrong last, the counts and the predicted end."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from models.campaign_states import BAD, OPEN_OUTCOMES, CampaignState, Outcome
from models.campaigns import Campaign, CampaignEvent, Target
from producers.cli.screen import clean, clock_time, span

STYLES: dict[Outcome, str] = {  # in this order from the left of a bar
    Outcome.OK: "green",
    Outcome.UP_TO_DATE: "dim green",
    Outcome.SKIPPED: "yellow",
    Outcome.REGRESSED: "magenta",
    Outcome.UNREACHABLE: "bright_red",
    Outcome.FAILED: "red",
    Outcome.IN_FLIGHT: "cyan",
    Outcome.NOT_STARTED: "bright_black",
}
STATES = {CampaignState.RUNNING: "bold cyan", CampaignState.DONE: "bold green", CampaignState.ABORTED: "bold red", CampaignState.STOPPED: "bold red"}
BAR, WIDE_BAR, WORDS = 20, 40, 20
WIDE = 110  # columns from which nodes stand beside each other
TROUBLES = 3  # of the newest that are told
OTHER_LINES = 8  # head, counts, troubles, blank lines


class Bars:
    """The View for terminals."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._live.start()

    def show(self, campaign: Campaign, targets: Sequence[Target], events: Sequence[CampaignEvent], ends_at: datetime | None) -> None:
        """Draw it anew."""
        for event in events:
            self._console.print(Text(clean(f"{clock_time(event.at)} {event.cause.replace('_', ' ')}: {event.why}"), "dim"))
        waves, nodes = _grouped(targets, "wave"), _grouped(targets, "node")
        room = max(4, self._console.height - OTHER_LINES - len(waves))
        parts: list[RenderableType] = [_head(campaign, ends_at), _bars(_named(campaign, waves), WIDE_BAR), Text("")]
        parts += [
            _nodes(nodes, room, wide=self._console.width >= WIDE),
            Text(""),
            *_troubles(targets),
            _legend(Counter(one.outcome for one in targets)),
        ]
        self._live.update(Group(*parts), refresh=True)

    def close(self) -> None:
        """Leave the screen as it is."""
        self._live.stop()


def _grouped(targets: Sequence[Target], by: str) -> dict[object, Counter[Outcome]]:
    groups: dict[object, Counter[Outcome]] = defaultdict(Counter)
    for target in targets:
        groups[getattr(target, by)][target.outcome] += 1
    return dict(sorted(groups.items(), key=lambda group: _by_number(group[0])))


def _named(campaign: Campaign, waves: Mapping[object, Counter[Outcome]]) -> dict[str, Counter[Outcome]]:
    canaries = campaign.spec.get("waves", {}).get("canaries")
    return {"canaries" if wave == 0 and canaries else f"wave {wave}": told for wave, told in waves.items()}


def _by_number(name: object) -> tuple[str, int]:
    """n2 before n10."""
    text = str(name)
    word = text.rstrip("0123456789")
    return word, int(text[len(word) :] or 0)


def _head(campaign: Campaign, ends_at: datetime | None) -> Text:
    since = campaign.started_at
    lasts = f"{span((campaign.ended_at or datetime.now(UTC)) - since)} since {clock_time(since)}"
    end = f", ends about {clock_time(ends_at)} (in {span(ends_at - datetime.now(UTC))})" if ends_at and not campaign.over else ""
    why = f"\n{clean(campaign.why)}" if campaign.why else ""
    state = (str(campaign.state), STATES.get(campaign.state, "bold yellow"))
    return Text.assemble((clean(campaign.name), "bold"), "  ", state, f"  {lasts}{end}", (why, "dim"))


def _nodes(nodes: Mapping[object, Counter[Outcome]], room: int, *, wide: bool) -> RenderableType:
    """As many as fit on the screen, those with something going on first."""
    columns = 2 if wide and len(nodes) > 4 else 1
    fitting = room * columns
    shown = nodes
    if len(nodes) > fitting:
        busy = sorted(nodes, key=lambda node: (-nodes[node][Outcome.IN_FLIGHT], -sum(nodes[node][bad] for bad in BAD)))[: fitting - 1]
        shown = {node: told for node, told in nodes.items() if node in busy}
    parts = [dict(list(shown.items())[part::columns]) for part in range(columns)]
    table = Table.grid(padding=(0, 4))
    table.add_row(*(_bars({str(node): told for node, told in part.items()}, BAR) for part in parts))
    left = len(nodes) - len(shown)
    return Group(table, Text(f"… and {left} more nodes", "dim")) if left else table


def _bars(groups: Mapping[str, Counter[Outcome]], width: int) -> Table:
    grid = Table.grid(padding=(0, 2))
    for least in (0, width, 0, WORDS):  # bars neither shrink nor jump when words beside them come and go
        grid.add_column(no_wrap=True, min_width=least)
    for name, told in groups.items():
        population = sum(told.values())
        ended = population - sum(told[outcome] for outcome in OPEN_OUTCOMES)
        flying, bad = told[Outcome.IN_FLIGHT], sum(told[outcome] for outcome in BAD)
        words = Text.assemble((f"{flying} in flight  " if flying else "", STYLES[Outcome.IN_FLIGHT]), (f"{bad} bad" if bad else "", "red"))
        grid.add_row(Text(clean(name), "bold"), _bar(told, width), Text(f"{ended}/{population}", justify="right"), words)
    return grid


def _bar(told: Counter[Outcome], width: int) -> Text:
    """A stretch for each outcome; what there is of one is never too little to be seen."""
    population = max(1, sum(told.values()))
    lengths = {outcome: max(1, told[outcome] * width // population) if told[outcome] else 0 for outcome in STYLES}
    longest = max(lengths, key=lambda outcome: lengths[outcome])
    lengths[longest] += width - sum(lengths.values())
    return Text.assemble(*(("━" * length, STYLES[outcome]) for outcome, length in lengths.items() if length > 0))


def _troubles(targets: Sequence[Target]) -> list[Text]:
    """What went wrong last."""
    ended = sorted((one.ended_at, one.place, one) for one in targets if one.outcome in BAD and one.ended_at)
    return [
        Text(f"{clock_time(at)} {one.outcome}: {clean(one.title)}: {clean(one.reason)}", STYLES[one.outcome], no_wrap=True, overflow="ellipsis")
        for at, _, one in ended[-TROUBLES:]
    ]


def _legend(told: Counter[Outcome]) -> Text:
    """The counts in the colours of the bars; together the population."""
    always = (Outcome.OK, Outcome.FAILED, Outcome.UNREACHABLE)
    words = [(f"{told[outcome]} {outcome.replace('-', ' ')}", style) for outcome, style in STYLES.items() if told[outcome] or outcome in always]
    parts = [part for word in words for part in (word, ("  ", ""))]
    return Text.assemble(*parts, (f"of {sum(told.values())}", "bold"))
