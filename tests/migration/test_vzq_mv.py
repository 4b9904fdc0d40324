"""vzq-mv on a node: trust for one move only, and nothing of anybody else's is ever touched."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.errors import Retryable
from tests.openvz.bench import JOB, OTHER, Bench, dead_pid, make_bench
from workers.commands import Finished
from workers.openvz.ends import End, read_end

VZQ_MV = Path(__file__).parents[2] / "workers" / "node" / "vzq-mv"
MOVE = "01JD0000000000000000000009"
KEY = ("ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIHb0N7d0bJ9q")
BOOT = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(params=["dash", "bash"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return make_bench(tmp_path / "node", request.param)


def mv(node: Bench, *words: str, code: int = 0) -> Finished:
    answer = node.run(*words, program=VZQ_MV)
    assert answer.code == code, (words, answer)
    return answer


def authorize(node: Bench, *, job: str = MOVE, layout: str = "simfs", code: int = 0) -> Finished:
    return mv(node, "authorize", "101", job, "192.0.2.11", layout, *KEY, code=code)


def keys(node: Bench) -> list[str]:
    path = node.root / "root/.ssh/authorized_keys"
    return path.read_text().splitlines() if path.exists() else []


def look(node: Bench, ctid: int = 101) -> End:
    return read_end("n1", mv(node, "look", str(ctid), MOVE, "127.0.0.1"))


def came(node: Bench) -> Path:
    return node.root / f"var/lib/vzq/move/{MOVE}/came.101"


@pytest.mark.parametrize(
    "words",
    [
        (), ("look", "101", MOVE), ("look", "7", MOVE, "h"), ("look", "101", "x", "h"), ("look", "101", MOVE, "-o"), ("look", "101", MOVE, "a b"),
        ("ready", "101", MOVE, JOB, "ssh-rsa", "A B"), ("ready", "101", MOVE, JOB, "ssh-rsa;id", "AAAA"), ("arrive", "101", MOVE, JOB, "maybe"),
        ("authorize", "101", MOVE, "any", "simfs", *KEY),
        ("authorize", "101", MOVE, '1.2.3.4"', "simfs", *KEY), ("authorize", "101", MOVE, "1.2.3.4", "zfs", *KEY), ("bar", "101", MOVE),
        ("bar", "101", MOVE, "*"), ("fell", "101", MOVE), ("revoke", "../x"), ("sweep", "x"), ("facts", "101", "h", "x", "-"), ("frobnicate", "101"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_words_are_checked_before_use(node: Bench, words: tuple[str, ...]) -> None:
    before = node.everything()
    mv(node, *words, code=64)
    assert node.everything() == before


def sets_onboot(node: Bench, *, code: int = 0) -> None:
    """vzctl's `set --onboot`, or how it ends."""
    script = (node.root / "bin/vzctl").read_text()
    node.tool("vzctl", script.replace("#!/bin/sh\n", f"""#!/bin/sh
if [ "$1 $3" = "set --onboot" ]; then
    [ {code} -eq 0 ] || exit {code}
    conf=$VZQ_NODE_ROOT/etc/vz/conf/$2.conf
    sed -i '/^ONBOOT=/d' "$conf"; echo "ONBOOT=\\"$4\\"" >>"$conf"; exit 0
fi
"""))  # fmt: skip


def onboot(node: Bench) -> str | None:
    return (look(node).sight.conf or {}).get("ONBOOT")


@pytest.mark.parametrize(("code", "ends"), [(9, 9), (139, 74), (3, 75)])
def test_a_container_that_still_starts_with_its_node_is_not_ready(node: Bench, code: int, ends: int) -> None:
    node.make_whole(101)
    sets_onboot(node, code=code)
    mv(node, "ready", "101", MOVE, JOB, *KEY, code=ends)
    assert not look(node).key
    mv(node, "ready", "101", MOVE, OTHER, *KEY, code=17)


def test_on_arrival_it_starts_with_its_node_and_nobody_is_let_in_any_more(node: Bench) -> None:
    authorize(node)
    node.make_whole(101)
    sets_onboot(node)
    mv(node, "arrive", "101", MOVE, OTHER, "yes", code=17)
    assert look(node).trusted
    for _ in range(2):
        mv(node, "arrive", "101", MOVE, JOB, "yes")
        assert (onboot(node), look(node).trusted, look(node).came) == ("yes", False, False)


