"""The table of moves: no dead ends, no ways out of the end, nothing that cannot be reached."""

import pytest

from models.lifecycle import EDGES, FINAL, LEASED, Cause, NoSuchMove, State, advance
from tests.factories import NOON, make_job

pytestmark = pytest.mark.quick


def _reached(start: State) -> set[State]:
    seen, todo = {start}, [start]
    while todo:
        here = todo.pop()
        for (state, _), to in EDGES.items():
            if state == here and to not in seen:
                seen.add(to)
                todo.append(to)
    return seen


def test_every_state_can_be_reached_from_queued() -> None:
    assert _reached(State.QUEUED) == set(State)


@pytest.mark.parametrize("state", [state for state in State if state not in FINAL])
def test_every_state_that_is_not_final_leads_to_an_end(state: State) -> None:
    assert _reached(state) & FINAL
    assert any(to != state for (start, _), to in EDGES.items() if start == state)


def test_nothing_leads_out_of_a_final_state() -> None:
    assert set(FINAL) == {State.DONE, State.FAILED, State.CANCELLED}
    for state in FINAL:
        for cause in Cause:
            with pytest.raises(NoSuchMove):
                advance(state, cause)


def test_every_cause_moves_something_or_is_the_first() -> None:
    assert {cause for _, cause in EDGES} == set(Cause) - {Cause.ACCEPTED}


def test_stuck_is_left_by_a_persons_choice_only() -> None:
    chosen = {Cause.GO_ON, Cause.PUT_BACK, Cause.ACCEPTED_AS_IS, Cause.GIVEN_UP}
    node_called_lost = {Cause.DISPLACED, Cause.NODE_LOST}  # `vzq node lost` is a person's word too
    assert {cause for state, cause in EDGES if state == State.STUCK} == chosen | node_called_lost


def test_only_a_claimed_job_is_ever_done_by_itself() -> None:
    assert {start for (start, cause), to in EDGES.items() if to == State.DONE and cause != Cause.ACCEPTED_AS_IS} == {State.RUNNING}


@pytest.mark.parametrize(("state", "cause"), sorted(EDGES))
def test_a_move_tells_where_it_led_and_ends_the_lease_where_nobody_works(state: State, cause: Cause) -> None:
    job = make_job(state=state, lease_until=NOON, worker="w1")
    event = job.move(cause, now=NOON, why="because")
    assert (event.job_id, event.cause, event.state, event.why) == (job.id, cause, job.state, "because")
    assert job.state == EDGES[state, cause]
    if job.state not in LEASED:
        assert (job.lease_until, job.worker) == (None, None)
    assert (job.ended_at is not None) == (job.state in FINAL)


def test_a_move_that_is_not_in_the_table_changes_nothing() -> None:
    job = make_job(state=State.DONE)
    with pytest.raises(NoSuchMove, match="a done job cannot be claimed"):
        job.move(Cause.CLAIMED, now=NOON)
    assert job.state == State.DONE
