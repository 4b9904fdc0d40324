"""The script against the real apt and dpkg in a Debian root; what is asserted here is what the fakes claim.

Runs as root where $VZQ_DEBIAN_TREE names a tree made by `debootstrap --variant=minbase bookworm DIR`; see ops/docs/rollouts.md.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from models.campaign_states import Outcome
from tests.packages.real import JOB, Root, deb, index
from workers.openvz import inside

TREE = os.environ.get("VZQ_DEBIAN_TREE", "")
pytestmark = [
    pytest.mark.real_packages,
    pytest.mark.skipif(
        os.geteuid() != 0 or not (Path(TREE) / "usr/bin/apt-get").exists() or not TREE or not shutil.which("dpkg-scanpackages"),
        reason="needs root, dpkg-scanpackages, and VZQ_DEBIAN_TREE naming a tree of debootstrap",
    ),
]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    """A Debian with `sim-a` 1 and `sim-b` 1 installed, and a repository of its own as its only source."""
    path = tmp_path / "root"
    subprocess.run(["cp", "-a", "--reflink=auto", TREE, str(path)], check=True)
    repository = path / "srv/repo"
    repository.mkdir(parents=True)
    (path / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/repo ./\n")
    shutil.rmtree(path / "etc/apt/sources.list.d", ignore_errors=True)
    subprocess.run(["mount", "--bind", "/proc", str(path / "proc")], check=True)
    subprocess.run(["mount", "--bind", "/dev", str(path / "dev")], check=True)
    made = Root(path)
    try:
        offer(made, "sim-a", "1", conffile="as it came\n")
        offer(made, "sim-b", "1")
        made.run("apt-get -q update && apt-get -q -y install sim-a sim-b")
        yield made
    finally:
        for name in ("proc", "dev"):
            subprocess.run(["umount", "-l", str(path / name)], check=True)


def offer(root: Root, name: str, version: str, **given: str) -> None:
    folder = root.path / "srv/repo"
    deb(folder, name, version, **given)
    index(folder)


def gone(root: Root) -> list[str]:
    """Processes that still run in the root."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            if (entry / "root").readlink() == root.path and state not in "ZX":
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def test_what_is_pending_is_upgraded_and_told(root: Root) -> None:
    offer(root, "sim-a", "2", conffile="as it came\n")
    told = root.upgrade(check=True)
    assert (told.report.outcome, told.report.pending) == (Outcome.OK, 1), told.output
    assert told.report.would[0].startswith("sim-a 2")
    told = root.upgrade()
    assert (told.report.outcome, told.report.changes) == (Outcome.OK, ("- sim-a:all 1", "+ sim-a:all 2")), told.output
    told = root.upgrade()
    assert (told.report.outcome, told.report.family) == (Outcome.UP_TO_DATE, "apt debian-12"), told.output


def test_a_configuration_file_changed_on_both_sides_keeps_the_customers_and_asks_nobody(root: Root) -> None:
    (root.path / "etc/sim-a.conf").write_text("the customer's\n")
    offer(root, "sim-a", "2", conffile="the new one\n")
    assert root.upgrade().report.outcome is Outcome.OK
    assert (root.path / "etc/sim-a.conf").read_text() == "the customer's\n"


def test_a_held_lock_is_waited_for_and_named(root: Root) -> None:
    offer(root, "sim-b", "2")
    lock = root.path / "var/lib/dpkg/lock-frontend"
    hold = f"import fcntl, time; f = open('{lock}', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); time.sleep(600)"
    holder = subprocess.Popen(["python3", "-c", hold], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        told = root.upgrade()
        assert (told.report.outcome, told.report.why) == (Outcome.FAILED, "another package manager holds its lock"), told.output
        waiting = root.begin(root.text(patience_s=60))
        time.sleep(3)
        assert waiting.poll() is None
    finally:
        holder.kill()
        holder.wait()
    assert root.end(waiting).report.outcome is Outcome.OK


def test_a_failing_postinst_is_a_failure_that_the_next_run_repairs(root: Root) -> None:
    offer(root, "sim-b", "2", postinst="test -e /mended")
    told = root.upgrade()
    assert (told.report.outcome, "left half-way" in told.report.why) == (Outcome.FAILED, True), told.output
    assert "half-configured" in root.version("sim-b")
    (root.path / "mended").touch()
    told = root.upgrade()
    assert (told.report.outcome, told.report.repaired) == (Outcome.OK, True), told.output
    assert root.version("sim-b") == "2 install ok installed"


def test_a_hanging_postinst_is_ended_with_all_its_processes(root: Root) -> None:
    offer(root, "sim-b", "2", postinst="[ -e /mended ] || { trap '' TERM HUP; sleep 300 & wait; sleep 300; }")
    told = root.upgrade(timeout="8s")
    assert (told.report.outcome, told.ended.outcome) == (None, "timed-out"), told.output
    assert gone(root) == []
    (root.path / "mended").touch()
    told = root.upgrade()
    assert (told.report.outcome, told.report.repaired) == (Outcome.OK, True), told.output


def test_one_that_is_stopped_in_the_middle_leaves_nothing_running_and_the_next_repairs_first(root: Root) -> None:
    offer(root, "sim-b", "2", postinst="[ -e /begun ] || { touch /begun; trap '' TERM; sleep 300; sleep 300; }")
    first = root.begin(root.text())
    deadline = time.monotonic() + 60
    while not (root.path / "begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    other = root.begin(root.text(job="01JD0000000000000000000001"))  # waits for the first one's end
    stop = inside.stop(JOB, grace=timedelta(seconds=2))
    subprocess.run(["chroot", str(root.path), "/bin/sh"], input=stop, check=True, cwd="/")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    told = root.end(other)
    assert told.report.outcome is Outcome.OK, told.output
    assert told.report.repaired
    assert root.version("sim-b") == "2 install ok installed"


def test_no_space_is_named(root: Root) -> None:
    offer(root, "sim-b", "2")
    small = root.path / "usr/share/sim-b"
    shutil.rmtree(small)
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(small)], check=True)
    try:
        told = root.upgrade()
        assert (told.report.outcome, told.report.why) == (Outcome.FAILED, "no space is left"), told.output
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert root.upgrade().report.outcome is Outcome.OK


def test_a_mirror_that_has_gone_is_named(root: Root) -> None:
    (root.path / "srv/repo").rename(root.path / "srv/elsewhere")
    told = root.upgrade()
    assert (told.report.outcome, "package lists could not be read" in told.report.why) == (Outcome.FAILED, True), told.output


def test_named_packages_and_held_ones(root: Root) -> None:
    offer(root, "sim-a", "2", conffile="as it came\n")
    offer(root, "sim-b", "2")
    root.run("apt-mark hold sim-a")
    told = root.upgrade()
    assert (told.report.pending, root.version("sim-a")) == (1, "1 hold ok installed"), told.output
    offer(root, "sim-b", "3")
    root.run("apt-mark unhold sim-a")
    told = root.upgrade(names=["sim-b"])
    assert (told.report.pending, root.version("sim-a"), root.version("sim-b")) == (1, "1 install ok installed", "3 install ok installed"), told.output
