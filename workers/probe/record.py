"""What a probe leaves behind: one line a fact, appended and flushed, so that its last answer outlives everybody.

`= WALL MONOTONIC BOOT HOW` where a probe begins · `SENT AFTER [h]` an answer (h: held) · `SENT -` none came · `SENT ?` still
on its way when somebody asked to be told · `! AT WORD` a word from the worker · `# N` all is told, for the N-th time · `x WHY` it cannot ask.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from workers.probe.intervals import Answer

MOST_BYTES = 8 << 20  # some two hours of 20 ms


def boot() -> str:
    """This run of the machine: monotonic times of another one mean nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass
class Told:
    """A record as it was read."""

    begun_at: datetime | None = None  # wall clock, when the probe that wrote last began
    begun: float = 0.0  # monotonic, the same moment
    boot: str = ""
    how: str = ""  # "icmp" or "tcp:PORT"
    answers: list[Answer] = field(default_factory=list)
    critical: list[float] = field(default_factory=list)  # when the container was about to be touched
    late: bool = False  # a worker elsewhere had touched the container before the first question
    told: int = 0
    trouble: str = ""  # why it cannot ask

    def wall(self, at: float) -> datetime:
        """The moment of a monotonic time; raises LookupError for an empty record."""
        if self.begun_at is None:
            raise LookupError("nothing is recorded")
        return datetime.fromtimestamp(self.begun_at.timestamp() + at - self.begun, UTC)


class Writer:
    """Appends; a record that has grown full says so and takes no more."""

    def __init__(self, descriptor: int, *, most: int = MOST_BYTES) -> None:
        self._file = descriptor
        self._left = most - os.fstat(descriptor).st_size

    @property
    def full(self) -> bool:
        """No more fits."""
        return self._left <= 0

    def begun(self, wall: float, monotonic: float, how: str) -> None:
        self._line(f"= {wall:.6f} {monotonic:.6f} {boot()} {how}")

    def answered(self, sent: float, after: float, *, held: bool) -> None:
        self._line(f"{sent:.6f} {after:.6f}{' h' if held else ''}")

    def missed(self, sent: float) -> None:
        self._line(f"{sent:.6f} -")

    def told(self, open_: Iterable[float], number: int) -> None:
        """Also what is still on its way."""
        self._line("".join(f"{sent:.6f} ?\n" for sent in open_) + f"# {number}")

    def heard(self, at: float, word: str) -> None:
        self._line(f"! {at:.6f} {word}")

    def trouble(self, why: str) -> None:
        self._line(f"x {' '.join(why.split())}")

    def _line(self, line: str) -> None:
        self._left -= os.write(self._file, f"{line}\n".encode())


def read(path: Path) -> Told:
    """The record, half a last line left out; an empty one for a file that is not there."""
    told = Told()
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return told
    answers: dict[float, Answer] = {}
    for line in text[: text.rfind("\n") + 1].splitlines():
        words = line.split()
        if len(words) < 2:
            continue
        match words[0]:
            case "=":
                if words[3] != told.boot:  # times of an earlier run of the machine cannot be told from these
                    answers, told.critical = {}, []
                told.begun_at, told.begun, told.boot = datetime.fromtimestamp(float(words[1]), UTC), float(words[2]), words[3]
                told.how = words[4]
            case "!":
                told.critical += [float(words[1])] if words[2] == "critical" else []
                told.late = told.late or words[2] == "late"
            case "#":
                told.told = int(words[1])
            case "x":
                told.trouble = line[2:]
            case _:  # an answer
                sent = float(words[0])
                answers[sent] = Answer(sent, None if words[1] in "-?" else float(words[1]), open=words[1] == "?", held=words[-1] == "h")
    told.answers = list(answers.values())
    return told
