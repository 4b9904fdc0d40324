"""vzq-ct under every shell: an old system is kept aside and comes back whole, wherever it was interrupted; only its own job touches it."""

import os
import subprocess

import pytest

from models.errors import Unexpected
from tests.openvz.bench import JOB, OTHER, VZQ_CT, Bench
from tests.openvz.test_vzq_ct import see
from workers.commands import Finished
from workers.openvz.sights import read_abilities, read_used

THIRD = "01JD0000000000000000000002"
ASIDE = ("aside", "101", JOB, OTHER)  # JOB puts away what OTHER made
KEYS = ("etc/ssh/ssh_host_rsa_key", "etc/ssh/ssh_host_rsa_key.pub", "root/.ssh/authorized_keys")

HOSTILE = [
    ("aside", "101", JOB), ("aside", "101", JOB, OTHER, "x"), ("aside", "101", JOB, OTHER.lower()), ("aside", "100", JOB, OTHER),
    ("aside", "101", "..", OTHER),
    ("back", "101"), ("back", "101", "*" * 26), ("back", "1/1", JOB), ("drop", "101"), ("drop", "101", ""), ("drop", "101", "/" * 26),
    ("drop", "0", JOB),
    ("keys", "101"), ("keys", "101", JOB + "\n"), ("adopt", "101"), ("adopt", "101", "$(id)"), ("usage",), ("usage", "101;id"), ("usage", "101", "x"),
]  # fmt: skip


@pytest.mark.parametrize("words", HOSTILE, ids=" ".join)
def test_words_are_checked_before_use(one_bench: Bench, words: tuple[str, ...]) -> None:
    one_bench.make_whole(101, job=OTHER)
    before = one_bench.everything()
    answer = one_bench.run(*words)
    assert (answer.code, answer.out) == (64, "")
    assert one_bench.everything() == before


def make_old(bench: Bench) -> None:
    """A whole container of OTHER with a name, data and an action script."""
    bench.make_whole(101, job=OTHER)
    with bench.conf(101).open("a") as conf:
        conf.write('NAME="web"\n')
    (bench.private(101) / "data").write_text("precious\n")
    bench.conf(101).with_suffix(".mount").write_text("#!/bin/sh\n")


def make_new(bench: Bench) -> None:
    """What the reinstall makes in its place."""
    assert bench.run("plant", "101", JOB, "vswap-256m", "simfs").code == 0
    (bench.private(101) / "etc").mkdir(parents=True)


def is_old(bench: Bench) -> None:
    """The old system stands as it stood, and nothing is left of the other."""
    sight = see(bench, 101)
    assert (sight.whole, sight.marker, sight.aside) == (True, OTHER, None)
    assert (bench.private(101) / "data").read_text() == "precious\n"
    assert bench.conf(101).with_suffix(".mount").read_text() == "#!/bin/sh\n"
    assert [name for name in bench.names("etc/vz/conf") + bench.names("vz/private") if "vzq" in name] == []
    assert bench.names("vz/lock") == []


def test_what_is_put_away_is_seen_and_comes_back(bench: Bench) -> None:
    make_old(bench)
    assert bench.run(*ASIDE).code == 0
    sight = see(bench, 101)
    assert (sight.aside, sight.conf, sight.private, sight.nothing) == (JOB, None, "none", False)
    assert bench.run(*ASIDE).code == 0
    assert bench.run("back", "101", JOB).code == 0
    is_old(bench)
    assert str((bench.root / "etc/vz/names/web").readlink()) == "/etc/vz/conf/101.conf"
    assert bench.run("back", "101", JOB).code == 0
    is_old(bench)


def test_what_is_put_away_is_dropped_and_the_new_stays(bench: Bench) -> None:
    make_old(bench)
    bench.run(*ASIDE)
    make_new(bench)
    assert see(bench, 101).marker == JOB
    assert bench.run("drop", "101", JOB).code == 0
    sight = see(bench, 101)
    assert (sight.whole, sight.marker, sight.aside) == (True, JOB, None)
    assert bench.run("drop", "101", JOB).code == 0
    assert [name for name in bench.names("etc/vz/conf") + bench.names("vz/private") if "vzq" in name] == []
    assert bench.conf(101).with_suffix(".mount").exists()


