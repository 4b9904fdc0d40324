"""What became of a roll-out: its counts, node by node and wave by wave, every target, and equal outputs folded together."""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from sqlmodel import Session, col, select

from models.campaign_states import Outcome
from models.campaigns import Campaign, Target
from models.clock import stamp
from models.jobs import Job
from producers.campaigns.control import counts
from producers.campaigns.shapes import campaign_shape, target_shape

CSV_COLUMNS = ("place", "wave", "ctid", "title", "node", "customer", "outcome", "code", "reason", "job", "begun_at", "ended_at")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets would carry out


@dataclass(frozen=True)
class Fold:
    """Targets that ended in the same way with the same output."""

    outcome: Outcome
    code: int | None
    output: str
    titles: list[str]


@dataclass(frozen=True)
class Report:
    """All of it."""

    campaign: Campaign
    counts: dict[Outcome, int]
    targets: list[Target]
    results: dict[int, dict[str, Any]]  # by place: the results of the jobs that have one
    folds: list[Fold]

    def by(self, group: str) -> dict[str, dict[Outcome, int]]:
        """The counts for each value of `node` or `wave`."""
        told: dict[str, dict[Outcome, int]] = {}
        for target in self.targets:
            row = told.setdefault(str(getattr(target, group)), dict.fromkeys(Outcome, 0))
            row[target.outcome] += 1
        return told


def report(session: Session, campaign: Campaign) -> Report:
    """Read it."""
    query = select(Target, Job.result).outerjoin(Job, col(Job.id) == col(Target.job_id)).where(Target.campaign_id == campaign.id)
    rows = session.exec(query.order_by(col(Target.place))).all()
    targets = [target for target, _ in rows]
    results = {target.place: dict(result) for target, result in rows if result}
    return Report(campaign, counts(session, [campaign.id])[campaign.id], targets, results, _folded(targets, results))


def report_shape(told: Report) -> dict[str, Any]:
    """The report as JSON."""
    return campaign_shape(told.campaign, told.counts) | {
        "nodes": {node: {str(outcome): count for outcome, count in row.items()} for node, row in told.by("node").items()},
        "waves": {wave: {str(outcome): count for outcome, count in row.items()} for wave, row in told.by("wave").items()},
        "targets": [target_shape(target) | {"code": told.results.get(target.place, {}).get("code")} for target in told.targets],
        "outputs": [
            {"outcome": str(fold.outcome), "code": fold.code, "count": len(fold.titles), "targets": fold.titles, "output": fold.output}
            for fold in told.folds
        ],
    }


def as_csv(told: Report) -> str:
    """One line a target; nothing in it is a formula to a spreadsheet."""
    sheet = io.StringIO()
    writer = csv.writer(sheet)
    writer.writerow(CSV_COLUMNS)
    for target in told.targets:
        shape = target_shape(target) | {"code": told.results.get(target.place, {}).get("code")}
        writer.writerow([_harmless(shape[column]) for column in CSV_COLUMNS])
    return sheet.getvalue()


def as_html(told: Report) -> str:
    """One page that needs nothing else: no script, nothing loaded from elsewhere."""
    campaign = told.campaign
    facts = [
        ("state", campaign.state), ("why", campaign.why), ("asked by", campaign.producer), ("because", campaign.because),
        ("started", stamp(campaign.started_at)), ("ended", stamp(campaign.ended_at)), ("id", campaign.id), ("retry of", campaign.retry_of),
    ]  # fmt: skip
    parts = [
        f"<h1>{escape(campaign.name)}</h1>",
        _table(("", ""), [(name, value) for name, value in facts if value]),
        "<h2>Outcomes</h2>",
        _table(("outcome", "targets"), [*told.counts.items(), ("all", sum(told.counts.values()))]),
        *(f"<h2>By {group}</h2>{_matrix(told.by(group), group)}" for group in ("wave", "node")),
        "<h2>Outputs</h2>",
        *(
            f"<details><summary>{len(fold.titles)} × {fold.outcome}, exit {fold.code}: {escape(', '.join(fold.titles[:5]))}"
            f"{' …' if len(fold.titles) > 5 else ''}</summary><pre>{escape(fold.output)}</pre></details>"
            for fold in told.folds
        ),
        "<h2>Targets</h2>",
        _table(
            ("place", "wave", "container", "name", "node", "outcome", "reason"),
            [(one.place, one.wave, one.ctid, one.title, one.node, one.outcome, one.reason) for one in told.targets],
        ),
    ]
    return _PAGE.format(title=escape(campaign.name), body="\n".join(parts))


def _folded(targets: Sequence[Target], results: dict[int, dict[str, Any]]) -> list[Fold]:
    folds: dict[tuple[str, str], Fold] = {}
    for target in targets:
        result = results.get(target.place)
        if result is None or "output" not in result:
            continue
        output = str(result["output"])
        key = (f"{target.outcome} {result.get('code')}", hashlib.sha256(output.encode("utf-8", "replace")).hexdigest())
        folds.setdefault(key, Fold(target.outcome, result.get("code"), output, [])).titles.append(target.title or str(target.ctid))
    return sorted(folds.values(), key=lambda fold: -len(fold.titles))


def _matrix(rows: dict[str, dict[Outcome, int]], group: str) -> str:
    used = [outcome for outcome in Outcome if any(row[outcome] for row in rows.values())]
    return _table((group, *used), [(name, *(row[outcome] or "" for outcome in used)) for name, row in rows.items()])


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns) if any(columns) else ""
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell if cell is not None else ''))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{f'<tr>{head}</tr>' if head else ''}{body}</table>"


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>body{{font:14px sans-serif;margin:2em}}table{{border-collapse:collapse}}td,th{{border:1px solid #bbb;padding:2px 8px;text-align:left}}
pre{{background:#f4f4f4;padding:8px;overflow:auto;max-height:30em}}</style></head>
<body>
{body}
</body></html>
"""
