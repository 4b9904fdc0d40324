"""Our book against the nodes: what is lost, what is doubled. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from producers.embedded.auditor import Found


@dataclass(frozen=True)
class Booked:
    """An order for a container, as our book has it."""

    job: str
    ctid: int | None
    done: bool
    asked: bool  # one of those the verdict is about; the others only explain what else is on the nodes


@dataclass(frozen=True)
class Verdict:
    """The counts, and a sentence for each thing that is not as it should be."""

    ordered: int
    done: int
    running: int  # counted on the nodes
    lost: int
    doubled: int
    complaints: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Every order done, each with exactly one container that runs and answers, and nothing else on the nodes."""
        return self.done == self.running == self.ordered and not (self.lost or self.doubled or self.complaints)

    def __str__(self) -> str:
        return f"{self.done} of {self.ordered} orders done, {self.running} containers running, {self.lost} lost, {self.doubled} doubled"


def judge(book: Sequence[Booked], found: Sequence[Found]) -> Verdict:
    """Hold the two against each other."""
    done = {booked.job: booked for booked in book if booked.done}
    others = {booked.job for booked in book if not booked.asked}
    stray = [met for met in found if met.job not in done or done[met.job].ctid != met.ctid]
    copies = Counter(met.job for met in found if met not in stray)
    alive = {met.job for met in found if met.running and met not in stray}
    lost = [booked for booked in done.values() if booked.asked and booked.job not in alive]
    silent = [met for met in found if met.running and not met.answers and met.job not in others]
    complaints = [
        *(f"lost: job {booked.job} is done, but container {booked.ctid} runs on no node" for booked in lost),
        *(f"doubled: job {job} has {number} containers" for job, number in copies.items() if number > 1),
        *(f"doubled: no order explains container {met.ctid} on {met.node} (marker {met.job or 'missing'})" for met in stray),
        *(f"silent: container {met.ctid} on {met.node} runs, but its address does not answer" for met in silent),
    ]
    return Verdict(
        ordered=sum(booked.asked for booked in book),
        done=sum(booked.asked for booked in done.values()),
        running=sum(met.running and met.job not in others for met in found),
        lost=len(lost),
        doubled=sum(number - 1 for number in copies.values()) + len(stray),
        complaints=tuple(complaints),
    )
