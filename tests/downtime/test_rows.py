"""Which rows a job's end leaves behind: the node's own figure, the parts, and whose doing an interval was."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.fleet import Container, ContainerState
from models.lifecycle import State
from models.outages import UNKNOWN, Outage
from tests.factories import make_job
from workers.probe.intervals import Answer
from workers.probe.outages import rows
from workers.probe.record import Told
from workers.probe.watch import found

pytestmark = pytest.mark.quick
BEGUN = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CONTAINER = Container(ctid=1001, node="n1", site="main", state=ContainerState.PRESENT, customer="acme", since=BEGUN)


def told(*down: tuple[float, float], until: float = 10.0, critical: float | None = 2.0, first: float = 0.0) -> Told:
    """What a probe recorded that asked every 20 ms while the container was down in these spans."""
    sent = [first + number * 0.02 for number in range(round((until - first) / 0.02))]
    answers = [Answer(at, None if any(began <= at < ended for began, ended in down) else 0.001) for at in sent]
    return Told(BEGUN, 0.0, "boot", "icmp", answers, [] if critical is None else [critical])


def written(
    seen: Told, *, result: dict[str, Any] | None = None, touched: bool = True, state: State = State.DONE, let_go_at: float | None = None
) -> list[Outage]:
    job = make_job("restart-container", state=state, ctid=1001, result=result or {})
    finding = found(seen, now=10.0, let_go_at=let_go_at)
    return rows(job, CONTAINER, finding, BEGUN + timedelta(seconds=2) if touched else None, now=BEGUN + timedelta(seconds=10))


def test_the_nodes_own_figure_explains_the_longest_gap_part_by_part() -> None:
    short, long = written(told((3.0, 3.5), (4.0, 6.0)), result={"suspended_s": 1.25})
    assert (short.suspended_s, long.suspended_s) == (None, 1.25)
    assert long.gap_s == pytest.approx(2.02, abs=0.005)
    assert long.parts["freeze_s"] == 1.25
    assert long.parts["network_s"] == pytest.approx(long.gap_s - 1.25)
    assert long.parts["resolution_s"] == long.resolution_s


def test_the_nodes_own_figure_is_of_the_last_try_however_long_an_earlier_one_took() -> None:
    failed, succeeded, after = written(told((3.0, 6.0), (7.0, 7.6), (8.0, 8.2)), result={"suspended_s": 0.5})
    assert [one.suspended_s for one in (failed, succeeded, after)] == [None, 0.5, None]
    assert "network_s" not in failed.parts


def test_a_figure_of_the_node_stands_also_where_the_gap_is_not_known() -> None:
    (row,) = written(told(critical=2.0, first=3.0), result={"suspended_s": 0.5})
    assert (row.gap_s, row.suspended_s) == (None, 0.5)
    assert row.parts["at_most_s"] == pytest.approx(1.001)


def test_an_interval_that_was_over_before_the_job_touched_the_container_is_nobodys_doing() -> None:
    before, ours = written(told((0.5, 1.0), (3.0, 4.0)))
    assert (before.cause, ours.cause) == (UNKNOWN, "restart-container")


def test_each_moment_is_the_wall_clocks() -> None:
    (row,) = written(told((3.0, 4.0)))
    assert row.ended_at is not None
    assert (row.began_at - BEGUN).total_seconds() == pytest.approx(2.981, abs=0.001)
    assert (row.ended_at - BEGUN).total_seconds() == pytest.approx(4.001, abs=0.001)


def test_a_job_that_never_touched_the_container_leaves_no_row_of_its_own() -> None:
    assert written(told(), touched=False) == []


def test_nothing_missed_is_a_measured_zero() -> None:
    (row,) = written(told())
    assert (row.gap_s, row.not_measured, row.brownout_s, row.resolution_s) == (0.0, "", 0.0, 0.1)


def test_without_an_answer_since_it_was_let_go_nothing_is_measured() -> None:
    (row,) = written(told((9.97, 11.0)), state=State.FAILED, let_go_at=9.97)  # too short so far to be an outage
    assert (row.gap_s, row.ended_at, row.parts["at_least_s"]) == (None, None, 0.0)
    assert "had not answered again" in row.not_measured


@pytest.mark.parametrize(("state", "word"), [(State.FAILED, "ended"), (State.STUCK, "stands still for a person")])
def test_a_silence_that_lasts_to_the_end_is_not_measured(state: State, word: str) -> None:
    (row,) = written(told((3.0, 11.0)), state=state)
    assert (row.gap_s, row.ended_at) == (None, None)
    assert word in row.not_measured
    assert row.parts["at_least_s"] == pytest.approx(6.98, abs=0.01)


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (told((0.0, 11.0)), "nor after"),
        (told(first=3.0), "did not answer before"),
        (told(critical=None), "no probe was running"),
        (Told(), "left nothing behind"),
    ],
)
def test_what_was_not_measured_says_why(seen: Told, why: str) -> None:
    (row,) = written(seen)
    assert row.gap_s is None
    assert why in row.not_measured
