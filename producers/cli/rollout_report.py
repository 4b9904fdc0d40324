"""The report of a roll-out on the screen or in a file."""

import json
from pathlib import Path

from models.campaign_states import GOOD, OPEN_OUTCOMES, Outcome
from producers.cli.door import Unusable
from producers.cli.rollout_watch import in_words
from producers.cli.screen import as_json, clock_time, facts, say, table
from producers.rollouts.report import Report, as_csv, as_html, report_shape

LINES = 6  # of an output that are shown


def show(told: Report) -> None:
    """Facts, counts by wave and node, what went wrong, and the outputs."""
    campaign = told.campaign
    facts([
        ("roll-out", f"{campaign.name} {campaign.id}"),
        ("state", campaign.state),
        ("why", campaign.why),
        ("asked by", campaign.producer),
        ("because", campaign.because),
        ("started", clock_time(campaign.started_at)),
        ("ended", clock_time(campaign.ended_at)),
        ("retry of", campaign.retry_of),
    ])  # fmt: skip
    for group in ("wave", "node"):
        _matrix(told, group)
    bad = [one for one in told.targets if one.outcome not in GOOD | OPEN_OUTCOMES]
    rows = [(one.ctid, one.title, one.node, one.outcome, one.reason) for one in bad]
    table(("ctid", "name", "node", "outcome", "why"), rows, empty="no target failed or was skipped", right=("ctid",))
    for fold in told.folds:
        names = ", ".join(fold.titles[:5]) + (" …" if len(fold.titles) > 5 else "")
        say(f"{len(fold.titles)} × {fold.outcome}, exit {fold.code}: {names}")
        lines = fold.output.splitlines()
        for text in lines[-LINES:]:
            say(f"    {text}")
        if len(lines) > LINES:
            say(f"    (the last {LINES} of {len(lines)} lines)")
    say(in_words(told.counts))


def written(told: Report, form: str, output: Path | None) -> None:
    """The report as CSV, HTML or JSON, to standard output or a file; raises Unusable for one that cannot be written."""
    form = form or (output.suffix.lstrip(".") if output is not None else "")
    if output is None and form == "json":
        as_json(report_shape(told))
        return
    text = as_csv(told) if form == "csv" else as_html(told) if form == "html" else json.dumps(report_shape(told), indent=2)
    if output is None:
        print(text, end="", flush=True)
        return
    try:
        output.write_text(text)
    except OSError as error:
        raise Unusable(f"{output} cannot be written: {error.strerror}; choose another file") from None


def _matrix(told: Report, group: str) -> None:
    rows = told.by(group)
    used = [outcome for outcome in Outcome if any(row[outcome] for row in rows.values())]
    lines = [(name, *(row[outcome] or "" for outcome in used)) for name, row in sorted(rows.items())]
    table((group, *used), lines, empty="", right=used)
