"""The record: what is written is read, and what is broken harms nothing."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.probe.intervals import Answer
from workers.probe.record import Writer, read

pytestmark = pytest.mark.quick


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "J.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    yield opened
    os.close(opened)


def test_what_is_written_is_read(descriptor: int, tmp_path: Path) -> None:
    writer = Writer(descriptor)
    writer.begun(1_000_000.0, 50.0, "tcp:22")
    writer.answered(51.0, 0.25, held=False)
    writer.heard(51.5, "critical")
    writer.answered(52.0, 1.25, held=True)
    writer.missed(53.0)
    told = read(tmp_path / "J.log")
    assert told.answers == [Answer(51.0, 0.25), Answer(52.0, 1.25, held=True), Answer(53.0, None)]
    assert (told.critical, told.how, told.late, told.trouble) == ([51.5], "tcp:22", False, "")
    assert told.wall(60.0).timestamp() == 1_000_010.0


def test_an_answer_that_comes_after_it_was_told_as_open_counts(descriptor: int, tmp_path: Path) -> None:
    writer = Writer(descriptor)
    writer.begun(1.0, 0.0, "icmp")
    writer.told([5.0, 6.0], 7)
    writer.answered(5.0, 2.0, held=False)
    told = read(tmp_path / "J.log")
    assert told.answers == [Answer(5.0, 2.0), Answer(6.0, None, open=True)]
    assert told.told == 7


def test_half_a_last_line_is_left_out(descriptor: int, tmp_path: Path) -> None:
    writer = Writer(descriptor)
    writer.begun(1.0, 0.0, "icmp")
    writer.answered(5.0, 0.5, held=False)
    os.write(descriptor, b"6.000000 0.0")
    assert read(tmp_path / "J.log").answers == [Answer(5.0, 0.5)]


def test_times_of_an_earlier_run_of_the_machine_are_not_mixed_with_these(descriptor: int, tmp_path: Path) -> None:
    os.write(descriptor, b"= 1.0 900.0 another-boot icmp\n901.0 0.1\n! 902.0 critical\n")
    writer = Writer(descriptor)
    writer.begun(2.0, 5.0, "icmp")
    writer.answered(6.0, 0.1, held=False)
    told = read(tmp_path / "J.log")
    assert (told.answers, told.critical) == ([Answer(6.0, 0.1)], [])


def test_a_record_grows_no_further_than_it_may(descriptor: int) -> None:
    writer = Writer(descriptor, most=100)
    writer.begun(1.0, 0.0, "icmp")
    while not writer.full:
        writer.missed(1.0)
    assert os.fstat(descriptor).st_size <= 130


def test_a_record_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    told = read(tmp_path / "none.log")
    assert (told.answers, told.begun_at) == ([], None)
