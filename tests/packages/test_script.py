"""The script against the fakes of all families."""

import re
import subprocess
from pathlib import Path

import pytest

from models.campaign_states import Outcome
from tests.packages.conftest import PENDING, TEMPLATES, Ward
from workers.openvz import packages, services

each_family = pytest.mark.parametrize("family", TEMPLATES)
apt = pytest.mark.parametrize("family", ["apt"])


@each_family
async def test_what_is_pending_is_upgraded_and_told_as_a_diff(ward: Ward, family: str) -> None:
    await ward.tell(family, pending=PENDING)
    told = await ward.upgrade(family)
    assert (told.outcome, told.pending) == (Outcome.OK, 2), ward.said
    assert told.family.startswith(family)
    assert sorted(change.split()[0] + re.split(r"[ .:]", change)[1] for change in told.changes) == ["+nginx", "+openssl", "-nginx", "-openssl"]
    assert [change.split()[2] for change in told.changes if change.startswith("+")] == ["9.8-r1", "9.9-r1"]
    assert (told.reboot, told.repaired, told.failures) == (False, False, ())
    assert not ward.book(family).pending


@each_family
async def test_a_second_run_finds_nothing_to_do(ward: Ward, family: str) -> None:
    await ward.tell(family, pending=PENDING)
    await ward.upgrade(family)
    told = await ward.upgrade(family)
    assert (told.outcome, told.pending, told.changes) == (Outcome.UP_TO_DATE, 0, ()), ward.said


@each_family
async def test_a_check_tells_what_would_be_upgraded_and_changes_nothing(ward: Ward, family: str) -> None:
    await ward.tell(family, pending=PENDING)
    before = ward.book(family)
    told = await ward.upgrade(family, check=True)
    assert (told.outcome, told.pending) == (Outcome.OK, 2), ward.said
    assert sorted(re.split(r"[ .]", line)[0] for line in told.would) == ["nginx", "openssl"]
    assert ward.book(family) == before


@each_family
async def test_named_packages_are_upgraded_and_no_others(ward: Ward, family: str) -> None:
    await ward.tell(family, pending=PENDING)
    told = await ward.upgrade(family, names=("nginx",))
    assert (told.outcome, told.pending) == (Outcome.OK, 1), ward.said
    assert list(ward.book(family).pending) == ["openssl"]


@pytest.mark.parametrize("family", ["apt", "yum", "dnf", "zypper"])
async def test_security_only_leaves_the_rest(ward: Ward, family: str) -> None:
    await ward.tell(family, pending=PENDING)
    assert (await ward.upgrade(family, security_only=True)).outcome is Outcome.OK, ward.said
    assert list(ward.book(family).pending) == ["nginx"]
    assert (await ward.upgrade(family, security_only=True)).outcome is Outcome.UP_TO_DATE, ward.said


@each_family
async def test_a_lock_is_waited_for_and_no_longer_than_said(ward: Ward, family: str) -> None:
    await ward.tell(family, pending=PENDING, lock_s=3600)
    told = await ward.upgrade(family)
    assert (told.outcome, "lock" in told.why) == (Outcome.FAILED, True), ward.said
    await ward.tell(family, lock_s=1.5)
    assert (await ward.upgrade(family, patience_s=30)).outcome is Outcome.OK, ward.said


@each_family
async def test_a_mirror_that_does_not_answer_is_a_failure_with_that_reason(ward: Ward, family: str) -> None:
    await ward.tell(family, pending=PENDING, mirror="silent")
    told = await ward.upgrade(family)
    assert (told.outcome, "lists could not be read" in told.why) == (Outcome.FAILED, True), ward.said


@each_family
async def test_too_little_space_is_found_before_anything_is_touched(ward: Ward, family: str) -> None:
    await ward.tell(family, pending=PENDING, free_kib=100 << 10)
    told = await ward.upgrade(family)
    assert (told.outcome, "100 MiB are free" in told.why) == (Outcome.FAILED, True)
    await ward.tell(family, free_kib=4 << 20, free_inodes=17)
    assert "17 inodes are free" in (await ward.upgrade(family)).why
    assert len(ward.book(family).pending) == 2


@each_family
async def test_a_disk_that_fills_up_in_the_middle_is_named(ward: Ward, family: str) -> None:
    await ward.tell(family, pending=PENDING, full="openssl")
    told = await ward.upgrade(family)
    assert (told.outcome, "no space is left" in told.why) == (Outcome.FAILED, True), ward.said


@pytest.mark.parametrize("family", ["apt", "yum", "zypper", "apk"])
async def test_a_script_of_a_package_that_fails_is_a_failure(ward: Ward, family: str) -> None:
    await ward.tell(family, pending=PENDING, fail="openssl")
    assert (await ward.upgrade(family)).outcome is Outcome.FAILED, ward.said
    assert ward.told.code == 1


@pytest.mark.parametrize("family", ["apt", "yum"])
async def test_an_interrupted_run_is_repaired_first(ward: Ward, family: str) -> None:
    await ward.tell(family, pending=PENDING, interrupted=True)
    told = await ward.upgrade(family, check=True)
    assert (told.outcome, told.pending, "interrupted" in told.why) == (Outcome.OK, None, True)
    told = await ward.upgrade(family)
    assert (told.outcome, told.repaired) == (Outcome.OK, True), ward.said
    assert (ward.book(family).half, ward.book(family).pending) == ({}, {})


