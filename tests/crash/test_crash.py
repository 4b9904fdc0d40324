"""Whatever dies, wherever: what was ordered, once, or nothing; and the story is told."""

import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import psycopg
import pytest

from models.database import Database
from models.lifecycle import State
from models.standing import Standing
from tests.crash.broken import MUTANTS, Mutant, caught_by
from tests.crash.faults import HOWS, Case, Fault, drawn
from tests.crash.house import Ground
from tests.crash.node import CODES
from tests.crash.play import Played, play
from tests.crash.rounds import WithoutLock, overbooked
from tests.crash.scenes import CREATES, ELSEWHERE, SCENES, Scene
from workers.plans import MOVES, PLANS

DRAWN = 120  # more of them: make crash CASES=10000
AT_A_TIME = 40
ANYWHERE = ("die", "freeze", "cut", "torn", "late", "unanswered", "kill-runner", "kill-keeper", "kill-command", "reboot", "cancel")

POINTS: dict[Scene, Sequence[str]] = {}  # the same on every ground


def sound(played: Played) -> Played:
    assert not played.violations, "\n".join([str(played.case), *played.violations, *played.story])
    return played


def points_of(ground: Ground, scene: Scene) -> Sequence[str]:
    if scene not in POINTS:
        POINTS[scene] = play(ground, Case(0, scene=scene)).points
    return POINTS[scene]


def test_every_plan_has_a_scene() -> None:
    assert {scene.kind for scene in SCENES} == {*PLANS, *MOVES} - ELSEWHERE


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_an_order_without_mishap_is_done_in_one_run(ground: Ground, scene: Scene) -> None:
    played = sound(play(ground, Case(0, scene=scene)))
    assert played.state == State.DONE
    assert sum("claimed" in line for line in played.story) == 1


@pytest.mark.parametrize("how", ["die", "freeze", "cut", "late", "unanswered", "cancel"])
def test_it_may_strike_a_create_at_any_point(ground: Ground, how: str) -> None:
    points = len(points_of(ground, CREATES[0]))
    states = [sound(play(ground, Case(at, (Fault(at, how, 20.0),)))).state for at in range(0, points, 2)]
    wanted = {State.DONE, State.CANCELLED} if how == "cancel" else {State.DONE}
    assert set(states) == wanted


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_every_plan_survives_mishaps_all_along_its_way(ground: Ground, scene: Scene) -> None:
    points = len(points_of(ground, scene))
    first = random.Random(scene.name).randrange(len(ANYWHERE))
    for number, at in enumerate(range(0, points, 4)):
        how = ANYWHERE[(first + number) % len(ANYWHERE)]
        sound(play(ground, Case(at, (Fault(at, how, 20.0 if how == "freeze" else 0.1),), scene)))


@pytest.mark.parametrize("first", range(0, DRAWN, AT_A_TIME))
def test_drawn_mishaps_leave_what_was_ordered_or_nothing(ground: Ground, first: int) -> None:
    for seed in range(first, first + AT_A_TIME):
        sound(play(ground, drawn(seed, partial(points_of, ground))))


@pytest.mark.parametrize("step", ["plant", "make", "limits", "identity", "addresses", "start", "password"])
@pytest.mark.parametrize("word", list(CODES["vzctl"]))
def test_a_step_that_keeps_failing_leaves_nothing_behind(ground: Ground, word: str, step: str) -> None:
    played = sound(play(ground, Case(0, (Fault(0, "plague", 0.0, f"{word}:{step}"),))))
    passes = {"node-fault", "unexpected"} if step == "password" else {"node-fault", "unexpected", "locked"}
    assert played.state == (State.DONE if word in passes else State.FAILED)


@pytest.mark.parametrize("standing", [Standing.STOPPED, Standing.SUSPENDED])
def test_a_node_that_reboots_behind_a_start_runs_the_container_all_the_same(ground: Ground, standing: Standing) -> None:
    scene = Scene("start-container" if standing is Standing.STOPPED else "unsuspend-container", standing)
    for at in range(len(points_of(ground, scene))):
        assert sound(play(ground, Case(at, (Fault(at, "reboot"),), scene))).state == State.DONE


@pytest.mark.parametrize("choice", ["cancel", "put-back"])
def test_an_update_that_is_taken_back_in_its_restart_leaves_the_container_up(ground: Ground, choice: str) -> None:
    scene = Scene("update-container", Standing.RUNNING)
    for at in range(len(points_of(ground, scene))):
        fault = Fault(at, "cancel") if choice == "cancel" else Fault(at, "code", 0.3, "unexpected:start")
        sound(play(ground, Case(at, (fault,), scene, choices=("put-back", "go-on") * 4)))


@pytest.mark.parametrize("standing", [Standing.SUSPENDED, Standing.TERMINATED])
def test_nobody_is_asked_about_a_move_of_what_does_not_run(ground: Ground, standing: Standing) -> None:
    scene = Scene("migrate-container", standing)
    for at in range(len(points_of(ground, scene))):
        assert sound(play(ground, Case(at, (Fault(at, "reboot-one", 0.3, "n2"),), scene))).state == State.DONE


@pytest.mark.parametrize("own_id", [False, True])
def test_a_stranger_keeps_the_id_it_took(ground: Ground, own_id: bool) -> None:
    played = sound(play(ground, Case(0, (Fault(3, "stranger"),), CREATES[2 if own_id else 0])))
    assert played.state == (State.FAILED if own_id else State.DONE)


def test_a_job_that_workers_die_of_again_and_again_is_stuck_and_a_person_gets_it_out(ground: Ground) -> None:
    deaths = tuple(Fault(at, "die") for at in range(14, 102, 11))  # each falls behind a claim: one that dies before it has taken nothing
    played = sound(play(ground, Case(0, deaths, choices=("go-on",) * 8)))
    assert played.state == State.DONE
    assert any("poisoned → stuck" in line for line in played.story)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_build_that_lacks_a_guard_is_caught(ground: Ground, mutant: Mutant) -> None:
    assert caught_by(ground, mutant), f"nothing notices: {mutant.name}"


def test_the_same_seed_plays_the_same_case(ground: Ground) -> None:
    twice = [play(ground, drawn(77, partial(points_of, ground))) for _ in range(2)]
    assert twice[0].points == twice[1].points
    assert twice[0].case == twice[1].case


def test_every_mishap_can_be_drawn() -> None:
    assert {fault.how for seed in range(500) for fault in drawn(seed, lambda _: ["a point"] * 60).faults} == set(HOWS)


@pytest.mark.parametrize("build", [Database, WithoutLock])
def test_two_rounds_at_once_give_each_slot_once_and_only_thanks_to_the_lock(
    postgres_url: str, postgres_template: str, tmp_path: Path, build: type[Database]
) -> None:
    name = f"rounds_{build.__name__.lower()}"
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"create database {name} template {postgres_template}")
    trouble = overbooked(postgres_url.replace("/postgres?", f"/{name}?"), tmp_path, build)
    assert bool(trouble) is (build is WithoutLock), trouble
