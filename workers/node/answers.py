"""What vzq-run prints, read strictly: a line that is not in the contract (ops/docs/node-side.md) is Unexpected, never guessed at."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Never

from models.errors import NodeFault, Retryable, Stale, Unexpected
from workers.commands import Finished
from workers.transport.ssh import Raw, as_text


class Direction(StrEnum):
    """Forward or back."""

    DO = "do"
    UNDO = "undo"


class Outcome(StrEnum):
    """What the node says of a run."""

    RUNNING = "running"
    DONE = "done"  # ended by itself, with an exit code
    KILLED = "killed"  # ended by `cancel`
    VANISHED = "vanished"  # gone, and left no exit code
    VOID = "void"  # never began, and from now on cannot
    SWEPT = "swept"  # so old that only the ledger's line is left


@dataclass(frozen=True)
class Run:
    """One line of a ledger."""

    job: str
    step: str
    direction: Direction
    attempt: int
    token: int  # it began under this one; 0 when it never began
    outcome: Outcome
    code: int | None = None  # only when DONE


@dataclass(frozen=True)
class Ledger:
    """What a node remembers of one container."""

    highest: int  # token; 0 when nothing was ever begun
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Answer:
    """A header line, and the bytes behind it."""

    word: str
    fields: dict[str, str]
    body: bytes

    def finished(self) -> Finished:
        """The ended command of a `done`."""
        out, err = int(self.fields["out"]), int(self.fields["err"])
        return Finished(
            int(self.fields["rc"]),
            _left_out(self.fields["out_cut"]) + as_text(self.body[:out]),
            _left_out(self.fields["err_cut"]) + as_text(self.body[out : out + err]),
            float(self.fields["seconds"]),
        )

    def number(self) -> int:
        """The number of a `highest`, `swept` or `version`."""
        return int(self.fields["number"])


NUMBER = r"(?:0|[1-9][0-9]{0,17})"
LARGEST_HEADER = 200  # bytes
_RUN = (
    re.compile(
        rf"(?P<word>done) rc=(?P<rc>{NUMBER}) seconds=(?P<seconds>[0-9]+\.[0-9]{{2}}) out=(?P<out>{NUMBER}) err=(?P<err>{NUMBER})"
        rf" out_cut=(?P<out_cut>{NUMBER}) err_cut=(?P<err_cut>{NUMBER})"
    ),
    re.compile(r"(?P<word>running|killed|void)"),
    re.compile(r"(?P<word>vanished) boot=(?P<boot>same|other|swept)"),
    re.compile(rf"(?P<word>refused) highest=(?P<highest>{NUMBER})"),
)
_LEDGER = re.compile(rf"(?P<word>ledger) highest=(?P<highest>{NUMBER}) runs=(?P<runs>{NUMBER})")
HEADERS = {
    "begin": _RUN,
    "attach": _RUN,
    "cancel": _RUN,
    "fence": (_LEDGER, _RUN[-1]),
    "ledger": (_LEDGER,),
    "highest": (re.compile(rf"(?P<word>highest) (?P<number>{NUMBER})"),),
    "sweep": (re.compile(rf"(?P<word>swept) (?P<number>{NUMBER})"),),
    "version": (re.compile(rf"(?P<word>version) (?P<number>{NUMBER})"),),
}
LINE = re.compile(
    rf"(?P<job>[A-Za-z0-9-]+) (?P<step>[A-Za-z0-9-]+) (?P<direction>do|undo) (?P<attempt>{NUMBER}) (?P<token>{NUMBER})"
    rf" (?P<outcome>running|done|killed|vanished|void|swept)(?: rc=(?P<rc>{NUMBER})| boot=(?:same|other|swept))?"
)


def read_answer(raw: Raw, verb: str, node: str) -> Answer:
    """The answer to `verb`; raises Stale, Retryable (nothing began), NodeFault (no runner there) or Unexpected."""
    if raw.code:
        _refuse(raw, verb, node)
    head, _, body = raw.out.partition(b"\n")
    words = head[:LARGEST_HEADER].decode(errors="replace")
    for pattern in HEADERS[verb]:
        if words.startswith("vzq1 ") and (found := pattern.fullmatch(words, len("vzq1 "))):
            answer = Answer(found["word"], found.groupdict(), body)
            break
    else:
        _puzzled(verb, node, f"said {words[:80]!r}", raw)
    if answer.word == "refused":
        highest = int(answer.fields["highest"])
        raise Stale(f"{node} knows token {highest}, which is newer than ours: another worker has the job", highest=highest)
    announced = int(answer.fields.get("out", 0)) + int(answer.fields.get("err", 0))
    if answer.word != "ledger" and len(body) != announced:
        _puzzled(verb, node, f"announced {announced} bytes and sent {len(body)}", raw)
    return answer


def read_ledger(answer: Answer, node: str) -> Ledger:
    """The runs of a `ledger` answer."""
    lines = answer.body.decode(errors="replace").splitlines()
    found = [LINE.fullmatch(line) for line in lines]
    runs = tuple(
        Run(
            line["job"],
            line["step"],
            Direction(line["direction"]),
            int(line["attempt"]),
            int(line["token"]),
            Outcome(line["outcome"]),
            None if line["rc"] is None else int(line["rc"]),
        )
        for line in found
        if line
    )
    if len(runs) != len(lines) or len(runs) != int(answer.fields["runs"]):
        raise Unexpected(f"{node} announced {answer.fields['runs']} runs and listed {lines[:3]!r}…", signature="vzq-run ledger lines")
    return Ledger(int(answer.fields["highest"]), runs)


def _refuse(raw: Raw, verb: str, node: str) -> Never:
    said = as_text(raw.err).strip() or as_text(raw.out).strip()
    if raw.code == 75:
        raise Retryable(f"{node}: {said}")
    if raw.code in {126, 127}:
        raise NodeFault(f"vzq-run cannot be run on {node} ({said}); enrol the node again, its jobs wait meanwhile", finding="not enrolled")
    _puzzled(verb, node, f"ended with {raw.code}: {said[:200]}", raw)


def _puzzled(verb: str, node: str, what: str, raw: Raw) -> Never:
    raise Unexpected(
        f"vzq-run {verb} on {node} {what}; this is not in its contract: compare its version with ours and see what root's shell prints there",
        signature=f"vzq-run {verb} {raw.code}",
    )


def _left_out(count: str) -> str:
    return "" if count == "0" else f"[{count} bytes left out]\n"