@pytest.mark.parametrize("half", ["private", "conf", "scripts", "linked"])
@pytest.mark.parametrize("then", ["aside", "back"])
def test_a_half_done_one_is_finished_or_taken_back(bench: Bench, half: str, then: str) -> None:
    make_old(bench)
    kept = bench.private(101).with_name(f"101.vzq-{JOB}")
    kept_conf = bench.conf(101).with_name(f"101.conf.vzq-{JOB}")
    if half == "private":
        bench.private(101).rename(kept)
    elif half == "conf":
        bench.conf(101).rename(kept_conf)
    elif half == "scripts":
        os.link(bench.conf(101).with_suffix(".mount"), bench.conf(101).with_name(f"101.mount.vzq-{JOB}"))
    else:
        os.link(bench.conf(101), kept_conf)
    assert see(bench, 101).aside == JOB
    if then == "aside" and half != "linked":  # both confs are there only when it comes back
        assert bench.run(*ASIDE).code == 0
        assert (kept / "data").exists()
        assert kept_conf.exists()
        assert see(bench, 101).conf is None
    assert bench.run("back", "101", JOB).code == 0
    is_old(bench)


def test_somebody_elses_is_not_put_away(bench: Bench) -> None:
    bench.make_whole(101, job=THIRD)
    before = bench.everything()
    assert bench.run(*ASIDE).code == 17
    assert bench.everything() == before


def test_one_with_its_private_area_elsewhere_is_not_put_away(bench: Bench) -> None:
    make_old(bench)
    with bench.conf(101).open("a") as conf:
        conf.write('VE_PRIVATE="/elsewhere/$VEID"\n')
    assert bench.run(*ASIDE).code == 17
    assert bench.private(101).exists()


@pytest.mark.parametrize("state", ["mounted running", "mounted down"])
def test_one_that_is_up_is_not_put_away(bench: Bench, state: str) -> None:
    make_old(bench)
    (bench.root / "state.101").write_text(f"{state}\n")
    before = bench.everything()
    assert bench.run(*ASIDE).code == 16
    assert bench.everything() == before


def test_one_with_a_dump_is_not_put_away(bench: Bench) -> None:
    make_old(bench)
    (bench.root / "vz/dump").mkdir()
    (bench.root / "vz/dump/Dump.101").touch()
    answer = bench.run(*ASIDE)
    assert (answer.code, "resume" in answer.err) == (16, True)
    assert bench.conf(101).exists()


def test_two_jobs_never_keep_the_same_id_aside(bench: Bench) -> None:
    make_old(bench)
    bench.private(101).with_name(f"101.vzq-{THIRD}").mkdir()
    before = bench.everything()
    assert bench.run(*ASIDE).code == 17
    assert bench.everything() == before


@pytest.mark.parametrize("verb", [ASIDE, ("back", "101", JOB), ("keys", "101", JOB), ("adopt", "101", JOB)], ids=lambda words: words[0])
def test_a_live_lock_is_waited_for(bench: Bench, verb: tuple[str, ...]) -> None:
    make_old(bench)
    if verb[0] != "aside":
        bench.private(101).rename(bench.private(101).with_name(f"101.vzq-{JOB}"))
    bench.lock(101).write_text(f"{os.getpid()}\n\n")
    before = bench.everything()
    assert bench.run(*verb).code == 9
    assert bench.everything() == before


def test_nobody_locks_it_while_it_is_moved(one_bench: Bench) -> None:
    make_old(one_bench)
    one_bench.tool("mv", '#!/bin/sh\ncat "$VZQ_NODE_ROOT/vz/lock/101.lck" >> "$VZQ_NODE_ROOT/held"\nexec /bin/mv "$@"\n')
    assert one_bench.run(*ASIDE).code == 0
    assert (one_bench.root / "held").read_text().split()[0].isdigit()
    assert one_bench.names("vz/lock") == []


