"""vzq-ct under every shell at hand: it plants for exactly one, clears only what is the job's, and believes no file."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from models.errors import NodeFault, Unexpected
from tests.openvz.bench import JOB, OTHER, Bench, dead_pid
from workers.commands import Finished
from workers.openvz.driver import Sight
from workers.openvz.rows import abilities_of, row_of
from workers.openvz.sights import read_abilities, read_sight


def see(bench: Bench, ctid: int) -> Sight:
    answer = bench.run("look", str(ctid))
    assert answer.code == 0, answer.err
    return read_sight(answer)


PLANT = ("plant", "101", JOB, "vswap-256m", "simfs")
HOSTILE_ARGUMENTS = [
    (), ("look",), ("look", "0"), ("look", "100"), ("look", "0101"), ("look", "2147483645"), ("look", "99999999999999999999"), ("look", "-1"),
    ("look", "101;reboot"), ("look", "../101"), ("look", "101\n"), ("look", ""), ("look", "*"), ("look", "101", "x"), ("frobnicate", "101"),
    ("plant", "101", JOB, "vswap-256m"), ("plant", "101", JOB.lower(), "vswap-256m", "simfs"), ("plant", "101", JOB[1:], "vswap-256m", "simfs"),
    ("plant", "101", JOB, "../../passwd", "simfs"), ("plant", "101", JOB, "a b", "simfs"), ("plant", "101", JOB, "", "simfs"),
    ("plant", "101", JOB, "$(id)", "simfs"), ("plant", "101", JOB, "vswap-256m", "zfs"), ("plant", "101", JOB, "vswap-256m", 'simfs"'),
    ("clean", "101"), ("clean", "101", ""), ("clean", "101", "*" * 26), ("unplant", "x", JOB), ("facts", "x"),
]  # fmt: skip


@pytest.mark.parametrize("words", HOSTILE_ARGUMENTS, ids=" ".join)
def test_words_are_checked_before_use(one_bench: Bench, words: tuple[str, ...]) -> None:
    before = one_bench.everything()
    answer = one_bench.run(*words)
    assert (answer.code, answer.out) == (64, "")
    assert answer.err.startswith("vzq-ct: ")
    assert one_bench.everything() == before


# ---- look ----


def test_nothing_is_seen_where_nothing_is(bench: Bench) -> None:
    sight = see(bench, 101)
    assert sight.nothing
    assert sight.boot_id == "11111111-2222-3333-4444-555555555555"


def test_a_whole_container_is_seen_with_its_conf(bench: Bench) -> None:
    bench.make_whole(101)
    (bench.root / "state.101").write_text("mounted running\n")
    sight = see(bench, 101)
    assert sight.whole
    assert sight.running
    assert sight.mounted
    assert (sight.marker, sight.template, sight.locked_by) == (JOB, "debian-12", None)


def test_a_half_made_container_is_not_whole(bench: Bench) -> None:
    bench.make_half(101)
    sight = see(bench, 101)
    assert sight.exists
    assert not sight.whole
    assert (sight.private, sight.half_made, sight.stale_lock) == ("empty", True, True)


def test_a_private_area_without_conf_is_seen(bench: Bench) -> None:
    (bench.private(101) / ".hidden").mkdir(parents=True)
    sight = see(bench, 101)
    assert (sight.private, sight.conf, sight.nothing) == ("full", None, False)


def test_the_suspended_word_is_seen(bench: Bench) -> None:
    bench.make_whole(101)
    (bench.root / "state.101").write_text("unmounted down suspended\n")
    assert see(bench, 101).suspended


def test_a_live_lock_names_its_holder_but_no_more_than_three_words(bench: Bench) -> None:
    with subprocess.Popen(["sleep", "30", "0", "0"]) as holder:
        bench.lock(101).write_text(f"{holder.pid}\n\n")
        sight = see(bench, 101)
        holder.kill()
    assert sight.locked_by == f"pid {holder.pid}, sleep 30 0"
    assert not sight.stale_lock


def test_a_lock_without_a_number_is_told(bench: Bench) -> None:
    bench.lock(101).write_text("")
    assert "no process id" in (see(bench, 101).locked_by or "")


HOSTILE_CONF = b"""\
end
conf=no
private=none
|status=exist mounted running
DESCRIPTION="$(touch pwned) `touch pwned` \xff\xfe \x0b \xe2\x80\xa8 "; touch pwned"
X_VZQ_JOB="01JD0000000000000000000000"
VE_PRIVATE="/vz/private/$(touch pwned)"
touch pwned
CTID 101 exist mounted running
vzq-ct1 look ctid=999
status=exist mounted running"""


@pytest.mark.parametrize("ending", [b"", b"\n", b"\nend", b"\nend\n", b"\r\n", b"\x00\nend\n"])
def test_a_hostile_conf_changes_nothing_but_itself(bench: Bench, ending: bytes) -> None:
    bench.make_whole(101)
    bench.conf(101).write_bytes(HOSTILE_CONF + ending)
    before = bench.everything()
    sight = see(bench, 101)
    assert (sight.ctid, sight.exists, sight.running, sight.private, sight.marker) == (101, True, False, "full", JOB)
    assert bench.run("clean", "101", OTHER).code == 17
    assert bench.run("unplant", "101", OTHER).code == 17
    assert bench.everything() == before
    assert not Path("pwned").exists()


def test_a_node_without_vzctl_is_a_fault_of_the_node(one_bench: Bench) -> None:
    one_bench.tool("vzctl", "#!/bin/sh\nexit 127\n")
    with pytest.raises(NodeFault):
        see(one_bench, 101)


@pytest.mark.parametrize("cut", [0, 10, 100, 250])
def test_a_cut_answer_is_not_believed(one_bench: Bench, cut: int) -> None:
    one_bench.make_whole(101)
    answer = one_bench.run("look", "101")
    with pytest.raises(Unexpected):
        read_sight(Finished(0, answer.out[:cut], ""))


# ---- plant ----


def test_planting_writes_the_sample_with_our_mark(bench: Bench) -> None:
    assert bench.run(*PLANT).code == 0
    assert bench.conf(101).read_text().split("\n") == [
        'PHYSPAGES="0:65536"', 'SWAPPAGES="0:131072"', 'DISKSPACE="2G:2.2G"', 'VE_LAYOUT="simfs"', 'ORIGIN_SAMPLE="vswap-256m"',
        f'X_VZQ_JOB="{JOB}"', "",
    ]  # fmt: skip
    assert bench.conf(101).stat().st_mode & 0o777 == 0o644
    assert bench.names("etc/vz/conf") == ["101.conf", "ve-vswap-256m.conf-sample"]
    assert see(bench, 101).marker == JOB


def test_planting_again_is_well(bench: Bench) -> None:
    assert bench.run(*PLANT).code == 0
    inode = bench.conf(101).stat().st_ino
    assert bench.run(*PLANT).code == 0
    assert bench.conf(101).stat().st_ino == inode


def test_of_many_that_plant_at_once_one_wins(bench: Bench) -> None:
    jobs = [f"01JD00000000000000000000{n:02}" for n in range(8)]
    runs = [bench.begin("plant", "101", job, "vswap-256m", "simfs") for job in jobs]
    for run in runs:
        run.communicate()
    codes = [run.returncode for run in runs]
    assert sorted(codes) == [0] + [17] * 7
    assert see(bench, 101).marker == jobs[codes.index(0)]
    assert bench.names("etc/vz/conf") == ["101.conf", "ve-vswap-256m.conf-sample"]


@pytest.mark.parametrize("taken", ["conf", "private", "tmp", "migrated", "link"])
def test_a_taken_id_is_refused(bench: Bench, taken: str) -> None:
    {
        "conf": lambda: bench.conf(101).write_text(f'X_VZQ_JOB="{OTHER}"\n'),
        "private": lambda: bench.private(101).mkdir(),
        "tmp": (bench.root / "vz/private/101.tmp").mkdir,
        "migrated": (bench.root / "etc/vz/conf/101.conf.migrated").touch,
        "link": lambda: bench.conf(101).symlink_to("/nonexistent"),
    }[taken]()
    before = bench.everything()
    answer = bench.run(*PLANT)
    assert answer.code == 17
    assert "the id 101 is taken" in answer.err
    assert bench.everything() == before


def test_a_destroyed_conf_is_no_obstacle(bench: Bench) -> None:
    bench.conf(101).with_suffix(".conf.destroyed").write_text(f'X_VZQ_JOB="{OTHER}"\n')
    assert bench.run(*PLANT).code == 0


def test_two_marks_are_nobodys(bench: Bench) -> None:
    bench.conf(101).write_text(f'X_VZQ_JOB="{JOB}"\nX_VZQ_JOB="{OTHER}"\n')
    assert bench.run(*PLANT).code == 17
    assert bench.run("unplant", "101", JOB).code == 17


def test_a_missing_sample_is_told(bench: Bench) -> None:
    answer = bench.run("plant", "101", JOB, "nosuch", "simfs")
    assert (answer.code, "no sample" in answer.err) == (66, True)


def test_a_conf_folder_that_cannot_be_written_is_told(one_bench: Bench) -> None:
    for tool in ("dd", "tee"):
        one_bench.tool(tool, "#!/bin/sh\nexec cat >/dev/null\n")
    answer = one_bench.run(*PLANT)
    assert (answer.code, "disk full" in answer.err) == (74, True)
    assert not one_bench.conf(101).exists()


# ---- clean and unplant ----


def test_a_killed_create_is_cleared(bench: Bench) -> None:
    bench.make_half(101)
    assert bench.run("clean", "101", JOB).code == 0
    sight = see(bench, 101)
    assert (sight.private, sight.half_made, sight.stale_lock, sight.marker) == ("none", False, False, JOB)
    assert bench.run("clean", "101", JOB).code == 0
    assert bench.run("unplant", "101", JOB).code == 0
    assert see(bench, 101).nothing
    assert bench.run("unplant", "101", JOB).code == 0


def test_what_another_job_left_is_not_touched(bench: Bench) -> None:
    bench.make_half(101, job=OTHER)
    before = bench.everything()
    assert bench.run("clean", "101", JOB).code == 17
    assert bench.run("unplant", "101", JOB).code == 17
    assert bench.everything() == before


def test_leftovers_without_any_conf_are_not_touched(bench: Bench) -> None:
    (bench.root / "vz/private/101.tmp").mkdir()
    assert bench.run("clean", "101", JOB).code == 17
    assert (bench.root / "vz/private/101.tmp").exists()


def test_leftovers_after_our_own_destroy_are_cleared(bench: Bench) -> None:
    """`destroy` of a half-made container leaves CTID.tmp and renames the conf (create-sigkill)."""
    bench.make_half(101)
    bench.conf(101).rename(bench.conf(101).with_suffix(".conf.destroyed"))
    bench.private(101).rmdir()
    assert bench.run("clean", "101", JOB).code == 0
    assert not (bench.root / "vz/private/101.tmp").exists()
    assert bench.run("unplant", "101", JOB).code == 0
    assert not bench.conf(101).with_suffix(".conf.destroyed").exists()


def test_another_jobs_destroyed_conf_stays(bench: Bench) -> None:
    destroyed = bench.conf(101).with_suffix(".conf.destroyed")
    destroyed.write_text(f'X_VZQ_JOB="{OTHER}"\n')
    assert bench.run("unplant", "101", JOB).code == 0
    assert destroyed.exists()


def test_a_whole_container_is_never_removed(bench: Bench) -> None:
    bench.make_whole(101)
    before = bench.everything()
    assert bench.run("clean", "101", JOB).code == 0
    assert bench.run("unplant", "101", JOB).code == 16
    assert bench.everything() == before


def test_a_running_container_is_never_touched(bench: Bench) -> None:
    bench.make_half(101)
    (bench.root / "state.101").write_text("mounted running\n")
    before = bench.everything()
    assert bench.run("clean", "101", JOB).code == 16
    assert bench.everything() == before


def test_a_conf_with_its_private_area_elsewhere_is_not_ours(bench: Bench) -> None:
    bench.make_half(101)
    bench.conf(101).write_text(f'X_VZQ_JOB="{JOB}"\nVE_PRIVATE="/vz2/private/$VEID"\n')
    assert bench.run("clean", "101", JOB).code == 17
    assert (bench.root / "vz/private/101.tmp").exists()


def test_the_private_area_that_create_writes_into_the_conf_is_ours(bench: Bench) -> None:
    bench.make_half(101)
    bench.conf(101).write_text(f'X_VZQ_JOB="{JOB}"\nVE_PRIVATE="/vz/private/$VEID"\n')
    assert bench.run("clean", "101", JOB).code == 0


@pytest.mark.parametrize("verb", ["clean", "unplant"])
def test_a_live_lock_is_waited_for(bench: Bench, verb: str) -> None:
    bench.make_half(101)
    bench.lock(101).write_text(f"{os.getpid()}\n\n")
    before = bench.everything()
    answer = bench.run(verb, "101", JOB)
    assert answer.code == 9
    assert f"pid {os.getpid()}" in answer.err
    assert bench.everything() == before


def test_an_empty_private_area_keeps_the_conf(bench: Bench) -> None:
    bench.make_half(101)
    assert bench.run("unplant", "101", JOB).code == 16
    assert bench.conf(101).exists()


def test_a_link_is_removed_and_what_it_leads_to_stays(bench: Bench) -> None:
    bench.make_half(101)
    elsewhere = bench.root / "customer"
    (elsewhere / "data").mkdir(parents=True)
    (bench.root / "vz/private/102.tmp").symlink_to(elsewhere)
    bench.conf(102).write_text(f'X_VZQ_JOB="{JOB}"\n')
    assert bench.run("clean", "102", JOB).code == 0
    assert not (bench.root / "vz/private/102.tmp").is_symlink()
    assert (elsewhere / "data").exists()


def test_a_tar_that_still_unpacks_does_not_stop_the_clearing(bench: Bench) -> None:
    bench.make_half(101)
    inside = bench.root / "vz/private/101.tmp/usr"
    unpack = 'cd "$1" && n=0 && while : > "$n"; do n=$((n + 1)); sleep 0.02; done'
    with subprocess.Popen(["sh", "-c", unpack, "tar", str(inside)], stderr=subprocess.DEVNULL) as tar:
        answer = bench.run("clean", "101", JOB)
        assert tar.wait(timeout=10)  # it ended because its folder is gone
    assert (answer.code, answer.err) == (0, "")
    assert not (bench.root / "vz/private/101.tmp").exists()


def mounts(bench: Bench, *points: str) -> None:
    (bench.root / "proc/mounts").write_text("".join(f"/dev/sim {point} ext4 rw 0 0\n" for point in ("/", *points)))


def test_nothing_is_removed_below_a_mount_that_stays(bench: Bench) -> None:
    bench.make_half(101)
    mounts(bench, f"{bench.root}/vz/private/101.tmp/usr")
    bench.tool("umount", "#!/bin/sh\nexit 32\n")
    answer = bench.run("clean", "101", JOB)
    assert (answer.code, "still mounted" in answer.err) == (75, True)
    assert (bench.root / "vz/private/101.tmp/usr/share").exists()


def test_a_mount_with_an_odd_name_is_left_to_a_person(bench: Bench) -> None:
    bench.make_half(101)
    mounts(bench, f"{bench.root}/vz/private/101.tmp/a\\040b")
    bench.tool("umount", "#!/bin/sh\necho >> $VZQ_NODE_ROOT/called\n")
    assert bench.run("clean", "101", JOB).code == 75
    assert not (bench.root / "called").exists()


def test_mounts_are_undone_from_the_inside_out(bench: Bench) -> None:
    bench.make_half(101)
    own = [f"{bench.root}/vz/private/101.tmp/a", f"{bench.root}/vz/private/101.tmp/a/b", f"{bench.root}/vz/root/101"]
    other = [f"{bench.root}/vz/private/1010.tmp", f"{bench.root}/vz/root/1011"]
    mounts(bench, *own, *other)
    bench.tool("umount", '#!/bin/sh\necho "$1" >> "$VZQ_NODE_ROOT/called"\nsed -i "\\#^/dev/sim $1 #d" "$VZQ_NODE_ROOT/proc/mounts"\n')
    assert bench.run("clean", "101", JOB).code == 0
    assert (bench.root / "called").read_text().split() == [own[1], own[0], own[2]]
    assert "1010.tmp" in (bench.root / "proc/mounts").read_text()


def test_the_root_of_a_whole_container_is_not_unmounted(bench: Bench) -> None:
    bench.make_whole(101)
    mounts(bench, f"{bench.root}/vz/root/101")
    bench.tool("umount", "#!/bin/sh\necho >> $VZQ_NODE_ROOT/called\n")
    assert bench.run("clean", "101", JOB).code == 0
    assert not (bench.root / "called").exists()


@pytest.mark.parametrize("private", ["/", "/vz/private", "vz/private/$VEID", "/vz/../$VEID", "/vz/a b/$VEID", "/$(touch pwned)/$VEID", "//$VEID"])
def test_an_odd_private_folder_in_vz_conf_stops_everything(one_bench: Bench, private: str) -> None:
    one_bench.make_half(101)
    (one_bench.root / "etc/vz/vz.conf").write_text(f'VE_PRIVATE="{private}"\n')
    before = one_bench.everything()
    for words in (PLANT, ("clean", "101", JOB), ("unplant", "101", JOB)):
        assert one_bench.run(*words).code in (17, 66)
    assert one_bench.everything() == before


def test_a_stale_lock_on_a_whole_container_is_cleared(bench: Bench) -> None:
    bench.make_whole(101)
    bench.lock(101).write_text(f"{dead_pid()}\n\n")
    assert bench.run("clean", "101", JOB).code == 0
    assert bench.names("vz/lock") == []


# ---- facts ----


def test_the_node_is_learned(bench: Bench) -> None:
    files = {
        "meminfo": "MemTotal:       16333764 kB\nMemFree:        1 kB\nSwapTotal:      2097148 kB\n",
        "cpuinfo": "processor\t: 0\nflags\t\t: fpu vme sse2\n\nprocessor\t: 1\nflags\t\t: fpu vme sse2\n",
        "sys/kernel/osrelease": "2.6.32-042stab145.3\n", "sys/kernel/hostname": "n1\n", "vz/vswap": "", "vz/ploop_minor": "", "cpt": "", "rst": "",
    }  # fmt: skip
    for name, text in files.items():
        (bench.root / "proc" / name).parent.mkdir(parents=True, exist_ok=True)
        (bench.root / "proc" / name).write_text(text)
    bench.make_whole(101)
    bench.make_half(102)
    bench.private(103).mkdir()
    (bench.root / "etc/vz/conf/104.conf.migrated").touch()
    (bench.root / "etc/vz/conf/105.conf.destroyed").touch()
    (bench.root / "etc/vz/conf/0.conf").touch()
    (bench.root / "vz/private/lost+found").mkdir()
    (bench.root / "vz/template/cache/a b.tar.gz").touch()
    (bench.root / "vz/template/cache/centos-6-x86_64.tar.xz").touch()
    node = read_abilities(bench.run("facts"))
    assert (node.dialect, node.version, node.kernel, node.hostname) == ("vzctl", "4.11.1-3.ga3f732ef", "2.6.32-042stab145.3", "n1")
    assert (node.openvz, node.vswap, node.ploop, node.checkpointing) == (True, True, True, True)
    assert (node.memory_bytes, node.swap_bytes, node.memory_free_bytes) == (16333764 * 1024, 2097148 * 1024, None)
    assert (node.cpus, node.cpu_flags) == (2, ("fpu", "vme", "sse2"))
    assert node.disk_bytes >= node.disk_free_bytes > 0
    assert node.templates == ("centos-6-x86_64", "debian-12-x86_64-minbase")
    assert (node.samples, node.sample) == (("vswap-256m",), "vswap-256m")
    assert (node.default_layout, node.layout, node.layouts) == ("simfs", "simfs", ("simfs", "ploop"))
    assert node.ctids == (101, 102, 103, 104)
    assert node.boot_id == "11111111-2222-3333-4444-555555555555"
    assert node.time_s > 1_600_000_000
    assert abilities_of(json.loads(json.dumps(row_of(node)))) == node


def test_this_machines_own_proc_vz_is_not_taken_for_the_nodes(one_bench: Bench) -> None:
    node = read_abilities(one_bench.run("facts"))
    assert (node.openvz, node.vswap, node.ploop, node.layout) == (False, True, False, "simfs")


def test_a_row_of_nothing_holds_no_abilities() -> None:
    assert abilities_of({}) is None