@apt
async def test_a_script_that_hangs_is_ended_by_the_time_out_and_the_next_run_repairs_it(ward: Ward, family: str) -> None:
    await ward.tell(family, pending=PENDING, hang="openssl")
    told = await ward.upgrade(family, timeout="2s")
    assert (told.outcome, ward.told.outcome) == (None, "timed-out"), ward.said
    assert ward.book(family).interrupted
    await ward.tell(family, calm=True)
    told = await ward.upgrade(family)
    assert (told.outcome, told.repaired) == (Outcome.OK, True), ward.said


@apt
async def test_a_configuration_file_that_was_changed_asks_nobody(ward: Ward, family: str) -> None:
    await ward.tell(family, pending=PENDING, asks="openssl")
    assert (await ward.upgrade(family)).outcome is Outcome.OK, ward.said


@apt
async def test_kernels_stay_as_they_are_and_their_hold_does_not_outlive_the_run(ward: Ward, family: str) -> None:
    await ward.tell(family, pending={"linux-image-amd64": {"version": "6.9-1"}})
    assert (await ward.upgrade(family)).outcome is Outcome.UP_TO_DATE, ward.said
    await ward.tell(family, pending={"linux-image-amd64": {"version": "6.9-1"}} | PENDING)
    assert (await ward.upgrade(family)).outcome is Outcome.OK, ward.said
    assert (list(ward.book(family).pending), ward.book(family).held) == (["linux-image-amd64"], [])


@each_family
async def test_a_wish_for_a_reboot_and_failed_counters_are_told(ward: Ward, family: str) -> None:
    await ward.tell(family, pending=PENDING, reboot=True, failcnt=7)
    told = await ward.upgrade(family)
    assert (told.outcome, told.reboot, told.failures) == (Outcome.OK, True, ("kmemsize 7",)), ward.said


@pytest.mark.parametrize("family", ["zypper"])
async def test_the_codes_of_zypper_are_understood(ward: Ward, family: str) -> None:
    await ward.tell(family, pending=PENDING, code=102)
    told = await ward.upgrade(family)
    assert (told.outcome, told.reboot) == (Outcome.OK, True), ward.said
    newer = {name: pending | {"version": "10.0-r1"} for name, pending in PENDING.items()}
    await ward.tell(family, pending=newer, code=103)  # it upgraded itself: once more
    assert (await ward.upgrade(family)).outcome is Outcome.OK, ward.said


async def test_other_families_and_containers_without_one_are_skipped(ward: Ward) -> None:
    told = await ward.upgrade("apt", families=("yum", "dnf"))
    assert (told.outcome, "not asked for" in told.why) == (Outcome.SKIPPED, True)
    await ward.remote.ok("vzctl create 390 --ostemplate busybox-mini-x86_64 --layout simfs")
    await ward.remote.ok("vzctl start 390")
    ward.ctids["none"] = 390
    assert (await ward.upgrade("none")).outcome is Outcome.SKIPPED, ward.said


@each_family
async def test_a_container_finds_no_package_manager_but_its_own_fakes(ward: Ward, family: str) -> None:
    """Nothing that the scripts call may be this machine's."""
    text = packages.SCRIPT + services.SCRIPT
    managers = r"apt-get|apt-mark|dpkg-query|dpkg|yum-complete-transaction|yum|dnf|zypper|apk|rpm|needs-restarting|systemctl|service|rc-status|df"
    used = set(re.findall(rf"(?<![\w.$/-])(?:{managers})(?![\w./-])", text)) | {"apt", "pacman"}
    assert {"apt-get", "dpkg-query", "rpm", "df", "systemctl"} <= used
    folder = ward.remote.node.inside_bin(ward.ctids[family])
    out = await ward.remote.ok(
        f"vzctl exec2 {ward.ctids[family]} -", stdin=f"for tool in {' '.join(sorted(used))}; do command -v $tool; done".encode()
    )
    assert set(out.split()) == {str(folder / name) for name in used}


def test_the_scripts_name_no_absolute_path_but_devices() -> None:
    for text in (packages.SCRIPT, services.SCRIPT):
        code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        assert set(re.findall(r"""(?:^|[\s"'=<>(])(/[a-z]+/[\w/.-]+)""", code)) <= {"/dev/null"}


@pytest.mark.parametrize("shell", ["dash", "bash --posix", "busybox sh"])
def test_every_shell_reads_them(shell: str, tmp_path: Path) -> None:
    for text in (packages.SCRIPT, services.SCRIPT):
        (tmp_path / "script").write_text(text)
        subprocess.run([*shell.split(), "-n", str(tmp_path / "script")], check=True)


async def test_a_proxy_is_told_to_the_package_manager(ward: Ward) -> None:
    (ward.remote.node.inside_bin(ward.ctids["apt"]) / "apt-get").unlink()
    (ward.remote.node.inside_bin(ward.ctids["apt"]) / "apt-get").write_text("#!/bin/sh\necho proxy $http_proxy $https_proxy\n")
    (ward.remote.node.inside_bin(ward.ctids["apt"]) / "apt-get").chmod(0o755)
    await ward.upgrade("apt", proxy="http://10.0.0.1:3142")
    assert "proxy http://10.0.0.1:3142 http://10.0.0.1:3142\n" in ward.said


@each_family
async def test_the_services_that_run_are_listed(ward: Ward, family: str) -> None:
    out = await ward.remote.ok(f"vzctl exec2 {ward.ctids[family]} -", stdin=services.SCRIPT.encode())
    assert services.running(out) == {"cron", "nginx", "ssh"}
