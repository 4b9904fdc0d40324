"""`vzq exec`: one command in many containers at once, equal answers folded together."""

import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from models.inside import ExecResult
from models.rollouts import RolloutSpec, Selector
from models.updates import Script
from producers.cli import door
from producers.cli.door import elsewhere
from producers.cli.options import Because, By, Json, asker
from producers.cli.screen import as_json, clean, say, warn
from producers.cli.selection import HOW, selector
from producers.execs import Command, Execution, execute, folded, result_shape, results, tally
from producers.refusals import BadOrder, Refusal

if TYPE_CHECKING:
    from producers.house import House

LOOK_S = 0.1
STILL_S = 1.0  # how often a terminal is told how far it is
IDS_SHOWN = 12


def exec_(
    containers: Annotated[str, typer.Argument(metavar="SELECTOR", help=f"Which containers: {HOW}.")],
    command: Annotated[
        list[str] | None, typer.Argument(metavar="-- COMMAND", help="One word: a line for the shell. Several: a program and its arguments.")
    ] = None,
    *,
    without: Annotated[list[str] | None, typer.Option("--exclude", help="Containers to leave out, named likewise.")] = None,
    script: Annotated[Path | None, typer.Option("--script", help="A file instead of a command; - is stdin.", allow_dash=True)] = None,
    interpreter: Annotated[str, typer.Option("--interpreter", help="What runs the script: sh, bash, python3, perl.")] = "sh",
    timeout: Annotated[
        int, typer.Option("--timeout", min=1, max=86_400, help="Seconds it may take in each container; then it is ended there.")
    ] = 600,
    output_max: Annotated[
        int, typer.Option("--output-max", min=1024, max=1_048_576, help="Bytes of output of each; who prints more is ended.")
    ] = 65_536,
    at_once: Annotated[int, typer.Option("--at-once", min=1, max=64, help="So many containers of one node at a time.")] = 8,
    stream: Annotated[bool, typer.Option("--stream", help="Print each container's answer as it comes, instead of folding them.")] = False,
    save: Annotated[
        Path | None, typer.Option("--save-as-rollout", help="Run nothing: write it as a roll-out's specification into this file.")
    ] = None,
    by: By = "",
    because: Because = "",
    json: Json = False,
) -> None:
    """Run a command in many containers at once, from the nodes. Exit 0 when all answered with 0, else 1."""
    chosen, what = selector(containers, without or ()), _command(command or [], script, interpreter, timeout, output_max, at_once)
    if save is not None:
        _save(save, chosen, what)
        return
    if elsewhere():
        raise door.Unusable("`vzq exec` works on the house itself; over HTTP use POST /v1/exec, or leave out --url and VZQ_URL")
    with door.house() as house:
        execution = _order(house, chosen, what, by=asker(by), because=because)
        ids = [job.id for job in execution.jobs]
        for ctid, why in sorted(execution.skipped.items()):
            warn(f"container {ctid} is left out: {why}")
        try:
            found = _follow(house, ids, sum(len(job.order["ctids"]) for job in execution.jobs), _Lines() if stream and not json else _Count())
        except KeyboardInterrupt:
            _take_back(house, ids, by=asker(by))
            raise
    counts = tally(found)
    if json:
        skipped = [{"ctid": ctid, "why": why} for ctid, why in sorted(execution.skipped.items())]
        as_json({"jobs": ids, "counts": counts, "skipped": skipped, "results": [result_shape(result) for result in found]})
    else:
        if not stream:
            _tell(found)
        say(
            f"{counts['ok']} ok, {counts['failed']} failed, {counts['unreachable']} unreachable"
            + (f", {len(execution.skipped)} left out" if execution.skipped else "")
        )
    raise typer.Exit(0 if counts["ok"] == len(found) and not execution.skipped else 1)


def _command(words: Sequence[str], script: Path | None, interpreter: str, timeout: int, output_max: int, at_once: int) -> Command:
    if (script is None) is not bool(words):
        raise BadOrder({"COMMAND": "give either a command behind --, or a file with --script"})
    if script is not None:
        try:
            text = sys.stdin.read() if str(script) == "-" else script.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise BadOrder({"--script": f"{script} cannot be read: {error}"}) from None
        return Command(text, interpreter, timeout_s=timeout, output_max=output_max, at_once=at_once)
    if interpreter != "sh":
        raise BadOrder({"--interpreter": "goes with --script; a command is run by sh"})
    line = words[0] if len(words) == 1 else shlex.join(words)
    return Command(line, timeout_s=timeout, output_max=output_max, at_once=at_once)


