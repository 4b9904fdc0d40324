"""What vzmigrate does meanwhile becomes sentences of the job's story: each stage once, and how much of the files has gone."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workers.commands import Finished
from workers.openvz.hearing import COPY, Heard, Hearing, read_told
from workers.openvz.vzmigrate import STAGES

pytestmark = pytest.mark.quick
GIB = 1 << 30


def told(hearing: Hearing, *heard: tuple[str, int]) -> list[str]:
    return [news[1] for stage, sent in heard if (news := hearing.news(Heard(stage, sent))) is not None]


def test_an_answer_has_the_bytes_before_the_words() -> None:
    assert read_told(Finished(0, "vzq-mv1 told sent=4711\nLocked CT 101\nSyncing private\n", "")) == Heard(COPY, 4711)
    assert read_told(Finished(0, "Locked CT 101\nSyncing private\n", "")) == Heard(COPY, 0)  # of an older release
    assert read_told(Finished(0, "vzq-mv1 told sent=0\n", "")) == Heard("", 0)


def test_each_stage_is_told_once_and_the_copy_in_tenths() -> None:
    heard = [("", 0), ("Locked CT", 0), ("Locked CT", 0), (COPY, 0), *((COPY, number * GIB // 25) for number in range(101)), ("Cleaning up", 0)]
    story = told(Hearing(4 * GIB), *heard)
    assert (story[:3], story[-1]) == (
        ["vzmigrate: Locked CT", "vzmigrate: Syncing private", "Syncing private: 0.4 of 4.0 GiB"],
        "vzmigrate: Cleaning up",
    )
    assert len(story) <= 3 + 10 + 1


def test_where_nobody_knows_the_size_each_gib_is_told() -> None:
    assert told(Hearing(None), (COPY, 0), (COPY, GIB // 2), (COPY, GIB), (COPY, GIB + 5)) == [
        "vzmigrate: Syncing private",
        "Syncing private: 1.0 GiB",
    ]
    assert told(Hearing(100 << 20), (COPY, 0), (COPY, 50 << 20)) == ["vzmigrate: Syncing private", "Syncing private: 50.0 of 100.0 MiB"]
    assert told(Hearing(100), (COPY, 0), (COPY, 50 << 20)) == ["vzmigrate: Syncing private"]  # it was counted wrong


@example([0, 1, GIB + 1], 1)  # far more goes than was counted
@given(st.lists(st.integers(0, 2 * GIB), max_size=30).map(sorted), st.one_of(st.none(), st.integers(1, GIB)))
def test_how_far_it_is_never_goes_back_nor_into_the_next_stage(sent: list[int], total: int | None) -> None:
    hearing = Hearing(total)
    far = [news[0] for stage in STAGES for much in (sent if stage == COPY else [0]) if (news := hearing.news(Heard(stage, much))) is not None]
    assert all(later >= sooner for sooner, later in pairwise(far))
    assert far[-1] <= 1


def test_who_goes_on_for_long_is_asked_less_and_less_often() -> None:
    hearing = Hearing(None)
    asked = [second for second in range(1, 61) if hearing.due(second)]
    apart = [later - sooner for sooner, later in pairwise(asked)]
    assert (apart[0], apart[-1], apart) == (1, 5, sorted(apart))
