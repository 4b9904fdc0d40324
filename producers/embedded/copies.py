"""After moves: does each container run exactly once, and is there a copy that could start beside it? Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from producers.embedded.auditor import Found


@dataclass(frozen=True)
class Copies:
    """The counts, and a sentence for each thing that is not as it should be."""

    expected: int
    once: int  # run on the node of the books, answer, and have no twin
    twins: int  # copies that run, or could start with their node, beyond the one of each container
    lost: int  # run nowhere
    complaints: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Each once, and nothing else."""
        return self.once == self.expected and not self.complaints

    def __str__(self) -> str:
        return f"{self.once} of {self.expected} containers run on exactly one node, {self.twins} twins that could start, {self.lost} lost"


def judge_copies(book: Mapping[int, str], found: Sequence[Found]) -> Copies:
    """Hold the books (container → node) against what was met; what is not in the books counts as a twin."""
    copies: dict[int, list[Found]] = {ctid: [] for ctid in book}
    for met in found:
        copies.setdefault(met.ctid, []).append(met)
    wrong = {ctid: list(_wrong(ctid, book.get(ctid), of)) for ctid, of in copies.items()}
    live = {ctid: sum(met.running or met.boots for met in of) for ctid, of in copies.items()}
    return Copies(
        expected=len(book),
        once=sum(not wrong[ctid] for ctid in book),
        twins=sum(max(number - (ctid in book), 0) for ctid, number in live.items()),
        lost=sum(not any(met.running for met in copies[ctid]) for ctid in book),
        complaints=tuple(complaint for complaints in wrong.values() for complaint in complaints),
    )


def _wrong(ctid: int, node: str | None, copies: Sequence[Found]) -> Iterator[str]:
    running = sorted(met.node for met in copies if met.running)
    if node is not None and not running:
        yield f"lost: container {ctid} runs on no node; the books say {node}"
    elif node is not None and node not in running:
        yield f"elsewhere: container {ctid} runs on {', '.join(running)}; the books say {node}"
    for met in copies:
        if met.node != node and (met.running or met.boots):
            yield f"twin: a copy of container {ctid} {'runs' if met.running else 'could start'} on {met.node}, which the books do not know"
        if met.node == node and met.running and not met.answers:
            yield f"silent: container {ctid} runs on {node}, but its address does not answer"
