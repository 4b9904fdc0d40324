"""What the storm's judge calls doubled."""

import pytest

from tests.storm.verdict import NodeSays, doubled

pytestmark = pytest.mark.quick
JOB = "01M8F67NR6PVH0Q1FCN4MYE62Z"


def found(*steps: str) -> list[str]:
    """Of one job whose steps ended so, in this order: `plant 1 rc=0`."""
    lines = [("1054", "{} {} do {} 7 done {}".format(JOB, *step.split())) for step in steps]
    return list(doubled([NodeSays("n1", [], lines, {})]))


def test_what_was_taken_away_again_may_be_planted_anew() -> None:
    assert not found("plant 1 rc=0", "make 1 rc=137", "discard 1 rc=0", "plant 2 rc=0", "make 2 rc=0")


def test_what_is_still_there_may_not() -> None:
    assert len(found("plant 1 rc=0", "plant 2 rc=0")) == 1
    assert len(found("make 1 rc=0", "discard 1 rc=0", "make 2 rc=0")) == 1