def _save(file: Path, chosen: Selector, what: Command) -> None:
    import yaml  # noqa: PLC0415 - only here

    action = Script(text=what.script, interpreter=what.interpreter, arguments=tuple(what.arguments), timeout=f"{what.timeout_s}s")
    spec = RolloutSpec(selector=chosen, action=action)
    try:
        with file.open("x") as opened:
            plain = spec.model_dump(mode="json", exclude_defaults=True)
            plain["action"] = {"do": action.do} | plain["action"]
            yaml.safe_dump({"version": spec.version} | plain, opened, sort_keys=False)
    except FileExistsError:
        raise BadOrder({"--save-as-rollout": f"{file} is there already; choose another name"}) from None
    except OSError as error:
        raise BadOrder({"--save-as-rollout": f"{file} cannot be written: {error.strerror}"}) from None
    say(f"{file}: look at it, then `vzq rollout plan {file}`")


def _order(house: "House", chosen: Selector, what: Command, *, by: str, because: str) -> Execution:
    from producers.rollouts.select import chosen as containers_of  # noqa: PLC0415 - with the house

    with house.database.write() as session:
        found = containers_of(session, chosen)
        if not found:
            raise BadOrder({"SELECTOR": "no container fits; see `vzq container list`"})
        execution = execute(session, house.intake, found, what, by=by, because=because)
    house.bell.wake()
    return execution


class _View(Protocol):
    def came(self, result: ExecResult) -> None: ...
    def far(self, count: int, total: int) -> None: ...


class _Lines:
    """Each container's answer as it comes."""

    def came(self, result: ExecResult) -> None:
        for line in result.output.splitlines():
            say(f"{result.ctid} | {line}")
        if result.outcome != "ok":
            say(f"{result.ctid} | {_ended(result.outcome, result.code, result.why)}")

    def far(self, count: int, total: int) -> None: ...


class _Count:
    """How far it is, on a terminal."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def came(self, result: ExecResult) -> None: ...

    def far(self, count: int, total: int) -> None:
        if sys.stderr.isatty() and time.monotonic() - self._told > STILL_S:
            self._told = time.monotonic()
            warn(f"{count} of {total}")


def _follow(house: "House", ids: Sequence[str], total: int, view: _View) -> list[ExecResult]:
    """All results, once all jobs have ended or wait for a person."""
    from producers.cli.follow import Quiet, watch  # noqa: PLC0415 - with the house

    told: set[int] = set()

    def look() -> list[ExecResult]:
        with house.database.read() as session:
            found = results(session, ids)
        for result in found:
            if result.ctid not in told:
                told.add(result.ctid)
                view.came(result)
        view.far(len(found), total)
        return found

    def pause(seconds: float) -> None:
        look()
        time.sleep(min(LOOK_S, seconds))

    watch(house.database, ids, Quiet(), timeout_s=None, pause=pause)
    return look()


def _take_back(house: "House", ids: Sequence[str], *, by: str) -> None:
    from models.jobs import Job  # noqa: PLC0415 - with the house
    from producers.jobs import cancel  # noqa: PLC0415

    for job_id in ids:
        with suppress(Refusal), house.database.write() as session:
            cancel(house.database, session, session.get_one(Job, job_id), by=by, because="interrupted")
    house.bell.wake()
    warn("the command is being ended inside the containers")


def _tell(found: Sequence[ExecResult]) -> None:
    for fold in folded(found):
        ids = " ".join(map(str, fold.ctids[:IDS_SHOWN])) + (f" … {len(fold.ctids) - IDS_SHOWN} more" if len(fold.ctids) > IDS_SHOWN else "")
        say(f"== {len(fold.ctids)} × {_ended(fold.outcome, fold.code, fold.why)}: {ids}")
        for line in fold.output.splitlines():
            say(clean(line))


def _ended(outcome: str, code: int | None, why: str) -> str:
    return outcome + (f" ({code})" if code else "") + (f", {why}" if why else "")
