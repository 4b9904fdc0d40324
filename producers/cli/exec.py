"""`vzq exec`: one command in many containers at once, equal answers folded together."""

import shlex
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Protocol

import typer

from models.inside import ExecResult
from models.rollouts import AtOnce, RolloutSpec, Selector
from models.updates import LONGEST_COMMAND, LONGEST_SCRIPT, Script
from producers.cli.doors import Who
from producers.cli.exec_doors import Execs, execs
from producers.cli.options import Because, By, Json, asker
from producers.cli.screen import as_json, say, say_line, warn
from producers.cli.selection import HOW, selector
from producers.execs import Command, folded, result_shape, tally
from producers.refusals import BadOrder

SILENCE_S = 2.0  # after so long it is said who does not answer
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
        if output_max != Command.output_max:
            warn("--output-max is not saved: of each target of a roll-out the beginning and the end of the output are kept")
        _save(save, chosen, what)
        return
    who = Who(asker(by), because)
    with execs() as known:
        ordered = known.order(chosen, what, who)
        skipped = ordered["skipped"]
        for one in skipped:
            warn(f"container {one['ctid']} is left out: {one['why']}")
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends us wants the command ended, as with Ctrl-C
        wanted = ordered["containers"] - len(skipped)
        try:
            found = _follow(known, ordered["jobs"], wanted, _Lines() if stream and not json else _Count())
            interrupted = False
        except KeyboardInterrupt:
            known.cancel(ordered["jobs"], Who(who.by, "interrupted"))
            warn("the command is being ended inside the containers")
            found, interrupted = known.look(ordered["jobs"]).results, True
    counts = tally(found)
    counts["unreachable"] += wanted - len(found)  # of a job that was cancelled before it began, or stands still for a person
    if json:
        as_json({"jobs": ordered["jobs"], "counts": counts, "skipped": skipped, "results": [result_shape(result) for result in found]})
    else:
        if not stream:
            _tell(found)
        left_out = f", {len(skipped)} left out" if skipped else ""
        say(f"{counts['ok']} ok, {counts['failed']} failed, {counts['unreachable']} unreachable{left_out}")
    if interrupted:
        raise KeyboardInterrupt
    raise typer.Exit(0 if counts["ok"] == wanted and not skipped else 1)


def _command(words: Sequence[str], script: Path | None, interpreter: str, timeout: int, output_max: int, at_once: int) -> Command:
    if (script is None) is not bool(words):
        raise BadOrder({"COMMAND": "give either a command behind --, or a file with --script"})
    if script is not None:
        try:
            with sys.stdin if str(script) == "-" else script.open() as opened:
                text = opened.read(LONGEST_COMMAND + 1)
        except (OSError, UnicodeDecodeError) as error:
            raise BadOrder({"--script": f"{script} cannot be read: {error}"}) from None
        return Command(text, interpreter, timeout_s=timeout, output_max=output_max, at_once=at_once)
    if interpreter != "sh":
        raise BadOrder({"--interpreter": "goes with --script; a command is run by sh"})
    line = words[0] if len(words) == 1 else shlex.join(words)
    return Command(line, timeout_s=timeout, output_max=output_max, at_once=at_once)


def _save(file: Path, chosen: Selector, what: Command) -> None:
    import yaml  # noqa: PLC0415 - only here

    if file.suffix == ".toml":
        raise BadOrder({"--save-as-rollout": f"it is written as YAML; call it {file.with_suffix('.yaml').name}"})
    if len(what.script) > LONGEST_SCRIPT:
        raise BadOrder({"--save-as-rollout": f"a roll-out's script has at most {LONGEST_SCRIPT} characters, this one {len(what.script)}"})
    action = Script(text=what.script, interpreter=what.interpreter, arguments=tuple(what.arguments), timeout=f"{what.timeout_s}s")
    at_once = {"per_node": what.at_once} if what.at_once != Command.at_once else {}
    spec = RolloutSpec(selector=chosen, action=action, at_once=AtOnce(**at_once))
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


class _View(Protocol):
    def came(self, result: ExecResult) -> None: ...
    def far(self, count: int, total: int) -> None: ...


class _Lines:
    """Each container's answer as it comes."""

    def came(self, result: ExecResult) -> None:
        for line in result.output.splitlines():
            say_line(f"{result.ctid} | {line}")
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


def _follow(known: Execs, jobs: Sequence[str], total: int, view: _View) -> Sequence[ExecResult]:
    """All results, once all jobs have ended or wait for a person."""
    told: set[int] = set()
    said: set[str] = set()
    begun = time.monotonic()
    while True:
        look = known.look(jobs)
        for result in look.results:
            if result.ctid not in told:
                told.add(result.ctid)
                view.came(result)
        view.far(len(look.results), total)
        if time.monotonic() - begun > SILENCE_S:
            for sentence in set(look.silent) - said:
                said.add(sentence)
                warn(sentence)
        if look.over:
            return look.results
        time.sleep(known.pace_s)


def _tell(found: Sequence[ExecResult]) -> None:
    for fold in folded(found):
        ids = " ".join(map(str, fold.ctids[:IDS_SHOWN])) + (f" … {len(fold.ctids) - IDS_SHOWN} more" if len(fold.ctids) > IDS_SHOWN else "")
        say(f"== {len(fold.ctids)} × {_ended(fold.outcome, fold.code, fold.why)}: {ids}")
        for line in fold.output.splitlines():
            say_line(line)


def _ended(outcome: str, code: int | None, why: str) -> str:
    return outcome + (f" ({code})" if code else "") + (f", {why}" if why else "")
