"""How many moves go at once between two nodes: what holds whatever the moves have cost."""

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.pace import BEGIN_WITH, GROWS_AFTER, SAMPLE, Cost, p95, pace

pytestmark = pytest.mark.quick
costs = st.lists(st.builds(Cost, st.floats(0, 60), st.sampled_from([0.5, 1.0, 5.0, 30.0])), max_size=80)
mosts = st.integers(1, 12)
GOOD, BAD = Cost(0.5, 1.0), Cost(1.5, 1.0)


def steps(moves: list[Cost], most: int) -> list[int]:
    """After none, the first, the first two … of them."""
    return [pace(moves[:count], most=most).at_once for count in range(len(moves) + 1)]


@given(costs, mosts)
def test_one_goes_always_and_never_more_than_the_slots_allow(moves: list[Cost], most: int) -> None:
    assert 1 <= pace(moves, most=most).at_once <= most


@given(costs, mosts)
def test_it_grows_by_one_and_never_twice_within_so_many_moves(moves: list[Cost], most: int) -> None:
    went = steps(moves, most)
    grown = [place for place in range(1, len(went)) if went[place] > went[place - 1]]
    assert all(went[place] == went[place - 1] + 1 for place in grown)
    assert all(later - sooner >= GROWS_AFTER for sooner, later in pairwise(grown))


@given(costs, mosts)
def test_it_grows_only_by_a_move_within_its_budget_and_shrinks_only_by_one_over_it_to_half(moves: list[Cost], most: int) -> None:
    went = steps(moves, most)
    for before, after, move in zip(went, went[1:], moves, strict=False):
        assert after in ((before, before + 1) if move.gap_s <= move.budget_s else (before, max(1, before // 2)))


@given(costs)
def test_more_slots_never_mean_fewer_moves(moves: list[Cost]) -> None:
    went = [pace(moves, most=most).at_once for most in range(1, 13)]
    assert went == list(accumulate(went, max))


@given(costs, mosts)
def test_after_enough_good_moves_all_slots_are_used_and_after_enough_bad_ones_a_single_one(moves: list[Cost], most: int) -> None:
    assert pace([*moves, *[GOOD] * (SAMPLE + GROWS_AFTER * most)], most=most).at_once == most
    assert pace([*moves, *[BAD] * SAMPLE], most=most).at_once == 1


def test_it_halves_at_the_first_move_over_its_budget_and_tolerates_one_in_twenty() -> None:
    assert pace([], most=8).at_once == BEGIN_WITH
    assert pace([GOOD] * 15, most=8).at_once == 5
    assert pace([*[GOOD] * 15, BAD], most=8).at_once == 2
    assert pace([*[GOOD] * 40, BAD], most=8).at_once == 8
    halved = pace([*[GOOD] * 40, BAD, BAD], most=8)
    assert halved.at_once == 4
    assert halved.why == "95 of 100 of the last 20 interrupted for up to 150% of their budget"


def test_p95_is_the_gap_that_95_of_100_stayed_at_or_below() -> None:
    assert p95([float(number) for number in range(1, 101)]) == 95
    assert p95([3.0]) == 3
    assert p95([1.0, 2.0, 3.0]) == 3
