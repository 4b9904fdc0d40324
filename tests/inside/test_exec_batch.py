"""Commands in containers, with real processes: service, worker, sshd and the shells on the simulated node."""

import subprocess
from pathlib import Path

import pytest
from sqlmodel import select

from models.inside import ExecResult, Visit
from models.lifecycle import State
from models.orders import StartContainer, StopContainer
from tests.inside.conftest import Crowd
from workers.openvz.inside import Script, wrapped


def results(crowd: Crowd, job_id: str) -> dict[int, ExecResult]:
    with crowd.house.database.read() as session:
        return {result.ctid: result for result in session.exec(select(ExecResult).where(ExecResult.job_id == job_id))}


def test_every_container_answers_with_its_own_code_and_output(crowd: Crowd) -> None:
    [job] = crowd.ended(crowd.run("echo out; echo err >&2; test $(basename $PWD) = " + str(crowd.ctids[0])))
    found = results(crowd, job.id)
    assert job.state == State.DONE
    assert job.result["outcomes"] == {"failed": 3, "ok": 1}
    assert {ctid: (one.outcome, one.code) for ctid, one in found.items()} == {
        ctid: ("ok", 0) if ctid == crowd.ctids[0] else ("failed", 1) for ctid in crowd.ctids
    }
    assert {one.output for one in found.values()} == {"out\nerr\n"}


def test_nobody_is_inside_any_more_when_it_has_ended(crowd: Crowd) -> None:
    crowd.ended(crowd.run("true"))
    with crowd.house.database.read() as session:
        assert not session.exec(select(Visit)).all()


def test_who_prints_too_much_or_takes_too_long_is_ended(crowd: Crowd) -> None:
    flood, long = crowd.run("yes ä", output_max=2048, ctids=crowd.ctids[:1]), crowd.run("sleep 60", timeout_s=1, ctids=crowd.ctids[1:2])
    crowd.ended(flood, long)
    [flooded], [timed_out] = results(crowd, flood).values(), results(crowd, long).values()
    assert (flooded.outcome, len(flooded.output.encode())) == ("flooded", 2048)  # bytes, not letters
    assert (timed_out.outcome, timed_out.code) == ("timed-out", 124)


def test_a_shell_that_heeds_no_failed_write_is_ended_long_before_its_time(crowd: Crowd) -> None:
    job = crowd.run("while :; do echo more; done", ctids=crowd.ctids[:1], output_max=2048, timeout_s=600)
    crowd.ended(job)
    [answer] = results(crowd, job).values()
    assert (answer.outcome, answer.code, len(answer.output)) == ("flooded", 143, 2048)


def test_what_is_begun_in_the_background_is_not_waited_for(crowd: Crowd) -> None:
    job = crowd.run("sleep 600 & echo begun", ctids=crowd.ctids[:1], timeout_s=600)
    crowd.ended(job)
    [answer] = results(crowd, job).values()
    assert (answer.outcome, answer.output) == ("ok", "begun\n")


def test_who_prints_just_what_is_allowed_is_not_ended(crowd: Crowd) -> None:
    job = crowd.run("head -c 2048 /dev/zero | tr '\\0' z", ctids=crowd.ctids[:1], output_max=2048)
    crowd.ended(job)
    [answer] = results(crowd, job).values()
    assert (answer.outcome, answer.code, answer.output) == ("ok", 0, "z" * 2048)


@pytest.mark.parametrize(("script", "code"), [("kill -9 $$", 137), ("exit 137", 137), ("exit 124", 124)])
def test_a_death_before_the_time_was_up_is_no_time_out_and_nothing_of_ours_is_in_the_output(crowd: Crowd, script: str, code: int) -> None:
    job = crowd.run(f"echo before; {script}", ctids=crowd.ctids[:1], timeout_s=60)
    crowd.ended(job)
    [answer] = results(crowd, job).values()
    assert (answer.outcome, answer.code, answer.output) == ("failed", code, "before\n")


def test_a_stopped_container_is_told_apart_from_a_failing_command(crowd: Crowd) -> None:
    crowd.ended(crowd.place(StopContainer(ctid=crowd.ctids[3], fast=True)))
    [job] = crowd.ended(crowd.run("true"))
    crowd.ended(crowd.place(StartContainer(ctid=crowd.ctids[3])))
    assert results(crowd, job.id)[crowd.ctids[3]].outcome == "not-running"
    assert job.result["outcomes"] == {"not-running": 1, "ok": 3}


def test_an_interpreter_gets_its_arguments_whole(crowd: Crowd) -> None:
    script = "import sys\nprint(sys.argv[1:])\n"
    [job] = crowd.ended(crowd.run(script, interpreter="python3", arguments=["a b", "c'$(d)"], ctids=crowd.ctids[:1]))
    assert results(crowd, job.id)[crowd.ctids[0]].output == "['a b', \"c'$(d)\"]\n"


