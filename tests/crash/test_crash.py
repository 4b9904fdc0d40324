"""Whatever dies, wherever: one container, or nothing; and the story is told."""

import pytest

from models.lifecycle import State
from tests.crash.broken import MUTANTS, Mutant
from tests.crash.faults import CODES, HOWS, Case, Fault, drawn
from tests.crash.house import Ground
from tests.crash.play import Played, play

DRAWN = 300  # more of them: python -m tests.crash --cases 10000
AT_A_TIME = 50


def sound(played: Played) -> Played:
    assert not played.violations, "\n".join([str(played.case), *played.violations, *played.story])
    return played


def test_an_order_without_mishap_is_done_in_one_run(ground: Ground) -> None:
    played = sound(play(ground, Case(0)))
    assert played.state == State.DONE
    assert sum("claimed" in line for line in played.story) == 1


@pytest.mark.parametrize("how", ["die", "freeze", "cut", "late", "unanswered", "cancel"])
def test_it_may_strike_at_any_point(ground: Ground, how: str) -> None:
    points = len(play(ground, Case(0)).points)
    states = [sound(play(ground, Case(at, (Fault(at, how, 20.0),)))).state for at in range(points)]
    wanted = {State.DONE, State.CANCELLED} if how == "cancel" else {State.DONE}
    assert set(states) == wanted


@pytest.mark.parametrize("first", range(0, DRAWN, AT_A_TIME))
def test_drawn_mishaps_leave_one_container_or_nothing(ground: Ground, first: int) -> None:
    points = len(play(ground, Case(0)).points)
    for seed in range(first, first + AT_A_TIME):
        sound(play(ground, drawn(seed, points)))


@pytest.mark.parametrize("step", ["plant", "make", "limits", "identity", "addresses", "start", "password"])
@pytest.mark.parametrize("word", list(CODES["vzctl"]))
def test_a_step_that_keeps_failing_leaves_nothing_behind(ground: Ground, word: str, step: str) -> None:
    played = sound(play(ground, Case(0, (Fault(0, "plague", 0.0, f"{word}:{step}"),))))
    passes = {"node-fault", "unexpected"} if step == "password" else {"node-fault", "unexpected", "locked"}
    assert played.state == (State.DONE if word in passes else State.FAILED)


@pytest.mark.parametrize("seconds", [0.1, 0.3, 1.0, 3.4])
@pytest.mark.parametrize("at", range(8, 60, 6))
def test_a_command_killed_in_the_middle_is_made_good(ground: Ground, at: int, seconds: float) -> None:
    assert sound(play(ground, Case(at, (Fault(at, "kill-command", seconds),)))).state == State.DONE


@pytest.mark.parametrize("own_ctid", [False, True])
def test_a_stranger_keeps_the_id_it_took(ground: Ground, own_ctid: bool) -> None:
    played = sound(play(ground, Case(0, (Fault(3, "stranger"),), own_ctid=own_ctid)))
    assert played.state == (State.FAILED if own_ctid else State.DONE)


def test_a_job_that_workers_die_of_again_and_again_is_stuck_and_a_person_gets_it_out(ground: Ground) -> None:
    deaths = tuple(Fault(at, "die") for at in range(14, 62, 8))
    played = sound(play(ground, Case(0, deaths, choices=("go-on",) * 8)))
    assert played.state == State.DONE
    assert any("poisoned → stuck" in line for line in played.story)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_build_that_lacks_a_guard_is_caught(ground: Ground, mutant: Mutant) -> None:
    assert any(play(ground, case, mutant.build).violations for case in mutant.cases()), f"nothing notices: {mutant.name}"


def test_every_mishap_can_be_drawn() -> None:
    assert {fault.how for seed in range(500) for fault in drawn(seed, 60).faults} == set(HOWS)
