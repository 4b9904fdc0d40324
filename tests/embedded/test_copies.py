"""Each container once: the counts after moves, case by case."""

import pytest

from producers.embedded.auditor import Found
from producers.embedded.copies import judge_copies

pytestmark = pytest.mark.quick
BOOK = {1001: "n1", 1002: "n2"}


def on(node: str, ctid: int, *, running: bool = True, answers: bool = True, boots: bool = True) -> Found:
    return Found(node, ctid, running, None, answers, boots)


@pytest.mark.parametrize(
    ("found", "says", "good"),
    [
        ([on("n1", 1001), on("n2", 1002)], "2 of 2 containers run on exactly one node, 0 twins that could start, 0 lost", True),
        ([on("n1", 1001)], "1 of 2 containers run on exactly one node, 0 twins that could start, 1 lost", False),
        ([on("n1", 1001), on("n2", 1002, running=False)], "1 of 2 containers run on exactly one node, 0 twins that could start, 1 lost", False),
        ([on("n1", 1001), on("n3", 1002)], "1 of 2 containers run on exactly one node, 0 twins that could start, 0 lost", False),
        ([on("n1", 1001), on("n2", 1002, answers=False)], "1 of 2 containers run on exactly one node, 0 twins that could start, 0 lost", False),
        ([on("n1", 1001), on("n2", 1001), on("n2", 1002)], "1 of 2 containers run on exactly one node, 1 twins that could start, 0 lost", False),
        (
            [on("n1", 1001), on("n2", 1001, running=False), on("n2", 1002)],
            "1 of 2 containers run on exactly one node, 1 twins that could start, 0 lost",
            False,
        ),
        (
            [on("n1", 1001), on("n2", 1001, running=False, boots=False), on("n2", 1002)],
            "2 of 2 containers run on exactly one node, 0 twins that could start, 0 lost",
            True,
        ),
        ([on("n1", 1001), on("n2", 1002), on("n3", 77)], "2 of 2 containers run on exactly one node, 1 twins that could start, 0 lost", False),
    ],
)
def test_a_container_counts_when_it_runs_where_the_books_say_and_nothing_could_start_beside_it(found: list[Found], says: str, good: bool) -> None:
    copies = judge_copies(BOOK, found)
    assert (str(copies), copies.good) == (says, good)
    assert bool(copies.complaints) is not good
