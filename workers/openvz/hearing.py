"""What is heard of a vzmigrate that runs: the stage it is at and the bytes that went, and which of it is worth a sentence in the job's story."""

import re
from dataclasses import dataclass

from workers.commands import Finished
from workers.openvz.vzmigrate import STAGES, stage_of

COPY = "Syncing private"  # the stage of which the size is known: all files go
TELLS_EACH = 0.1  # of the copy
TELLS_EACH_BYTES = 1 << 30  # where nobody knows how much it is
FIRST_S, SELDOM_S, SELDOMER = 1.0, 5.0, 1.25  # from one question to the next: each costs the node a dozen processes
_HEAD = re.compile(r"vzq-mv1 told sent=(\d{1,18})\n")
_MIB, _GIB = 1 << 20, 1 << 30


@dataclass(frozen=True)
class Heard:
    """One answer of `vzq-mv told`."""

    stage: str  # empty before the first
    sent_bytes: int  # by the copy that runs at this moment


def read_told(answer: Finished) -> Heard:
    """What vzmigrate has said so far; a program of an older release tells no bytes."""
    head = _HEAD.match(answer.out)
    return Heard(stage_of(answer.out[head.end() if head else 0 :]), int(head[1]) if head else 0)


class Hearing:
    """One try's story."""

    def __init__(self, total_bytes: int | None) -> None:
        """`total_bytes`: the files of the container, where that is known."""
        self._total = total_bytes
        self._stage = ""
        self._told_bytes = 0
        self._every_s, self._due = FIRST_S, 0.0

    def due(self, now: float) -> bool:
        """Whether it is time to ask, at `now` in seconds that only go forward: the longer it goes on, the less often."""
        if now < self._due:
            return False
        self._due, self._every_s = now + self._every_s, min(self._every_s * SELDOMER, SELDOM_S)
        return True

    def news(self, heard: Heard) -> tuple[float, str] | None:
        """How far the move is (0 to 1) and the sentence, where there is something new; never more than some ten sentences a stage."""
        if not heard.stage:
            return None
        if heard.stage != self._stage:
            self._stage, self._told_bytes = heard.stage, 0
            return STAGES[heard.stage], f"vzmigrate: {heard.stage}"
        total = self._total if heard.stage == COPY and heard.sent_bytes <= (self._total or 0) else None  # more has gone than was counted
        least = total * TELLS_EACH if total else TELLS_EACH_BYTES
        if heard.sent_bytes - self._told_bytes < least:
            return None
        self._told_bytes = heard.sent_bytes
        return self._far(heard), f"{heard.stage}: {_amount(heard.sent_bytes, total)}"

    def _far(self, heard: Heard) -> float:
        here = STAGES[heard.stage]
        if heard.stage != COPY or not self._total:
            return here
        following = min((far for far in STAGES.values() if far > here), default=1.0)
        return here + (following - here) * min(1.0, heard.sent_bytes / self._total)


def _amount(sent: int, total: int | None) -> str:
    unit, name = (_GIB, "GiB") if max(sent, total or 0) >= _GIB else (_MIB, "MiB")
    return f"{sent / unit:.1f} of {total / unit:.1f} {name}" if total else f"{sent / unit:.1f} {name}"
