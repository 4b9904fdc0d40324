"""Upgrades of packages: what packages.sh is told, and what it reports. The script itself knows the families."""

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from models.campaign_states import Outcome
from models.spans import span
from models.updates import Packages
from workers.openvz.inside import Script

SCRIPT = (Path(__file__).parent / "packages.sh").read_text()
LEAST_KIB, LEAST_INODES = 500 * 1024, 10_000  # facts §8: less than that and a package manager is killed half-way
LOCK_PATIENCE = timedelta(minutes=10)
_LINE = re.compile(r"^vzq: (\S+) ?(.*)$", re.MULTILINE)
_OUTCOMES = {"ok": Outcome.OK, "up-to-date": Outcome.UP_TO_DATE, "failed": Outcome.FAILED, "skipped": Outcome.SKIPPED}
MOST_LINES = 2000


@dataclass(frozen=True)
class Report:
    """What came of an upgrade, in the words of the script."""

    outcome: Outcome | None  # None: its end was not told
    why: str
    family: str
    pending: int | None
    would: tuple[str, ...]  # name and version of what can be upgraded
    changes: tuple[str, ...]  # "- name version" and "+ name version", as in a diff
    reboot: bool  # it wants one
    repaired: bool  # an interrupted run was repaired first
    failures: tuple[str, ...]  # beancounters that failed meanwhile


def upgrade(action: Packages, *, proxy: str = "", check: bool = False, patience: timedelta = LOCK_PATIENCE) -> Script:
    """The script for this action; with `check` it only tells what it would do."""
    words = [
        "check" if check else "upgrade",
        "yes" if action.security_only else "no",
        " ".join(action.families) or "any",
        proxy or "none",
        str(round(patience.total_seconds())),
        str(LEAST_KIB),
        str(LEAST_INODES),
        *action.names,
    ]
    return Script(SCRIPT, "sh", words, span(action.timeout))


def report(output: str) -> Report:
    """Reads what the script printed; lines of the package managers between are left alone."""
    said: dict[str, list[str]] = {}
    for found in _LINE.finditer(output):
        said.setdefault(found[1], []).append(found[2])
    word, _, why = said.get("outcome", [""])[-1].partition(" ")
    pending = said.get("pending", [""])[-1]
    changes = [f"{sign} {name}" for sign in "-+" for name in said.get(sign, [])]
    return Report(
        outcome=_OUTCOMES.get(word),
        why=why,
        family=said.get("family", [""])[-1].strip(),
        pending=int(pending) if pending.isascii() and pending.isdigit() else None,
        would=tuple(said.get("would", [])[:MOST_LINES]),
        changes=tuple(sorted(changes, key=lambda change: (change[2:], change[0] == "+"))[:MOST_LINES]),
        reboot="reboot" in said,
        repaired="repaired" in said,
        failures=tuple(said.get("failcnt", [])),
    )
