"""Child programs that die, linger and talk too much."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from producers.embedded import logs
from producers.embedded.supervisor import FIRST_PAUSE_S, Supervisor, cause_of_death
from tests.embedded.programs import alive, environment, shell, until
from tests.stand_ins import ManualClock


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path, say=said.append)
    yield made
    made.kill()


def test_a_program_that_is_killed_is_started_again_and_told_about(supervisor: Supervisor, said: list[str], tmp_path: Path) -> None:
    supervisor.start(shell("sleeper", "exec sleep 60"))
    first = supervisor.pids()["sleeper"]
    os.kill(first, signal.SIGKILL)
    until(lambda: supervisor.pids().get("sleeper", first) != first, supervisor=supervisor)
    assert alive(supervisor.pids()["sleeper"])
    assert said == [f"sleeper died (signal 9, SIGKILL); restarted in 0.5 s; see {tmp_path}/sleeper.log"]


def test_its_last_words_are_told_with_its_exit_code(supervisor: Supervisor, said: list[str]) -> None:
    supervisor.start(shell("moaner", "echo all is well; echo the disk is full >&2; exit 3"))
    until(lambda: said, supervisor=supervisor)
    assert "died (exit code 3)" in said[0]
    assert said[0].endswith(": the disk is full")


def test_pauses_grow_with_each_death_up_to_a_limit_and_start_again_after_a_steady_life(tmp_path: Path, said: list[str]) -> None:
    clock = ManualClock()
    supervisor = Supervisor(tmp_path, say=said.append, monotonic=clock.monotonic)
    supervisor.start(shell("mayfly", "exit 1"))
    for number in range(1, 10):
        until(lambda number=number: len(said) == number, supervisor=supervisor)
        clock.pass_(FIRST_PAUSE_S * 2 ** (number - 1))
    pauses = [line.partition("restarted in ")[2].partition(";")[0] for line in said]
    assert pauses == ["0.5 s", "1 s", "2 s", "4 s", "8 s", "16 s", "30 s", "30 s", "30 s"]
    assert supervisor.deaths("mayfly") == 9
    supervisor.start(shell("mayfly", "read _ </proc/self/stat; sleep 0.2; exit 1"))
    clock.pass_(60)
    until(lambda: len(said) == 10, supervisor=supervisor)
    assert supervisor.deaths("mayfly") == 1
    supervisor.kill()


def test_stopping_is_asked_for_before_it_is_forced(supervisor: Supervisor, said: list[str], tmp_path: Path) -> None:
    supervisor.start(shell("polite", f"trap 'echo bye > {tmp_path}/bye; exit 0' TERM; echo up; while :; do sleep 0.05; done"))
    supervisor.start(shell("deaf", "trap '' TERM; echo up; while :; do sleep 0.05; done", patience_s=0.3))
    pids = supervisor.pids()
    until(lambda: all(supervisor.last_words(name) == "up" for name in pids))
    supervisor.stop(["polite"])
    assert (tmp_path / "bye").read_text() == "bye\n"
    assert alive(pids["deaf"])
    supervisor.stop(["deaf"])
    assert not alive(pids["deaf"])
    assert said == ["deaf did not stop within 0.3 s and is killed"]
    assert supervisor.pids() == {}


def test_hurry_kills_a_program_and_what_it_started_at_once(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(shell("parent", f"trap '' TERM; sleep 60 & echo $! > {tmp_path}/child; wait; wait", patience_s=60))
    until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text())
    child = int((tmp_path / "child").read_text())
    supervisor.stop(["parent"], hurry=lambda: True)
    until(lambda: not alive(child))


def test_children_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time, pathlib\n"
        "from producers.embedded.supervisor import Program, Supervisor\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "supervisor = Supervisor(folder, say=print)\n"
        "supervisor.start(Program('sleeper', ['/bin/sleep', '60']))\n"
        "(folder / 'pid').write_text(str(supervisor.pids()['sleeper']))\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], env=environment())
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    child = int((tmp_path / "pid").read_text())
    until(lambda: Path(f"/proc/{child}/comm").read_text() == "sleep\n")
    parent.kill()
    parent.wait()
    until(lambda: not alive(child))


def test_a_program_that_cannot_be_run_says_so(supervisor: Supervisor, said: list[str]) -> None:
    supervisor.start(shell("x", "exec /nonexistent/program"))
    until(lambda: said, supervisor=supervisor)
    assert "/nonexistent/program" in said[0]


def test_a_log_keeps_one_older_file_and_stays_below_its_cap(supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "talker.log"
    log.write_text("of an earlier run\n")
    supervisor.start(shell("talker", "echo first; read _ <&- ; exec sleep 60"))
    until(lambda: "first" in log.read_text())
    assert (tmp_path / "talker.log.1").read_text() == "of an earlier run\n"
    monkeypatch.setattr(logs, "CAP_BYTES", 3)
    logs.cap(log)
    assert log.read_text() == ""
    assert (tmp_path / "talker.log.1").read_text().startswith("first\n")
    assert oct(log.stat().st_mode & 0o777) == "0o600"


@pytest.mark.quick
@pytest.mark.parametrize(("code", "words"), [(0, "exit code 0"), (5, "exit code 5"), (-15, "signal 15, SIGTERM"), (-40, "signal 40")])
def test_a_cause_of_death_is_told_in_words(code: int, words: str) -> None:
    assert cause_of_death(code) == words
