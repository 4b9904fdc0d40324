"""A move, killed at every moment: one copy is awake in the end, it is the newest, and no other is left that could start."""

import pytest

from models.lifecycle import State
from models.standing import Standing
from tests.crash.faults import Case, Fault
from tests.crash.house import Ground
from tests.crash.play import Played, play
from tests.crash.scenes import Scene
from tests.crash.test_crash import points_of, sound

MODES = ("online", "criu", "offline")
MOMENTS = {"online": 27, "criu": 27, "offline": 29}  # tenths of a second that vzmigrate takes in the stand-in node
MISHAPS = ("kill", "reboot", "reboot-peer", "reboot-both")


def scene(variant: str) -> Scene:
    return Scene("migrate-container", Standing.RUNNING, variant)


def struck(ground: Ground, variant: str, mishap: str, tenths: int) -> Played:
    """What befalls vzmigrate, or a node, so many tenths of a second after it began."""
    return sound(play(ground, Case(tenths, (Fault(0, "kill-command", tenths / 10, f"move:{mishap}"),), scene(variant))))


@pytest.mark.parametrize("variant", MODES)
def test_the_moments_are_all_that_vzmigrate_has(ground: Ground, variant: str) -> None:
    """A mishap at the last of them comes too late, one at the one before does not."""
    played = struck(ground, variant, "kill", MOMENTS[variant])
    assert played.state == State.DONE
    assert not any("vanished" in line for line in played.story)
    assert any("vanished" in line for line in struck(ground, variant, "kill", MOMENTS[variant] - 1).story)


@pytest.mark.parametrize("variant", MODES)
@pytest.mark.parametrize("mishap", MISHAPS)
def test_one_copy_is_left_whatever_goes_down_at_any_moment(ground: Ground, variant: str, mishap: str) -> None:
    states = {struck(ground, variant, mishap, tenths).state for tenths in range(MOMENTS[variant] + 1)}
    assert states <= {State.DONE, State.FAILED}  # failed: the container is on the source, as before
    assert State.DONE in states


@pytest.mark.parametrize("variant", ["online", "criu"])
def test_one_copy_is_left_when_vzmigrates_ssh_dies_at_any_moment(ground: Ground, variant: str) -> None:
    """What it had begun on the target goes on there, while its undo takes the files away."""
    played = [struck(ground, variant, "lose-ssh", tenths) for tenths in range(MOMENTS[variant] + 1)]
    assert {one.state for one in played} == {State.DONE}
    assert any("fell" in line for one in played for line in one.story)


@pytest.mark.parametrize("variant", MODES)
@pytest.mark.parametrize("how", ["die-soon", "cancel"])
def test_a_worker_that_dies_or_a_cancel_at_any_moment_leaves_one_copy(ground: Ground, variant: str, how: str) -> None:
    points = points_of(ground, scene(variant))
    move = next(number for number, point in enumerate(points) if point.endswith("step move"))
    for tenths in range(0, MOMENTS[variant] + 1, 2):
        at = move + (tenths if how == "cancel" else 0)
        played = sound(play(ground, Case(tenths, (Fault(at, how, tenths / 10),), scene(variant))))
        assert played.state in ({State.DONE, State.CANCELLED} if how == "cancel" else {State.DONE})


@pytest.mark.parametrize("tenths", range(0, 26, 5))
def test_two_mishaps_in_a_row_leave_one_copy(ground: Ground, tenths: int) -> None:
    for second in ("kill", "reboot", "reboot-peer"):
        faults = (Fault(0, "kill-command", tenths / 10, "move"), Fault(60 + tenths, "kill-command", 0.3, f":{second}"))
        sound(play(ground, Case(tenths, faults, scene("online"))))
