"""Two commands that want the package manager of one container, with real processes: never both at once, and the second repairs first."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.lifecycle import State
from models.orders import UpdateContainer
from models.updates import Packages
from ops.simnode.control import ask
from ops.simnode.package_book import TRACE
from tests.inside.conftest import Crowd
from tests.inside.test_exec_command import vzq
from workers.openvz.packages import upgrade

PENDING = {"openssl": {"version": "9.9-1"}, "nginx": {"version": "9.8-1"}}


@pytest.fixture(scope="module")
def ward() -> Iterator[Crowd]:
    with tempfile.TemporaryDirectory(prefix="vzq-", dir="/tmp") as folder:
        lab = Crowd(Path(folder), nodes=1)
        try:
            [job] = lab.ended(lab.create(node=lab.nodes[0], template="debian-12-x86_64-minbase"))
            assert job.ctid is not None
            lab.ctids = (job.ctid,)
            yield lab
        finally:
            lab.close()


def tell(ward: Crowd, **wanted: object) -> None:
    ask(ward.folder / "lab", ward.nodes[0], "packages", ctid=ward.ctids[0], **wanted)


def at_once(ward: Crowd) -> int:
    """The most package managers that ever worked on the container's database at the same time."""
    most, busy = 0, set()
    for line in (ward.inside(ward.ctids[0]) / TRACE).read_text().splitlines():
        said = json.loads(line)
        busy = busy | {said["pid"]} if said["is"] == "begins" else busy - {said["pid"]}
        most = max(most, len(busy))
    return most


def hung(ward: Crowd) -> bool:
    """The hanging script of a package is reached: its package is unpacked, not configured."""
    return '"half": {"nginx": "9.8-1", "openssl": "9.9-1"}' in (ward.inside(ward.ctids[0]) / "var/lib/packages.sim").read_text()


def test_a_cancelled_exec_in_the_middle_of_dpkg_is_repaired_by_the_next_and_never_met(ward: Crowd) -> None:
    tell(ward, pending=PENDING, hang="nginx")
    first = ward.run("apt-get -y upgrade")
    ward.until(lambda: hung(ward), "dpkg to be in the middle")
    script = upgrade(Packages())
    second = ward.run(script.text, arguments=list(script.arguments))
    ward.until(lambda: ward.job(second).state == State.RUNNING, "the second to begin")
    ward.take_back(first)
    [cancelled] = ward.ended(first)
    assert cancelled.state == State.CANCELLED
    tell(ward, calm=True)
    [job] = ward.ended(second)
    if "busy" in job.result["outcomes"]:  # the first took longer to end than the second was patient
        [job] = ward.ended(ward.run(script.text, arguments=list(script.arguments)))
    assert job.result["outcomes"] == {"ok": 1}
    book = json.loads((ward.inside(ward.ctids[0]) / "var/lib/packages.sim").read_text())
    assert (book["half"], book["pending"], at_once(ward)) == ({}, {}, 1)


def test_a_dry_run_tells_what_would_be_upgraded_and_upgrades_nothing(ward: Crowd) -> None:
    tell(ward, calm=True, pending=PENDING)
    done = vzq(ward, "rollout", "plan", "--all", "--upgrade", "--check")
    assert done.returncode == 0, done.stderr
    assert f"== 1 × apt debian-12, 2 to upgrade: {ward.ctids[0]}" in done.stdout
    assert "openssl 9.9-1" in " ".join(done.stdout.split())
    book = json.loads((ward.inside(ward.ctids[0]) / "var/lib/packages.sim").read_text())
    assert set(book["pending"]) == set(PENDING)


def test_an_update_waits_for_an_exec_inside_and_both_are_done(ward: Crowd) -> None:
    tell(ward, pending=PENDING, seconds=1)
    first = ward.run("apt-get -y upgrade")
    second = ward.place(UpdateContainer(ctid=ward.ctids[0], action=Packages()))
    ends = ward.ended(first, second)
    assert {job.state for job in ends} == {State.DONE}, [job.error for job in ends]
    assert at_once(ward) == 1