def test_the_private_key_is_made_here_and_stays_for_root_alone(node: Bench) -> None:
    node.make_whole(101)
    sets_onboot(node)
    for _ in range(2):  # the second time nothing changes
        mv(node, "ready", "101", MOVE, JOB, *KEY)
        assert onboot(node) == "no"
        told = look(node)
        assert told.key.startswith("ssh-ed25519 AAAA")
        assert told.key.endswith(f" vzq-move-{MOVE}")
        folder = node.root / f"var/lib/vzq/move/{MOVE}"
        assert (folder.stat().st_mode & 0o777, (folder / "key").stat().st_mode & 0o777) == (0o700, 0o600)
        assert (folder / "known_hosts").read_text() == f"vzq-{MOVE} {' '.join(KEY)}\n"
    first = (folder / "key").read_text()
    mv(node, "ready", "101", MOVE, JOB, *KEY)
    assert (folder / "key").read_text() == first


def test_one_line_lets_the_move_in_from_its_source_alone_and_goes_without_a_trace(node: Bench) -> None:
    (node.root / "root/.ssh").mkdir(parents=True)
    path = node.root / "root/.ssh/authorized_keys"
    path.write_text("ssh-rsa AAAAB3 admin")  # no line end, on purpose
    path.chmod(0o640)
    for _ in range(2):
        authorize(node)
        assert keys(node)[0] == "ssh-rsa AAAAB3 admin"
        (line,) = keys(node)[1:]
        assert line.startswith('from="192.0.2.11",')
        assert line.endswith(f" {' '.join(KEY)} vzq-move-{MOVE}")
    mv(node, "revoke", MOVE)
    mv(node, "revoke", MOVE)
    assert keys(node) == ["ssh-rsa AAAAB3 admin"]
    assert path.stat().st_mode & 0o777 == 0o640
    assert not came(node).exists()


@pytest.mark.parametrize(("version", "layout", "limits"), [
    ("OpenSSH_9.6p1", "simfs", "restrict"), ("OpenSSH_9.6p1", "ploop", "restrict,port-forwarding"), ("OpenSSH_7.2p2", "simfs", "restrict"),
    ("OpenSSH_10.0p1", "simfs", "restrict"), ("OpenSSH_5.3p1", "simfs", "no-port-forwarding,no-X11-forwarding,no-agent-forwarding,no-pty"),
    ("OpenSSH_5.3p1", "ploop", "no-X11-forwarding,no-agent-forwarding,no-pty"),
])  # fmt: skip
def test_an_old_sshd_gets_only_words_that_it_knows(node: Bench, version: str, layout: str, limits: str) -> None:
    node.tool("ssh", f"#!/bin/sh\necho '{version}, OpenSSL' >&2\n")
    authorize(node, layout=layout)
    assert keys(node)[0].startswith(f'from="192.0.2.11",{limits} ssh-ed25519 ')


@pytest.mark.parametrize(
    "trace", ["etc/vz/conf/101.conf", "vz/private/101", "vz/private/101.tmp", "etc/vz/conf/101.conf.migrated", "vz/dump/Dump.101"]
)
def test_where_anything_of_the_id_is_nobody_is_let_in(node: Bench, trace: str) -> None:
    (node.root / trace).parent.mkdir(parents=True, exist_ok=True)
    (node.root / trace).touch()
    assert "is taken on this node" in authorize(node, code=17).err
    assert keys(node) == []
    assert not came(node).exists()


def test_what_the_move_brought_is_barred_at_once_and_removed_later(node: Bench) -> None:
    authorize(node)
    node.make_whole(101)
    names = node.root / "etc/vz/names"
    names.mkdir()
    (names / "web").symlink_to("/etc/vz/conf/101.conf")
    (names / "db").symlink_to("/etc/vz/conf/102.conf")
    (node.root / "vz/dump").mkdir()
    (node.root / "vz/dump/tmp-dump.101").touch()
    node.lock(101).write_text(f"{dead_pid()}\n")
    for _ in range(2):
        mv(node, "bar", "101", MOVE, JOB)
        assert look(node).empty
        assert look(node).sight.aside == MOVE
        assert node.names("etc/vz/names") == ["db"]
        assert node.names("vz/dump") == []
    assert node.run("drop", "101", MOVE).code == 0
    assert node.names("vz/private") == []


def test_nothing_is_barred_that_the_move_did_not_bring(node: Bench) -> None:
    node.make_whole(101)
    before = node.everything()
    mv(node, "bar", "101", MOVE, JOB, code=17)
    assert node.everything() == before
    node.conf(101).unlink()
    (node.private(101) / "etc").rmdir()
    node.private(101).rmdir()
    authorize(node)
    node.make_whole(101, job=OTHER)  # an administrator was quicker
    mv(node, "bar", "101", MOVE, JOB, code=17)
    assert look(node).sight.whole
    node.conf(101).write_text(f'X_VZQ_JOB="{JOB}"\n')
    (node.root / "state.101").write_text("mounted running\n")
    mv(node, "bar", "101", MOVE, JOB, code=16)
    assert look(node).sight.whole


