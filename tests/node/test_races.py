"""Many callers at once: same key, different keys, different shells."""

from tests.node.box import Box


def test_twenty_begins_of_one_key_start_it_once(box: Box) -> None:
    witness = box.root / "witness"
    words = ("begin", 101, 5, "J1", "make", "do", 1, 20, 0, "--", "sh", "-c", f"echo ran >>{witness}; sleep 0.2; echo out")
    answers = [box.end(process) for process in [box.start(*words) for _ in range(20)]]
    assert {answer.head for answer in answers} == {answers[0].head}
    assert answers[0].head.startswith("done rc=0")
    assert {answer.body for answer in answers} == {b"out\n"}
    assert witness.read_text() == "ran\n"
    assert box.ask("ledger", 101).head == "ledger highest=5 runs=1"


def test_begins_and_attaches_of_one_key_agree(box: Box) -> None:
    witness = box.root / "witness"
    begin = ("begin", 101, 5, "J1", "make", "do", 1, 20, 0, "--", "sh", "-c", f"echo ran >>{witness}")
    attach = ("attach", 101, 5, "J1", "make", "do", 1, 20)
    answers = [box.end(process) for process in [box.start(*(attach if n % 2 else begin)) for n in range(20)]]
    assert len({answer.head for answer in answers}) == 1
    assert witness.exists() == (answers[0].head != "void")


def test_begins_of_different_keys_all_start(box: Box) -> None:
    processes = [box.start("begin", 101, 5, "J1", f"step{n}", "do", 1, 20, 0, "--", "sh", "-c", f"exit {n}") for n in range(10)]
    codes = [box.end(process).head.split()[1] for process in processes]
    assert codes == [f"rc={n}" for n in range(10)]
    assert box.ask("ledger", 101).head == "ledger highest=5 runs=10"


def test_of_many_tokens_at_once_none_starts_after_a_higher_one(box: Box) -> None:
    order = box.root / "order"
    processes = [
        box.start("begin", 101, token, f"J{token}", "make", "do", 1, 20, 0, "--", "sh", "-c", f"echo {token} >>{order}")
        for token in (3, 9, 1, 7, 5, 8, 2, 6, 4, 10)
    ]
    for process in processes:
        box.end(process)
    begun = [int(line.split()[4]) for line in box.ask("ledger", 101).body.decode().splitlines()]
    assert begun == sorted(begun)
    assert begun[-1] == 10
    assert sorted(map(int, order.read_text().split())) == begun
