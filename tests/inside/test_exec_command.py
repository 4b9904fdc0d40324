"""`vzq exec` as a person types it, against the lab's processes."""

import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from sqlmodel import col, select

from models.inside import ExecResult
from models.jobs import Job
from models.lifecycle import State
from models.orders import StartContainer, StopContainer
from models.rollouts import RolloutSpec
from models.updates import LONGEST_COMMAND
from tests import warm
from tests.inside.conftest import Crowd


def vzq(crowd: Crowd, *words: str) -> "subprocess.CompletedProcess[str]":
    return warm.run("producers.cli", *words, env=crowd.environment)


def test_the_last_line_counts_and_equal_answers_are_told_once(crowd: Crowd) -> None:
    done = vzq(crowd, "exec", "all", "--", "echo same; echo other >&2")
    assert done.returncode == 0, done.stderr
    ids = " ".join(map(str, crowd.ctids))
    assert done.stdout.splitlines() == [f"== 4 × ok: {ids}", "same", "other", "4 ok, 0 failed, 0 unreachable"]


def test_words_behind_the_dashes_reach_the_program_whole(crowd: Crowd) -> None:
    done = vzq(crowd, "exec", str(crowd.ctids[0]), "--", "printf", "%s|", "a b", "$HOME")
    assert done.stdout.splitlines()[1] == "a b|$HOME|"


def test_a_failing_command_and_a_stopped_container_are_counted_apart(crowd: Crowd) -> None:
    stopped, failing, *_ = crowd.ctids
    crowd.ended(crowd.place(StopContainer(ctid=stopped, fast=True)))
    done = vzq(crowd, "exec", "node=n1", "--json", "--", f"test $(basename $PWD) != {failing}")
    crowd.ended(crowd.place(StartContainer(ctid=stopped)))
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert told["counts"] == {"ok": 2, "failed": 1, "unreachable": 1}
    assert {one["ctid"]: one["outcome"] for one in told["results"]} == dict.fromkeys(crowd.ctids, "ok") | {stopped: "not-running", failing: "failed"}


def test_a_script_without_end_is_refused(crowd: Crowd) -> None:
    done = vzq(crowd, "exec", "all", "--script", "/dev/zero")
    assert (done.returncode, done.stderr[:12]) == (2, "vzq: script:"), done


def test_a_script_that_is_too_long_is_refused_and_none_is_cut(crowd: Crowd, tmp_path: Path) -> None:
    long, end = tmp_path / "long.sh", "echo end\n"
    long.write_text("#" * (LONGEST_COMMAND - len(end) - 1) + "\n" + end)
    assert vzq(crowd, "exec", str(crowd.ctids[0]), "--script", str(long)).stdout.splitlines()[1:] == ["end", "1 ok, 0 failed, 0 unreachable"]
    long.write_text("#" * LONGEST_COMMAND + "\n")
    done = vzq(crowd, "exec", "all", "--script", str(long))
    assert (done.returncode, done.stdout) == (2, "")
    assert str(LONGEST_COMMAND) in done.stderr


def test_a_script_from_a_file_streams_line_by_line(crowd: Crowd, tmp_path: Path) -> None:
    (tmp_path / "who.py").write_text("import os\nprint(os.path.basename(os.getcwd()))\n")
    done = vzq(crowd, "exec", "all", "--exclude", str(crowd.ctids[0]), "--script", str(tmp_path / "who.py"), "--interpreter", "python3", "--stream")
    assert sorted(done.stdout.splitlines()[:-1]) == sorted(f"{ctid} | {ctid}" for ctid in crowd.ctids[1:])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_ends_the_command_inside(crowd: Crowd, number: signal.Signals) -> None:
    ctid = crowd.ctids[2]
    (crowd.inside(ctid) / "mine").unlink(missing_ok=True)
    program = [sys.executable, "-P", "-m", "producers.cli", "exec", str(ctid), "--", "echo $$ >mine; exec sleep 300"]
    with subprocess.Popen(program, env=crowd.environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as running:
        crowd.until((crowd.inside(ctid) / "mine").exists, "the command to begin")
        running.send_signal(number)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "the command is being ended inside the containers" in said
    pid = int((crowd.inside(ctid) / "mine").read_text())
    crowd.until(lambda: not crowd.alive(pid), "the command to end")


def test_who_was_never_asked_because_the_job_was_cancelled_is_counted_as_unreachable(crowd: Crowd) -> None:
    assert vzq(crowd, "pause", "--kind", "exec-batch", "--because", "test").returncode == 0
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(vzq, crowd, "exec", "all", "--", "true")
        crowd.until(lambda: waiting(crowd) != [], "the job to be placed")
        for job_id in waiting(crowd):
            crowd.take_back(job_id)
        done = asked.result(timeout=60)
    assert vzq(crowd, "resume", "--kind", "exec-batch").returncode == 0
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, f"0 ok, 0 failed, {len(crowd.ctids)} unreachable"), done


def waiting(crowd: Crowd) -> list[str]:
    with crowd.house.database.read() as session:
        return list(session.exec(select(Job.id).where(Job.kind == "exec-batch", Job.state == State.QUEUED)).all())


def test_it_becomes_a_specification_of_a_rollout(crowd: Crowd, tmp_path: Path) -> None:
    file = tmp_path / "date.yaml"
    done = vzq(crowd, "exec", "customer=acme,env=prod", "--save-as-rollout", str(file), "--", "date")
    assert done.returncode == 0, done.stderr
    spec = RolloutSpec.model_validate(yaml.safe_load(file.read_text()))
    assert (spec.selector.customers, spec.selector.labels, spec.action.do) == (("acme",), {"env": "prod"}, "script")


def test_bad_input_is_told_before_anything_runs(crowd: Crowd) -> None:
    for words, said in (
        (["nobody-has-this-name", "--", "true"], "selector: no container fits; see `vzq container list`"),
        (["all"], "COMMAND: give either a command behind --, or a file with --script"),
        (["all", "--script", "/does/not/exist"], "--script: /does/not/exist cannot be read"),
        (["", "--", "true"], "SELECTOR: is empty"),
    ):
        done = vzq(crowd, "exec", *words)
        assert done.returncode == 2, words
        assert said in done.stderr


def test_interrupted_it_tells_the_answers_that_had_come(crowd: Crowd, tmp_path: Path) -> None:
    slow = crowd.ctids[0]
    environment = crowd.environment | {"PYTHONUNBUFFERED": "1"}
    (crowd.inside(slow) / "mine").unlink(missing_ok=True)
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        script = f"test $(basename $PWD) = {slow} || exec printf 'a\\tb\\n'; echo $$ >mine; exec sleep 300"
        running = warm.start("producers.cli", "exec", "all", "--", script, env=environment, out=out, err=err)
        crowd.until(lambda: answered(crowd) == len(crowd.ctids) - 1, "the others to answer")
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 130
    others = " ".join(str(ctid) for ctid in crowd.ctids if ctid != slow)
    assert (tmp_path / "out").read_text().splitlines() == [f"== 3 × ok: {others}", "a\tb", "3 ok, 0 failed, 1 unreachable"]


def answered(crowd: Crowd) -> int:
    """How many results the newest command has."""
    with crowd.house.database.read() as session:
        newest = session.exec(select(Job.id).where(Job.kind == "exec-batch").order_by(col(Job.id).desc())).first()
        return len(session.exec(select(ExecResult).where(ExecResult.job_id == newest)).all())
