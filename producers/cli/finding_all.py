"""`vzq finding repair --all --kind KIND`: one order for each finding of a kind; what is refused is told and left out."""

import typer

from producers.cli import door
from producers.cli.failures import REFUSED
from producers.cli.screen import as_json, say, short, table, warn
from producers.findings import findings, rehearse, repair, repair_shape
from producers.refusals import Refusal

MOST = 100_000


def repair_all(*, kind: str, node: str, strangers: bool, dry_run: bool, by: str, because: str, wait: bool, json: bool) -> None:
    """Each in a transaction of its own, so that one refusal does not take back the others; exit 3 when any was refused."""
    told, refused = [], []
    with door.house() as house:
        with house.database.read() as session:
            wanted = [
                one for one in findings(session, kind=kind, node=node, limit=MOST) if one.repair and _ours(one.kind, one.mark, strangers=strangers)
            ]
        for finding in sorted(wanted, key=lambda one: one.id or 0):
            number = finding.id or 0
            try:
                if dry_run:
                    told.append(repair_shape(rehearse(house.database, house.intake, number, by=by), dry_run=True))
                    continue
                with house.database.write() as session:
                    told.append(repair_shape(repair(house.database, house.intake, session, number, by=by, because=because), dry_run=False))
            except Refusal as refusal:
                refused.append({"id": number, "node": finding.node, "subject": finding.subject, "why": str(refusal)})
        if not dry_run:
            house.bell.wake()
        if json:
            as_json({"repairs": told, "refused": refused, "dry_run": dry_run})
        else:
            rows = [
                (one["finding"]["id"], one["finding"]["node"], one["finding"]["subject"], one["order"]["kind"], short(one["job"])) for one in told
            ]
            table(("id", "node", "about", "order", "job"), rows, empty=f"no finding of kind {kind} that can be mended", right=("id", "about"))
            say(f"{len(told)} {'would be ordered' if dry_run else 'ordered'}, {len(refused)} refused")
            for one in refused:
                warn(f"finding {one['id']} ({one['node']}, {one['subject']}): {one['why']}")
        if wait and not dry_run and told:
            from producers.cli.follow import follow  # noqa: PLC0415 - only who waits needs it

            code = follow(house.database, [one["job"] for one in told if one["job"]], json=json)
            raise typer.Exit(code or (REFUSED if refused else 0))
    if refused:
        raise typer.Exit(REFUSED)


def _ours(kind: str, mark: str | None, *, strangers: bool) -> bool:
    return kind != "unknown-container" or mark is not None or strangers