def test_the_old_stays_aside_while_the_new_is_there(bench: Bench) -> None:
    make_old(bench)
    bench.run(*ASIDE)
    make_new(bench)
    before = bench.everything()
    assert bench.run("back", "101", JOB).code == 16
    assert bench.everything() == before


def test_the_old_stays_aside_while_a_stranger_has_the_id(bench: Bench) -> None:
    make_old(bench)
    bench.run(*ASIDE)
    bench.make_whole(101, job=THIRD)
    before = bench.everything()
    assert bench.run("back", "101", JOB).code == 17
    assert bench.everything() == before


def test_scripts_that_a_destroy_took_away_come_back(bench: Bench) -> None:
    make_old(bench)
    bench.run(*ASIDE)
    script = bench.conf(101).with_suffix(".mount")
    script.rename(script.with_name("101.mount.destroyed"))
    assert bench.run("back", "101", JOB).code == 0
    is_old(bench)
    assert "101.mount.destroyed" not in bench.names("etc/vz/conf")


def test_a_name_that_another_has_by_now_is_left_to_it(bench: Bench) -> None:
    make_old(bench)
    bench.run(*ASIDE)
    (bench.root / "etc/vz/names").mkdir()
    (bench.root / "etc/vz/names/web").symlink_to("/etc/vz/conf/900.conf")
    assert bench.run("back", "101", JOB).code == 0
    assert (bench.root / "etc/vz/names/web").readlink().name == "900.conf"


@pytest.mark.parametrize("name", ["../../../pwned", "a/b", ".hidden", "$(touch pwned)", "x;y"])
def test_a_hostile_name_makes_no_link(bench: Bench, name: str) -> None:
    make_old(bench)
    bench.conf(101).write_text(f'X_VZQ_JOB="{OTHER}"\nNAME="{name}"\n')
    bench.run(*ASIDE)
    assert bench.run("back", "101", JOB).code == 0
    assert not (bench.root / "etc/vz/names").exists()
    assert not (bench.root / "pwned").exists()


def test_only_its_own_is_dropped(bench: Bench) -> None:
    make_old(bench)
    bench.run(*ASIDE)
    before = bench.everything()
    assert bench.run("drop", "101", THIRD).code == 0
    assert bench.run("drop", "101", OTHER).code == 0
    assert bench.everything() == before


def test_nothing_is_dropped_below_a_mount_that_stays(bench: Bench) -> None:
    make_old(bench)
    bench.run(*ASIDE)
    (bench.root / "proc/mounts").write_text(f"/dev/sim {bench.root}/vz/private/101.vzq-{JOB}/data ext4 rw 0 0\n")
    bench.tool("umount", "#!/bin/sh\nexit 32\n")
    assert bench.run("drop", "101", JOB).code == 75
    assert (bench.root / f"vz/private/101.vzq-{JOB}/data").exists()


def test_a_link_in_the_old_area_is_dropped_and_what_it_leads_to_stays(bench: Bench) -> None:
    make_old(bench)
    (bench.root / "elsewhere").mkdir()
    (bench.root / "elsewhere/file").touch()
    (bench.private(101) / "link").symlink_to(bench.root / "elsewhere")
    bench.run(*ASIDE)
    assert bench.run("drop", "101", JOB).code == 0
    assert (bench.root / "elsewhere/file").exists()


# ---- keys ----


def write_keys(bench: Bench) -> None:
    for name in KEYS:
        path = bench.private(101) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"old {name}")
        path.chmod(0o600)


def test_keys_go_over_with_their_modes(bench: Bench) -> None:
    make_old(bench)
    write_keys(bench)
    bench.run(*ASIDE)
    make_new(bench)
    (bench.private(101) / "root").mkdir()
    (bench.private(101) / "etc/ssh").mkdir()
    (bench.private(101) / "etc/ssh/ssh_host_rsa_key").write_text("the template's")
    for _ in range(2):
        assert bench.run("keys", "101", JOB) == Finished(0, "", "")
    for name in KEYS:
        path = bench.private(101) / name
        assert (path.read_text(), path.stat().st_mode & 0o777) == (f"old {name}", 0o600)
    assert (bench.private(101) / "root/.ssh").stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in (bench.private(101) / "etc/ssh").iterdir()) == ["ssh_host_rsa_key", "ssh_host_rsa_key.pub"]


