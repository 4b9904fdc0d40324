"""The whole story of a job on one screen: the order, its place, what happened, what was done on the node, how it stands."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

from models.jobs import Begun, Job
from models.lifecycle import Cause
from models.outages import Outage
from producers.cli.screen import clock_time, facts, say, short, span, table
from producers.story import Story

RUNS = "/var/lib/vzq/runs"  # on the node: a folder a job, with output and exit code of what it began (ops/docs/node-side.md)


def show(told: Story, *, waits: Sequence[str] = ()) -> None:
    """The story for a person; `waits` is what holds it now."""
    job = told.job
    order = ", ".join(f"{field}={_plain(value)}" for field, value in job.order.items() if field != "kind" and value not in (False, [], ""))
    where = f"from {job.node} to {job.to_node}" if job.to_node else f"on {job.node}" if job.node else ""
    place = " ".join(part for part in (f"container {job.ctid}" if job.ctid else "", where, *told.addresses) if part)
    tries = ", ".join(
        part for part in (f"{job.attempts} tries failed" if job.attempts else "", f"{job.crashes} workers died" if job.crashes else "") if part
    )
    length = f" after {span(job.ended_at - job.accepted_at)}" if job.ended_at else ""
    facts([
        ("job", job.id),
        ("state", job.state),
        ("kind", job.kind),
        ("order", order),
        ("asked by", job.producer + (f": {job.because}" if job.because else "")),
        ("request", job.request),
        ("key", job.key if job.key != job.id else ""),
        ("campaign", job.campaign),
        ("retry of", job.retry_of),
        ("retried by", told.retried_by),
        ("place", place),
        ("accepted", clock_time(job.accepted_at) + (f", ended {clock_time(job.ended_at)}{length}" if job.ended_at else "")),
        ("deadline", "" if job.ended else clock_time(job.deadline)),
        ("waits for", "; ".join(waits)),
        ("token", job.token or ""),
        ("worker", job.worker),
        ("step", "" if job.ended else f"{job.step} ({job.progress:.0%})" if job.step else ""),
        ("tries", tries),
        ("cancel", "asked for, not done yet" if job.cancel_asked and not job.ended else ""),
        ("on the node", f"{RUNS}/{job.id}" if told.begun else ""),
        ("downtime", "; ".join(_outage(outage) for outage in told.outages)),
        ("error", f"{job.error_class}: {job.error}" if job.error_class else job.error),
        ("result", ", ".join(f"{name}={_plain(value)}" for name, value in job.result.items())),
    ])  # fmt: skip
    say("")
    table(("at", "state", "cause", "what"), _events(told), empty="no events")
    acts = [act for act in told.acts if not act.action.startswith("order ")]  # the order itself stands above
    if acts:
        say("")
        table(("at", "by", "did", "because"), [(clock_time(act.at), act.by, act.action, act.because) for act in acts], empty="")
    if told.begun:
        say("")
        table(("step", "way", "try", "at", "took", "outcome", "code"), [_try(begun) for begun in told.begun], empty="", right=("try", "took", "code"))


def _events(told: Story) -> list[tuple[object, ...]]:
    """Steps stand in the journal below, so that their events are left out here."""
    journaled = {begun.step for begun in told.begun}
    return [
        (clock_time(event.at), event.state, event.cause, event.why or ", ".join(f"{name} {_plain(value)}" for name, value in event.data.items()))
        for event in told.events
        if event.cause != Cause.STEPPED or event.why not in journaled
    ]


def _outage(outage: Outage) -> str:
    length = f"not measured: {outage.not_measured}" if outage.gap_s is None else f"{outage.gap_s:.3f} s"
    return f"{clock_time(outage.began_at)} {length}"


def _try(begun: Begun) -> tuple[object, ...]:
    took = span(begun.ended_at - begun.at) if begun.ended_at else ""
    return (begun.step, begun.direction, begun.attempt, clock_time(begun.at), took, begun.outcome or "not known yet", begun.code)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def rows(jobs: Iterable[Job], *, now: datetime) -> list[tuple[object, ...]]:
    """Jobs as lines of a list."""
    return [(short(job.id), job.kind, job.state, _where(job), job.ctid, span(now - job.accepted_at), job.error or _about(job)) for job in jobs]


def empty(*filters: object) -> str:
    """What a list without jobs says."""
    return "no job fits" if any(filters) else "no jobs; order a container with `vzq order create`"


COLUMNS = ("job", "kind", "state", "node", "ct", "age", "what")
RIGHT = ("ct", "age")


def _where(job: Job) -> str | None:
    return f"{job.node} → {job.to_node}" if job.to_node else job.node


def _about(job: Job) -> object:
    return next((job.order[field] for field in ("hostname", "node", "host") if field in job.order), "")