@pytest.mark.parametrize("part", ["", 'VE_PRIVATE="/vz/pri', f'OSTEMPLATE="x"\nX_VZQ_JOB="{JOB[:9]}'], ids=["nothing", "a path", "half a mark"])
def test_a_conf_that_was_cut_off_on_its_way_goes(node: Bench, part: str) -> None:
    authorize(node)
    node.conf(101).write_text(part)
    assert look(node).torn
    mv(node, "bar", "101", MOVE, JOB)
    assert look(node).empty


FELLED = """#!/bin/sh
printf '%s\\n' "$*" >>"$VZQ_NODE_ROOT/said"
if [ "$1" = exec2 ]; then [ -e "$VZQ_NODE_ROOT/etc/vz/conf/$2.conf" ] || exit 14; exit 0; fi
if [ "$1 $2" = "--skiplock stop" ]; then
    [ -s "$VZQ_NODE_ROOT/etc/vz/conf/$3.conf" ] || exit 14
    echo "unmounted down" >"$VZQ_NODE_ROOT/state.$3"
    exit 0
fi
"""


def stray(node: Bench) -> None:
    """Processes run, and their configuration is gone."""
    (node.root / "state.101").write_text("mounted running\n")
    node.tool("vzctl", (node.root / "bin/vzctl").read_text().replace("#!/bin/sh\n", FELLED))


def test_what_runs_on_the_target_without_conf_and_area_ends(node: Bench) -> None:
    stray(node)
    mv(node, "fell", "101", MOVE, JOB, code=17)  # nothing shows that the move brought it
    (node.root / "state.101").unlink()
    authorize(node)
    (node.root / "state.101").write_text("mounted running\n")
    told = look(node)
    assert (told.pulse, told.stray, told.empty) == ("stray", True, False)
    for _ in range(2):
        mv(node, "fell", "101", MOVE, JOB)
        assert look(node).empty
        assert not node.conf(101).exists()
    assert "--skiplock stop 101 --fast" in (node.root / "said").read_text()


def test_a_copy_on_the_target_that_has_its_area_is_not_felled(node: Bench) -> None:
    authorize(node)
    stray(node)
    node.private(101).mkdir(parents=True)
    mv(node, "fell", "101", MOVE, JOB, code=17)
    assert "stop" not in (node.root / "said").read_text()


def test_what_goes_on_running_on_the_source_after_its_copy_was_put_away_ends(node: Bench) -> None:
    node.make_whole(101)
    node.conf(101).rename(node.conf(101).with_suffix(".conf.migrated"))
    stray(node)
    mv(node, "fell", "101", MOVE, OTHER, code=17)
    mv(node, "fell", "101", MOVE, JOB)
    told = look(node)
    assert (told.pulse, told.sight.conf, told.sight.migrated, told.sight.private) == ("down", None, True, "full")


def test_a_conf_without_a_mark_that_a_create_is_making_stays(node: Bench) -> None:
    authorize(node)
    node.conf(101).write_text('OSTEMPLATE="x"\n')
    (node.root / "vz/private/101.tmp").mkdir(parents=True)
    assert not look(node).torn
    mv(node, "bar", "101", MOVE, JOB, code=17)
    assert node.conf(101).exists()


def test_the_old_copy_is_put_away_and_then_goes_without_ever_being_startable(node: Bench) -> None:
    node.make_whole(101)
    node.conf(101).write_text(f'X_VZQ_JOB="{JOB}"\nONBOOT="yes"\nOSTEMPLATE="x"\n')
    seen = node.root / "seen"
    node.tool("vzctl", (node.root / "bin/vzctl").read_text().replace("#!/bin/sh\n", f"""#!/bin/sh
if [ "$1" = destroy ]; then
    cp "$VZQ_NODE_ROOT/etc/vz/conf/$2.conf" {seen}
    rm -rf "$VZQ_NODE_ROOT/vz/private/$2"; mv "$VZQ_NODE_ROOT/etc/vz/conf/$2.conf" "$VZQ_NODE_ROOT/etc/vz/conf/$2.conf.destroyed"; exit 0
fi
"""))  # fmt: skip
    mv(node, "leave", "101", MOVE, JOB, code=17)  # it is still a container
    for _ in range(2):
        mv(node, "retire", "101", MOVE, JOB)
    told = look(node)
    assert (told.sight.migrated, told.sight.conf, told.sight.private) == (True, None, "full")
    mv(node, "leave", "101", MOVE, OTHER, code=17)
    for _ in range(2):
        mv(node, "leave", "101", MOVE, JOB)
    assert look(node).empty
    assert not look(node).sight.migrated
    assert 'ONBOOT="yes"' not in seen.read_text()
    assert 'DISABLED="yes"' in seen.read_text()