@pytest.mark.parametrize("what", ["file", "folder", "etc", "fifo", "huge", "device name"])
def test_what_a_customer_put_in_the_way_of_his_keys_is_not_followed(bench: Bench, what: str) -> None:
    make_old(bench)
    secret = bench.root / "secrets/ssh"
    secret.mkdir(parents=True)
    (secret / "ssh_host_rsa_key").write_text("the node's own")
    old = bench.private(101)
    (old / "etc").rmdir()
    if what == "etc":
        (old / "etc").symlink_to(bench.root / "secrets")
    elif what == "folder":
        (old / "etc").mkdir()
        (old / "etc/ssh").symlink_to(secret)
    else:
        (old / "etc/ssh").mkdir(parents=True)
        key = old / "etc/ssh/ssh_host_rsa_key"
        {
            "file": lambda: key.symlink_to(secret / "ssh_host_rsa_key"),
            "fifo": lambda: os.mkfifo(key),
            "huge": lambda: key.write_bytes(b"x" * 300_000),
            "device name": (old / "etc/ssh/ssh_host_$(touch pwned)").touch,
        }[what]()
    bench.run(*ASIDE)
    make_new(bench)
    answer = bench.run("keys", "101", JOB)
    assert answer.code == 0
    assert "not kept" in answer.err or what == "device name"
    assert not (bench.private(101) / "etc/ssh").exists() or list((bench.private(101) / "etc/ssh").iterdir()) == []


@pytest.mark.parametrize("where", ["etc", "etc/ssh"])
def test_keys_are_not_written_through_a_link_of_the_new_system(bench: Bench, where: str) -> None:
    make_old(bench)
    write_keys(bench)
    bench.run(*ASIDE)
    make_new(bench)
    outside = bench.root / "outside"
    outside.mkdir()
    if where == "etc":
        (bench.private(101) / "etc").rmdir()
    (bench.private(101) / where).symlink_to(outside)
    assert bench.run("keys", "101", JOB).code == 0
    assert list(outside.iterdir()) == []


def test_keys_of_a_ploop_image_are_told_to_be_lost(bench: Bench) -> None:
    make_old(bench)
    with bench.conf(101).open("a") as conf:
        conf.write('VE_LAYOUT="ploop:expanded"\n')
    bench.run(*ASIDE)
    make_new(bench)
    answer = bench.run("keys", "101", JOB)
    assert (answer.code, "ploop" in answer.err) == (0, True)


def test_keys_go_only_into_ones_own_new_system(bench: Bench) -> None:
    make_old(bench)
    write_keys(bench)
    bench.run(*ASIDE)
    bench.make_whole(101, job=THIRD)
    assert bench.run("keys", "101", JOB).code == 17
    assert not (bench.private(101) / "etc/ssh").exists()


# ---- adopt, usage, facts ----


def test_a_container_without_a_mark_is_adopted_and_its_conf_kept(bench: Bench) -> None:
    bench.private(101).mkdir()
    (bench.private(101) / "etc").mkdir()
    bench.conf(101).write_text('OSTEMPLATE="debian-12"\nDESCRIPTION="a b"')  # no line end
    bench.conf(101).chmod(0o640)
    for _ in range(2):
        assert bench.run("adopt", "101", JOB) == Finished(0, "", "")
    sight = see(bench, 101)
    assert (sight.marker, sight.template, sight.conf and sight.conf["DESCRIPTION"]) == (JOB, "debian-12", "a b")
    assert bench.conf(101).stat().st_mode & 0o777 == 0o640
    assert bench.names("etc/vz/conf") == ["101.conf", "ve-vswap-256m.conf-sample"]
    assert bench.names("vz/lock") == []


def test_a_container_with_a_mark_is_not_adopted(bench: Bench) -> None:
    bench.make_whole(101, job=OTHER)
    before = bench.conf(101).read_text()
    answer = bench.run("adopt", "101", JOB)
    assert (answer.code, OTHER in answer.err) == (17, True)
    assert bench.conf(101).read_text() == before