def test_a_killed_worker_changes_nothing_and_nothing_runs_twice(crowd: Crowd) -> None:
    job_id = crowd.run("echo once >>once; until [ -e go ]; do sleep 0.1; done; echo went")
    crowd.until(lambda: all((crowd.inside(ctid) / "once").exists() for ctid in crowd.ctids), "the script to begin everywhere")
    crowd.restart("worker")
    for ctid in crowd.ctids:
        (crowd.inside(ctid) / "go").touch()
    [job] = crowd.ended(job_id)
    assert (job.state, job.result["outcomes"]) == (State.DONE, {"ok": 4})
    assert {one.output for one in results(crowd, job_id).values()} == {"went\n"}
    assert {(crowd.inside(ctid) / "once").read_text() for ctid in crowd.ctids} == {"once\n"}


def test_a_cancelled_command_is_ended_inside_and_what_ended_before_is_kept(crowd: Crowd) -> None:
    quick, *slow = crowd.ctids
    job_id = crowd.run(f"[ $(basename $PWD) = {quick} ] || {{ echo $$ >pid; exec sleep 300; }}")
    crowd.until(lambda: quick in results(crowd, job_id), "the quick one's result")
    crowd.until(lambda: all((crowd.inside(ctid) / "pid").exists() for ctid in slow), "the others to begin")
    crowd.take_back(job_id)
    [job] = crowd.ended(job_id)
    assert job.state == State.CANCELLED
    assert {ctid: one.outcome for ctid, one in results(crowd, job_id).items()} == {quick: "ok"} | dict.fromkeys(slow, "cancelled")
    assert not [ctid for ctid in slow if crowd.alive(int((crowd.inside(ctid) / "pid").read_text()))]


def one_behind_the_other(crowd: Crowd, file: str) -> tuple[str, str]:
    """Two commands in one container: the first writes a, and b once `go` is there; the second stands in line to write c."""
    inside = crowd.inside(crowd.ctids[0])
    (inside / "go").unlink(missing_ok=True)
    first = crowd.run(f"echo a >>{file}; until [ -e go ]; do sleep 0.1; done; echo b >>{file}", ctids=crowd.ctids[:1])
    crowd.until((inside / file).exists, "the first to begin")
    second = crowd.run(f"echo c >>{file}", ctids=crowd.ctids[:1])
    crowd.until(lambda: b"sleep\x001\x00" in crowd.commands_inside(crowd.ctids[0]), "the second to stand in line")
    return first, second


def test_a_second_command_waits_for_the_first_inside(crowd: Crowd) -> None:
    first, second = one_behind_the_other(crowd, "order")
    (crowd.inside(crowd.ctids[0]) / "go").touch()
    crowd.ended(first, second)
    assert (crowd.inside(crowd.ctids[0]) / "order").read_text() == "a\nb\nc\n"


def test_a_cancel_ends_a_session_of_its_own_below_the_command_too(crowd: Crowd) -> None:
    ctid = crowd.ctids[0]
    own = crowd.inside(ctid) / "own"  # as apt gives dpkg one, which heeds no hang-up
    job_id = crowd.run("setsid sh -c 'trap \"\" HUP; echo $$ >own; sleep 600; true' & wait", ctids=[ctid])
    crowd.until(lambda: own.exists() and own.read_text().strip() != "", "the command to begin")
    crowd.take_back(job_id)
    crowd.ended(job_id)
    assert not crowd.alive(int(own.read_text()))


def test_a_command_that_is_cancelled_while_it_stands_in_line_never_begins(crowd: Crowd) -> None:
    first, second = one_behind_the_other(crowd, "turns")
    crowd.take_back(second)
    [cancelled] = crowd.ended(second)
    (crowd.inside(crowd.ctids[0]) / "go").touch()
    crowd.ended(first, crowd.run("echo d >>turns", ctids=crowd.ctids[:1]))
    assert cancelled.state == State.CANCELLED
    assert (crowd.inside(crowd.ctids[0]) / "turns").read_text() == "a\nb\nd\n"


def test_who_died_in_line_or_inside_is_in_nobodys_way_and_the_line_does_not_grow(crowd: Crowd) -> None:
    crowd.ended(crowd.run("true", ctids=crowd.ctids[:1]))
    [queue] = crowd.inside(crowd.ctids[0]).glob("**/vzq.queue")
    queue.write_text("".join(f"{pid} 1 {'A' * 26}\n" for pid in range(1, 60)) + "not a line of ours\n")
    [job] = crowd.ended(crowd.run("true", ctids=crowd.ctids[:1]))
    assert job.result["outcomes"] == {"ok": 1}
    assert len(queue.read_text().splitlines()) == 1


def test_where_there_is_no_proc_nobody_stands_in_line_for_ever(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    alone = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs none /proc && exec sh"]
    done = subprocess.run(alone, input=wrapped(Script("true"), "A" * 26), cwd=tmp_path, capture_output=True, timeout=60, check=False)
    if b"unshare" in done.stderr or b"mount" in done.stderr:
        pytest.skip(f"no mount namespace can be had here: {done.stderr!r}")
    assert b"vzq-end " in done.stderr
    assert not (tmp_path / "run/vzq.queue").exists()