def test_what_runs_or_is_somebody_elses_is_not_put_away(node: Bench) -> None:
    node.make_whole(101, job=OTHER)
    mv(node, "retire", "101", MOVE, JOB, code=17)
    node.conf(101).write_text(f'X_VZQ_JOB="{JOB}"\n')
    (node.root / "state.101").write_text("mounted running\n")
    mv(node, "retire", "101", MOVE, JOB, code=16)
    assert node.conf(101).exists()


@pytest.mark.parametrize(("rc", "pulse"), [(0, "alive"), (7, "frozen"), (47, "alive")])
def test_whether_it_lives_or_is_frozen_is_told_by_an_exec(node: Bench, rc: int, pulse: str) -> None:
    node.make_whole(101)
    (node.root / "state.101").write_text("mounted running\n")
    node.tool("vzctl", (node.root / "bin/vzctl").read_text().replace("#!/bin/sh\n", f'#!/bin/sh\n[ "$1" != exec2 ] || exit {rc}\n'))
    assert look(node).pulse == pulse


@pytest.mark.parametrize("rc", [3, 5, 124, 127])
def test_a_copy_that_runs_and_gives_no_clear_answer_is_not_taken_for_anything(node: Bench, rc: int) -> None:
    node.make_whole(101)
    (node.root / "state.101").write_text("mounted running\n")
    node.tool("vzctl", (node.root / "bin/vzctl").read_text().replace("#!/bin/sh\n", f'#!/bin/sh\n[ "$1" != exec2 ] || exit {rc}\n'))
    with pytest.raises(Retryable, match="nobody knows how far its move is"):
        look(node)


def test_the_figure_of_vzmigrate_is_read_from_its_newest_run(node: Bench) -> None:
    for number, total in ((2, "9.99"), (10, "0.51")):
        run = node.root / f"var/lib/vzq/runs/{MOVE}/101.move.do.{number}"
        run.mkdir(parents=True)
        (run / "out").write_text(f"Locked CT 101\n\n        Suspend + Dump:   0.12\n  Total suspended time:   {total}\n\nCleaning up\n")
    assert look(node).suspended_s == 0.51
    assert mv(node, "told", "101", MOVE).out.startswith("vzq-mv1 told sent=0\nLocked CT 101\n")


def test_what_the_moves_rsync_has_written_is_told_and_nothing_twice(node: Bench) -> None:
    shell = f"ssh -i {node.root}/var/lib/vzq/move/{MOVE}/key"
    script = "import time; time.sleep(60)"
    of_rsync = subprocess.Popen([sys.executable, "-c", script, "rsync", "-e", shell], env=node.env)
    of_ssh = subprocess.Popen(["ssh", "-c", script, shell, "rsync", "--server"], executable=sys.executable, env=node.env)
    try:
        for pid, much in ((of_rsync.pid, 123456789012), (of_ssh.pid, 123456789077)):
            (node.root / f"proc/{pid}").mkdir(parents=True)
            (node.root / f"proc/{pid}/io").write_text(f"rchar: 1\nwchar: {much}\nsyscr: 2\n")
        assert mv(node, "told", "101", MOVE).out == "vzq-mv1 told sent=123456789012\n"
    finally:
        for process in (of_rsync, of_ssh):
            process.kill()
            process.wait()


def test_what_is_left_of_a_killed_vzmigrate_ends_and_nobody_elses(node: Bench) -> None:
    environment = node.env
    ours = subprocess.Popen(["sh", "-c", f"exec sleep 60 # -i {node.root}/var/lib/vzq/move/{MOVE}/key"], env=environment)
    ours_too = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", f"{node.root}/var/lib/vzq/move/{MOVE}/key"], env=environment)
    theirs = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", f"{node.root}/var/lib/vzq/move/{OTHER}/key"], env=environment)
    try:
        assert look(node).left
        mv(node, "quiet", "101", MOVE)
        assert not look(node).left
        assert ours_too.wait(5) < 0
        assert theirs.poll() is None
    finally:
        for process in (ours, ours_too, theirs):
            process.kill()
            process.wait()


def test_trust_that_a_job_has_left_goes_an_hour_later(node: Bench) -> None:
    authorize(node)
    folder = came(node).parent
    assert mv(node, "sweep").out == ""
    old = folder.stat().st_mtime - 4000
    os.utime(folder, (old, old))
    assert mv(node, "sweep", MOVE).out == ""  # it is still open
    assert mv(node, "sweep", OTHER).out == f"{MOVE}\n"
    assert keys(node) == []
    assert not folder.exists()
