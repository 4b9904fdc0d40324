"""Who may use a state folder, and what is left in one by a killed supervisor."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from producers.embedded.state_folder import HeldError, StateFolder, UnusableError, _start_time
from tests.embedded.programs import alive

pytestmark = pytest.mark.quick


def test_it_is_made_for_its_owner_only(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "deep" / "state")
    folder.take()
    assert oct(folder.path.stat().st_mode & 0o777) == "0o700"
    folder.leave()


def test_a_second_one_is_told_who_has_it(tmp_path: Path) -> None:
    first = StateFolder(tmp_path / "state")
    first.take()
    with pytest.raises(HeldError, match=rf"pid {os.getpid()}\)"):
        StateFolder(tmp_path / "state").take()
    first.leave()
    again = StateFolder(tmp_path / "state")
    again.take()
    again.leave()


def test_somebodys_home_is_not_taken_for_a_state_folder(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    mode = tmp_path.stat().st_mode
    with pytest.raises(UnusableError, match="no state folder of vzq"):
        StateFolder(tmp_path).take()
    assert tmp_path.stat().st_mode == mode
    assert [entry.name for entry in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("names", [("ssh", "passwd"), ("logs",), ("secret.key", "hosts")])
def test_a_folder_that_only_looks_a_little_like_one_is_left_alone(names: tuple[str, ...], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    tmp_path.chmod(0o755)
    with pytest.raises(UnusableError):
        StateFolder(tmp_path).take()
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert {entry.name for entry in tmp_path.iterdir()} == set(names)


@pytest.mark.parametrize("names", [("secret.key", "ssh"), ("vzq.sqlite", "ssh", "notes"), ()])
def test_what_other_commands_made_first_is_taken(names: tuple[str, ...], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    folder = StateFolder(tmp_path)
    folder.take()
    folder.leave()


def test_a_place_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnusableError, match=r"cannot be used as state folder: .*; choose another with --state"):
        StateFolder(tmp_path / "file" / "state").take()


def test_what_a_killed_supervisor_left_running_is_ended_and_a_later_bearer_of_the_number_is_not(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("producers.embedded.state_folder.LINGER_S", 0.2)
    folder = StateFolder(tmp_path / "state")
    folder.take()
    left, other = subprocess.Popen(["sleep", "60"]), subprocess.Popen(["sleep", "60"])
    folder.tell({"service": left.pid, "worker": other.pid})
    told = json.loads((folder.path / "up.json").read_text())
    assert told["children"]["service"] == {"pid": left.pid, "started": _start_time(left.pid)}
    told["children"]["worker"]["started"] = "1"
    (folder.path / "up.json").write_text(json.dumps(told))
    os.close(folder._lock)  # as the kernel does when its holder is killed
    StateFolder(tmp_path / "state").take()
    assert not alive(left.pid)
    assert alive(other.pid)
    other.kill()
    left.wait()
    other.wait()
