"""What vzq-run may say, and that nothing else is understood."""

import pytest

from models.errors import NodeFault, Retryable, Stale, Unexpected
from workers.node.answers import Direction, Ledger, Outcome, Run, read_answer, read_ledger
from workers.transport.ssh import Raw

DONE = b"vzq1 done rc=3 seconds=1.25 out=4 err=2 out_cut=0 err_cut=7\n"

pytestmark = pytest.mark.quick


def test_done_is_cut_into_both_outputs() -> None:
    finished = read_answer(Raw(0, DONE + b"out\ne\n", b""), "begin", "n1").finished()
    assert (finished.code, finished.out, finished.err, finished.seconds) == (3, "out\n", "[7 bytes left out]\ne\n", 1.25)


def test_a_ledger_is_read() -> None:
    body = b"J1 make do 1 5 done rc=0\nJ1 start undo 2 6 running\nJ1 x do 1 0 void\nJ1 y do 1 5 vanished boot=other\nJ0 z do 1 1 swept\n"
    ledger = read_ledger(read_answer(Raw(0, b"vzq1 ledger highest=7 runs=5\n" + body, b""), "fence", "n1"), "n1")
    assert ledger == Ledger(
        7,
        (
            Run("J1", "make", Direction.DO, 1, 5, Outcome.DONE, 0),
            Run("J1", "start", Direction.UNDO, 2, 6, Outcome.RUNNING),
            Run("J1", "x", Direction.DO, 1, 0, Outcome.VOID),
            Run("J1", "y", Direction.DO, 1, 5, Outcome.VANISHED),
            Run("J0", "z", Direction.DO, 1, 1, Outcome.SWEPT),
        ),
    )


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\n",
        b"Welcome to n1\nvzq1 running\n",
        b"vzq1 running now\n",
        b"vzq1  running\n",
        b"vzq2 running\n",
        b"vzq1 done rc=0\n",
        b"vzq1 done rc=x seconds=1.25 out=0 err=0 out_cut=0 err_cut=0\n",
        DONE + b"out\n",
        DONE + b"out\ne\n\n",
        b"vzq1 running\nmore\n",
        b"vzq1 ledger highest=7 runs=0\n",
        b"vzq1 vanished\n",
        b"vzq1 version 1\n",
        b"\xff\xfe\n",
    ],
)
def test_anything_else_is_unexpected(said: bytes) -> None:
    with pytest.raises(Unexpected) as caught:
        read_answer(Raw(0, said, b""), "begin", "n1")
    assert caught.value.signature == "vzq-run begin 0"
    assert "n1" in caught.value.why


@pytest.mark.parametrize("body", [b"", b"J1 make do 1 5 done rc=0\nJ1 make do 1 5 done rc=0\n", b"J1 make redo 1 5 done\n"])
def test_a_ledger_that_does_not_add_up_is_unexpected(body: bytes) -> None:
    with pytest.raises(Unexpected):
        read_ledger(read_answer(Raw(0, b"vzq1 ledger highest=7 runs=1\n" + body, b""), "ledger", "n1"), "n1")


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (Raw(0, b"vzq1 refused highest=9\n", b""), Stale),
        (Raw(75, b"", b"vzq-run: cannot write; nothing was begun, ask again later\n"), Retryable),
        (Raw(127, b"", b"sh: not found\n"), NodeFault),
        (Raw(64, b"", b"vzq-run: usage\n"), Unexpected),
        (Raw(2, b"", b"sh: syntax error\n"), Unexpected),
    ],
)
def test_refusals_are_told_apart(raw: Raw, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        read_answer(raw, "begin", "n1")
    assert type(caught.value) is error
    assert "n1" in str(caught.value)
