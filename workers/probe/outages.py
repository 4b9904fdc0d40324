"""From what a probe saw to rows: which intervals are the job's doing, and what is said where nothing was measured. Pure."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from models.fleet import Container
from models.jobs import Job
from models.lifecycle import State
from models.outages import UNKNOWN, Outage
from workers.probe.intervals import SHORTEST_S, Interval, Measured
from workers.probe.record import Told

ELSEWHERE = (
    "the container was touched before this probe began, under a worker of another host or before the job stood still:"
    " the last answer is not known here"
)
NOTHING = Measured(None, None, 0, None, 0.0, None)


@dataclass(frozen=True)
class Finding:
    """What is known when the job ends."""

    told: Told = field(default_factory=Told)
    measured: Measured = NOTHING
    why_not: str = ""  # why nothing could be asked at all
    answered_after: bool = True  # an answer has come since the container was last touched


def rows(job: Job, container: Container, finding: Finding, touched_at: datetime | None, *, now: datetime) -> list[Outage]:
    """A row an interval; one that says 0 where the job touched the container and no answer was missed; none for an untouched one.

    `touched_at`: when the job began its first step that may interrupt.
    """
    told, measured = finding.told, finding.measured

    def row(began_at: datetime, **more: Any) -> Outage:  # noqa: ANN401 - columns
        cause = more.pop("cause", job.kind)
        return Outage(
            ctid=container.ctid, node=container.node, site=container.site, customer=container.customer,
            job_id=job.id, cause=cause, began_at=began_at, how=told.how if measured.asked else "", **more,
        )  # fmt: skip

    if touched_at is not None and (why := _why_not(finding)):
        heard = told.wall(measured.first) if measured.first is not None else None
        parts = {} if heard is None else {"at_most_s": _ms(max(0.0, (heard - touched_at).total_seconds()))}
        return _with_suspended([row(touched_at, ended_at=heard, not_measured=why, parts=parts)], job)
    if measured.first is None:
        return []
    first_touch = min(told.critical, default=None)
    made = []
    for one in measured.intervals:
        ours = first_touch is not None and (one.ended is None or one.ended > first_touch)
        if not ours and one.ended is None:
            continue  # it went silent before anything was touched and nothing is known of its end: drift finds it
        made.append(row(told.wall(one.began), cause=job.kind if ours else UNKNOWN, **_columns(one, measured, told, job)))
    if touched_at is not None and not any(one.cause == job.kind for one in made):
        if not finding.answered_after:  # too short a silence so far to be an outage, and nobody knows whether it is over
            return _with_suspended([*made, row(touched_at, **_not_again(job, _parts(measured), 0.0))], job)
        quiet = {
            "ended_at": now, "gap_s": 0.0, "resolution_s": _ms(max(SHORTEST_S, measured.longest_s)),
            "brownout_s": _ms(measured.brownout_s), "parts": _parts(measured),
        }  # fmt: skip
        made.append(row(touched_at, **quiet))
    return _with_suspended(made, job)


def _why_not(finding: Finding) -> str:
    """Why the gap of a container that was touched cannot be said."""
    told, first = finding.told, finding.measured.first
    reasons = {
        finding.why_not: bool(finding.why_not),
        ELSEWHERE: told.late,
        "the probe left nothing behind": told.begun_at is None,
        "its address did not answer before the job touched it, nor after": first is None,
        "no probe was running when the job touched it": not told.critical,
        "its address did not answer before the job touched it": first is not None and first > min(told.critical, default=first),
    }
    return next((why for why, holds in reasons.items() if holds), "")


def _columns(one: Interval, measured: Measured, told: Told, job: Job) -> dict[str, Any]:
    parts = _parts(measured) | {"missed": one.missed}
    columns: dict[str, Any] = {"resolution_s": _ms(one.resolution_s), "brownout_s": _ms(one.brownout_s), "parts": parts}
    if one.ended is None:
        return columns | _not_again(job, parts, one.proved_s)
    return columns | {"ended_at": told.wall(one.ended), "gap_s": _ms(one.gap_s)}


def _not_again(job: Job, parts: dict[str, Any], at_least_s: float) -> dict[str, Any]:
    state = "stands still for a person" if job.state is State.STUCK else "ended"
    return {"not_measured": f"it had not answered again when the job {state}", "parts": parts | {"at_least_s": _ms(at_least_s)}}


def _parts(measured: Measured) -> dict[str, Any]:
    return {"asked": measured.asked, "baseline_s": _ms(measured.baseline_s)}


def _with_suspended(made: list[Outage], job: Job) -> list[Outage]:
    """The node's own figure is of the last try: it goes to the last interval of the job's doing that it fits into, and explains its parts."""
    suspended = job.result.get("suspended_s")
    ours = [one for one in made if one.cause == job.kind]
    if not isinstance(suspended, int | float) or not ours:
        return made
    fitting = [one for one in ours if one.gap_s is not None and one.gap_s + (one.resolution_s or 0.0) >= suspended]
    frozen = max(fitting, key=lambda one: one.began_at) if fitting else max(ours, key=lambda one: (one.gap_s is not None, one.gap_s or 0.0))
    frozen.suspended_s = float(suspended)
    frozen.parts = frozen.parts | {"freeze_s": _ms(suspended)}
    if frozen.gap_s:
        frozen.parts = frozen.parts | {"network_s": _ms(max(0.0, frozen.gap_s - suspended)), "resolution_s": frozen.resolution_s}
    return made


def _ms(seconds: float | None) -> float | None:
    """Milliseconds are what a probe can tell; more digits would claim too much."""
    return None if seconds is None else round(seconds, 3)
