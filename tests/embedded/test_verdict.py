"""The demo's counts, case by case."""

import pytest

from producers.embedded.auditor import Found
from producers.embedded.verdict import Booked, judge

pytestmark = pytest.mark.quick
A, B, C = "A" * 26, "B" * 26, "C" * 26


def on(node: str, ctid: int, job: str | None, *, running: bool = True, answers: bool = True) -> Found:
    return Found(node, ctid, running, job, answers)


def booked(job: str, ctid: int, *, done: bool = True, asked: bool = True) -> Booked:
    return Booked(job, ctid, done, asked)


TWO = [booked(A, 1001), booked(B, 1002)]


@pytest.mark.parametrize(
    ("book", "found", "says", "good"),
    [
        (TWO, [on("n1", 1001, A), on("n2", 1002, B)], "2 of 2 orders done, 2 containers running, 0 lost, 0 doubled", True),
        (TWO, [on("n1", 1001, A)], "2 of 2 orders done, 1 containers running, 1 lost, 0 doubled", False),
        (TWO, [on("n1", 1001, A), on("n2", 1002, B, running=False)], "2 of 2 orders done, 1 containers running, 1 lost, 0 doubled", False),
        (TWO, [on("n1", 1001, A), on("n2", 1002, B), on("n3", 1002, B)], "2 of 2 orders done, 3 containers running, 0 lost, 1 doubled", False),
        (TWO, [on("n1", 1001, A), on("n2", 1002, B), on("n3", 77, None)], "2 of 2 orders done, 3 containers running, 0 lost, 1 doubled", False),
        (TWO, [on("n1", 1001, A), on("n2", 1002, B), on("n2", 1003, A)], "2 of 2 orders done, 3 containers running, 0 lost, 1 doubled", False),
        (TWO, [on("n1", 1001, A), on("n2", 1002, B, answers=False)], "2 of 2 orders done, 2 containers running, 0 lost, 0 doubled", False),
        ([booked(A, 1001, done=False)], [], "0 of 1 orders done, 0 containers running, 0 lost, 0 doubled", False),
        ([booked(A, 1001, done=False)], [on("n1", 1001, A)], "0 of 1 orders done, 1 containers running, 0 lost, 1 doubled", False),
        (
            [booked(A, 1001), booked(C, 900, asked=False)],
            [on("n1", 1001, A), on("n1", 900, C)],
            "1 of 1 orders done, 1 containers running, 0 lost, 0 doubled",
            True,
        ),
    ],
)
def test_the_nodes_have_the_last_word(book: list[Booked], found: list[Found], says: str, good: bool) -> None:
    verdict = judge(book, found)
    assert (str(verdict), verdict.good) == (says, good)
    assert good == (not verdict.complaints) or verdict.done < verdict.ordered