def test_nothing_is_adopted_where_nothing_is(bench: Bench) -> None:
    assert bench.run("adopt", "101", JOB).code == 14
    assert not bench.conf(101).exists()


def test_the_disk_use_of_a_folder_is_counted(bench: Bench) -> None:
    bench.make_whole(101)
    (bench.private(101) / "big").write_bytes(os.urandom(5 << 20))
    answer = bench.run("usage", "101")
    assert answer.out.split("\n")[2:] == ["how=du", "end", ""]
    assert 5 << 20 <= read_used(answer) < 6 << 20


def test_the_kernels_own_count_is_taken_where_there_is_one(bench: Bench) -> None:
    bench.make_whole(101)
    (bench.root / "proc/vz").mkdir()
    (bench.root / "proc/vz/vzquota").write_text(
        "qid: path\n\t1k-blocks  usage softlimit hardlimit time exp\n"
        "1011: /vz/private/1011\n  1k-blocks  7 8 9 0 0\n  inodes 1 2 3 0 0\n"
        "101: /vz/private/101\n  1k-blocks  4711 8 9 0 0\n  inodes 1 2 3 0 0\n"
    )
    answer = bench.run("usage", "101")
    assert (read_used(answer), "how=quota" in answer.out) == (4711 * 1024, True)


def test_a_mounted_image_tells_how_full_it_is(bench: Bench) -> None:
    bench.make_whole(101)
    with bench.conf(101).open("a") as conf:
        conf.write('VE_LAYOUT="ploop"\n')
    (bench.root / "state.101").write_text("mounted running\n")
    (bench.root / "bin/df").unlink(missing_ok=True)
    bench.tool("df", '#!/bin/sh\nprintf "Filesystem 1024-blocks Used Available Capacity Mounted on\\n/dev/ploop1p1 100 42 58 42%% %s\\n" "$2"\n')
    answer = bench.run("usage", "101")
    assert (read_used(answer), "how=df" in answer.out) == (42 * 1024, True)


def test_the_use_of_nothing_cannot_be_told(bench: Bench) -> None:
    assert bench.run("usage", "101").code == 14


def test_a_cut_answer_is_not_believed() -> None:
    with pytest.raises(Unexpected):
        read_used(Finished(0, "vzq-ct1 usage ctid=101\nused_kib=42\n", ""))
    with pytest.raises(Unexpected):
        read_used(Finished(0, "vzq-ct1 usage ctid=101\nused_kib=x\nend\n", ""))


def test_an_id_that_is_kept_aside_stays_taken(bench: Bench) -> None:
    make_old(bench)
    bench.run(*ASIDE)
    answer = bench.run("facts")
    assert read_abilities(answer).ctids == (101,)
    assert [line for line in answer.out.split("\n") if line.startswith(("conf=", "private_area="))] == []
    assert "aside=101" in answer.out


def test_killing_it_anywhere_leaves_what_can_be_repeated(one_bench: Bench) -> None:
    """SIGKILL before each mv, ln and rm, forwards and back; the lock of the dead is no hindrance."""
    make_old(one_bench)
    counter = one_bench.root / "count"
    for tool in ("mv", "ln", "rm"):
        script = f'#!/bin/sh\nread -r n < "{counter}"\necho $((n - 1)) > "{counter}"\n[ "$n" -gt 0 ] || kill -9 $PPID\n[ "$n" -gt 0 ] && '
        one_bench.tool(tool, f'{script}exec /bin/{tool} "$@"\n')
    for words in (ASIDE, ("back", "101", JOB)):
        for steps in range(20):
            counter.write_text(f"{steps}\n")
            if subprocess.run([*one_bench.shell, str(VZQ_CT), *words], env=one_bench.env, capture_output=True, check=False).returncode == 0:
                break
        else:
            pytest.fail(f"{words[0]} never came to its end")
        assert steps >= 3
    for leftover in (one_bench.root / "vz/lock").iterdir():
        leftover.unlink()
    is_old(one_bench)
