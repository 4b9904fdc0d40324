"""vzq-ct's survey, unlock, sweep and disown under every shell at hand: they see all, and touch only what is nobody's."""

import shutil
from pathlib import Path

import pytest

from models.errors import Unexpected
from tests.openvz.bench import JOB, OTHER, SHELLS, Bench, dead_pid, make_bench
from workers.commands import Finished
from workers.openvz.driver import Limits, Sight
from workers.openvz.sights import read_sight, read_survey
from workers.openvz.vzctl import Vzctl

MIB = 1 << 20
OLD = "#!/bin/sh\nexit 0\n"  # a find that finds nothing younger than an hour: a change time cannot be set back


@pytest.fixture(params=SHELLS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    if shutil.which(SHELLS[request.param][0]) is None:
        pytest.skip(f"{request.param} is not on this machine")
    return make_bench(tmp_path / "node", request.param)


def survey(bench: Bench) -> dict[int, Sight]:
    answer = bench.run("survey")
    assert answer.code == 0, answer.err
    return {sight.ctid: sight for sight in read_survey(answer)}


def orphan(bench: Bench, ctid: int = 101) -> Path:
    tmp = bench.private(ctid).with_name(f"{ctid}.tmp")
    (tmp / "usr").mkdir(parents=True)
    return tmp


def test_an_empty_node_shows_nothing(bench: Bench) -> None:
    assert survey(bench) == {}


def test_everything_of_which_there_is_a_trace_is_seen(bench: Bench) -> None:
    bench.make_whole(101)
    bench.make_half(102, job=OTHER)
    orphan(bench, 103)
    bench.conf(104).with_name("104.conf.migrated").write_text("")
    bench.lock(105).write_text(f"{dead_pid()}\n")
    orphan(bench, 106)
    bench.conf(106).with_name("106.conf.destroyed").write_text(f'X_VZQ_JOB="{JOB}"\n')
    bench.private(107).with_name(f"107.vzq-{JOB}").mkdir()
    bench.conf(108).write_text(f'X_VZQ_JOB="{JOB}"\n')
    seen = survey(bench)
    assert set(seen) == set(range(101, 109))
    assert seen[101].whole
    assert (seen[101].marker, seen[101].template, seen[101].fresh) == (JOB, "debian-12", False)
    assert (seen[102].marker, seen[102].half_made, seen[102].private, seen[102].stale_lock, seen[102].fresh) == (OTHER, True, "empty", True, True)
    assert (seen[103].conf, seen[103].half_made, seen[103].left_by) == (None, True, None)
    assert seen[104].migrated
    assert seen[105].stale_lock
    assert seen[105].nothing
    assert seen[106].left_by == JOB
    assert seen[107].aside == JOB
    assert (seen[108].private, seen[108].half, seen[108].marker) == ("none", True, JOB)


def test_a_survey_and_a_look_tell_the_same(bench: Bench) -> None:
    bench.make_whole(101)
    bench.make_half(102)
    orphan(bench, 103)
    for ctid, seen in survey(bench).items():
        looked = read_sight(bench.run("look", str(ctid)))
        assert (seen.exists, seen.conf, seen.private, seen.half_made, seen.stale_lock, seen.marker) == (
            looked.exists, looked.conf, looked.private, looked.half_made, looked.stale_lock, looked.marker,
        )  # fmt: skip


def test_limits_are_read_from_the_lines_that_a_survey_tells(bench: Bench) -> None:
    bench.make_whole(101)
    with bench.conf(101).open("a") as conf:
        conf.write('PHYSPAGES="0:256M"\nSWAPPAGES="0:512M"\nDISKSPACE="2G:2.2G"\nDISKINODES="1:2"\nCPUUNITS="1000"\n  CPUS=2\n')
    disk = (2 << 30) + 2 * (1 << 30) // 10
    assert Vzctl().limits(survey(bench)[101]) == Limits(256 * MIB, 512 * MIB, disk, 2, 2, 1000)


def test_no_line_of_a_configuration_passes_for_another_containers(bench: Bench) -> None:
    bench.make_whole(101)
    bench.make_whole(102, job=OTHER)
    with bench.conf(101).open("a") as conf:
        conf.write(f'|102.conf:X_VZQ_JOB="{JOB}"\nNAME="x\r|102.conf:NAME=y"\nct=103 conf=yes private=full\nend\n')
    (bench.conf(101).parent / "1x.conf").write_text("NAME=1\n")
    (bench.conf(101).parent / "99999999999999.conf").write_text("NAME=1\n")
    seen = survey(bench)
    assert set(seen) == {101, 102}
    assert seen[102].marker == OTHER
    assert "NAME" not in (seen[102].conf or {})


@pytest.mark.parametrize("text", ["", "vzq-ct1 survey\n", "vzq-ct1 surveys\nend\n", "vzq-ct1 facts\nend\n"])
def test_a_cut_survey_is_none(text: str) -> None:
    with pytest.raises(Unexpected):
        read_survey(Finished(0, text, ""))


def test_only_a_dead_processs_lock_is_taken_away(bench: Bench) -> None:
    bench.lock(101).write_text(f"{dead_pid()}\n")
    bench.lock(102).write_text("1\n")
    bench.make_whole(101)
    assert bench.run("unlock", "101").code == 0
    assert not bench.lock(101).exists()
    assert bench.private(101).is_dir()
    assert bench.run("unlock", "102").code == 9
    assert bench.lock(102).exists()
    assert bench.run("unlock", "103").code == 0


def test_what_is_nobodys_and_old_is_swept(bench: Bench) -> None:
    tmp = orphan(bench)
    bench.private(101).mkdir()
    bench.tool("find", OLD)
    assert bench.run("sweep", "101").code == 0
    assert not tmp.exists()
    assert not bench.private(101).exists()
    assert bench.run("sweep", "101").code == 0


def test_what_was_touched_within_the_hour_is_not_swept(bench: Bench) -> None:
    tmp = orphan(bench)
    answer = bench.run("sweep", "101")
    assert (answer.code, tmp.is_dir()) == (75, True), answer.err


@pytest.mark.parametrize("guard", ["conf", "files", "migrated", "marked", "aside", "locked"])
def test_what_may_be_somebodys_is_not_swept(bench: Bench, guard: str) -> None:
    tmp = orphan(bench)
    bench.tool("find", OLD)
    match guard:
        case "conf":
            bench.conf(101).write_text("")
        case "files":
            (bench.private(101) / "etc").mkdir(parents=True)
        case "migrated":
            bench.conf(101).with_name("101.conf.migrated").write_text("")
        case "marked":
            bench.conf(101).with_name("101.conf.destroyed").write_text(f'X_VZQ_JOB="{JOB}"\n')
        case "aside":
            bench.private(101).with_name(f"101.vzq-{JOB}").mkdir()
        case "locked":
            bench.lock(101).write_text("1\n")
    before = bench.everything()
    assert bench.run("sweep", "101").code in (9, 16, 17)
    assert bench.everything() == before
    assert tmp.is_dir()


def test_a_mark_is_taken_back_by_the_job_that_put_it_and_by_no_other(bench: Bench) -> None:
    bench.make_whole(101)
    text = 'OSTEMPLATE="debian-12"\n'
    bench.conf(101).write_text(text)
    assert bench.run("adopt", "101", JOB).code == 0
    marked = bench.conf(101).read_text()
    assert bench.run("disown", "101", OTHER).code == 0
    assert bench.conf(101).read_text() == marked
    assert bench.run("disown", "101", JOB).code == 0
    assert bench.conf(101).read_text().strip() == text.strip()
    assert bench.names("vz/lock") == []
