"""Commands in many containers at once: one exec-batch a node, and what came of all of them together."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from models.clock import stamp
from models.fleet import Container
from models.inside import ExecResult
from models.jobs import Job
from models.orders import ExecBatch
from models.rollouts import Selector
from models.standing import Standing
from producers.inside import moves
from producers.intake import Intake
from producers.refusals import BadOrder
from producers.rollouts.select import chosen

UNREACHABLE = frozenset({"not-running", "frozen", "missing", "no-shell", "unknown", "busy", "cancelled"})  # nothing ran there, or nobody saw its end


@dataclass(frozen=True)
class Command:
    """What is to be run in each of the containers."""

    script: str
    interpreter: str = "sh"
    arguments: Sequence[str] = ()
    timeout_s: int = 600
    output_max: int = 65_536
    at_once: int = 8


@dataclass(frozen=True)
class Execution:
    """The jobs of one command, one a node, and the containers that were left out, with the reason."""

    jobs: tuple[Job, ...]
    skipped: dict[int, str]


def execute(
    session: Session, intake: Intake, containers: Sequence[Container], command: Command, *, by: str, because: str, key: str = ""
) -> Execution:
    """Order the command for all of them within the caller's transaction. Raises a Refusal, and then nothing was written."""
    moving = moves(session, [container.ctid for container in containers])
    skipped = {one.ctid: "it is terminated" for one in containers if one.standing is Standing.TERMINATED}
    skipped |= {ctid: f"it is being moved by job {job}" for ctid, job in moving.items()}
    by_node: dict[str, list[int]] = defaultdict(list)
    for container in containers:
        if container.ctid not in skipped:
            by_node[container.node].append(container.ctid)
    words = {name: getattr(command, name) for name in ("script", "interpreter", "timeout_s", "output_max", "at_once")}
    jobs = [
        intake.submit(
            session,
            ExecBatch(node=node, ctids=tuple(sorted(ctids)), arguments=tuple(command.arguments), **words),
            by=by, because=because, key=f"{key}/{node}" if key else "",
        ).job
        for node, ctids in sorted(by_node.items())
    ]  # fmt: skip
    return Execution(tuple(jobs), skipped)


def execute_where(
    session: Session, intake: Intake, selector: Selector, command: Command, *, by: str, because: str, key: str = ""
) -> tuple[Execution, int]:
    """The same for whatever a selector fits, terminated ones only where they are named; how many those are. Raises BadOrder where it fits none."""
    found = [one for one in chosen(session, selector) if one.standing is not Standing.TERMINATED or one.ctid in selector.ids]
    if not found:
        raise BadOrder({"selector": "no container fits; see `vzq container list`"})
    return execute(session, intake, found, command, by=by, because=because, key=key), len(found)


def execution_shape(execution: Execution, containers: int) -> dict[str, Any]:
    """A command that was ordered as JSON has it."""
    skipped = [{"ctid": ctid, "why": why} for ctid, why in sorted(execution.skipped.items())]
    return {"jobs": [job.id for job in execution.jobs], "containers": containers, "skipped": skipped}


def results(session: Session, job_ids: Sequence[str]) -> list[ExecResult]:
    """What has come so far, by container."""
    query = select(ExecResult).where(col(ExecResult.job_id).in_(job_ids)).order_by(col(ExecResult.ctid))
    return list(session.exec(query).all())


@dataclass(frozen=True)
class Fold:
    """The containers that answered the same."""

    outcome: str
    code: int | None
    why: str
    output: str
    ctids: tuple[int, ...]


def folded(found: Iterable[ExecResult]) -> list[Fold]:
    """Equal answers together, the largest group first."""
    groups: dict[tuple[str, int | None, str, str], list[int]] = defaultdict(list)
    for result in found:
        groups[result.outcome, result.code, result.why, result.output].append(result.ctid)
    return sorted((Fold(*answer, tuple(ctids)) for answer, ctids in groups.items()), key=lambda fold: (-len(fold.ctids), fold.ctids))


def tally(found: Iterable[ExecResult]) -> dict[str, int]:
    """How many answered well, how many badly, and where nothing is known; they add up to all that were asked."""
    counts = {"ok": 0, "failed": 0, "unreachable": 0}
    for result in found:
        counts["ok" if result.outcome == "ok" else "unreachable" if result.outcome in UNREACHABLE else "failed"] += 1
    return counts


def result_shape(result: ExecResult) -> dict[str, Any]:
    """A result as JSON has it. Others rely on these names: add to them, never rename."""
    return {
        "ctid": result.ctid, "job": result.job_id, "outcome": result.outcome, "code": result.code, "why": result.why,
        "output": result.output, "seconds": result.seconds, "at": stamp(result.at),
    }  # fmt: skip
