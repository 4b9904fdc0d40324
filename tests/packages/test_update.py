"""update-container with packages, over the whole way: order, worker, SSH, vzctl exec2, the script, the fakes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from models.fleet import Node
from models.jobs import Job
from models.lifecycle import State
from ops.simnode.package_book import Book
from tests.packages.conftest import PENDING, TEMPLATES
from tests.verbs.house import VerbHouse, house_in
from workers.openvz.vzctl import OUTPUT_HEAD, OUTPUT_TAIL

PACKAGES = {"do": "packages"}


class Ward(VerbHouse):
    """A house whose containers have package managers."""

    async def settle(self, template: str = TEMPLATES["apt"]) -> int:
        return await self.create(template=template)

    async def tell(self, ctid: int, **wanted: object) -> Any:
        return await self.ctl("packages", ctid=ctid, **wanted)

    async def update(self, ctid: int, **manner: Any) -> Job:
        return await self.order("update-container", ctid, **({"action": PACKAGES} | manner))

    def book(self, ctid: int) -> Book:
        book = Book.read(self.node.sandbox.private(ctid))
        assert book is not None
        return book


@pytest.fixture
async def house(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Ward]:
    async with house_in(tmp_path, sqlite_template, kind=Ward) as opened:
        assert isinstance(opened, Ward)
        yield opened


@pytest.fixture
async def ploop(house: Ward) -> Ward:
    """The same on an OpenVZ kernel with ploop."""
    await house.ctl("flavour", openvz=True, ploop=True, vswap=True)
    await house.order("observe-node", node="n1")
    (house.root / "etc/vz/vz.conf").write_text((house.root / "etc/vz/vz.conf").read_text().replace("VE_LAYOUT=simfs", "VE_LAYOUT=ploop"))
    await house.order("observe-node", node="n1")
    return house


async def test_packages_are_upgraded_and_the_result_tells_which(house: Ward) -> None:
    ct = await house.settle()
    await house.tell(ct, pending=PENDING)
    job = await house.update(ct)
    assert (job.state, job.result["outcome"], job.result["pending"]) == (State.DONE, "ok", 2), job.error
    assert job.result["family"] == "apt debian-12"
    assert [change[:7] for change in job.result["changes"]] == ["- nginx", "+ nginx", "- opens", "+ opens"]
    again = await house.update(ct)
    assert again.result["outcome"] == "up-to-date"


async def test_a_failure_names_its_reason_and_a_family_that_is_not_asked_for_is_skipped(house: Ward) -> None:
    ct = await house.settle()
    await house.tell(ct, pending=PENDING, full="openssl")
    failed = await house.update(ct)
    assert (failed.state, failed.result["outcome"]) == (State.FAILED, "failed")
    assert "no space is left" in failed.error
    skipped = await house.update(ct, action={"do": "packages", "families": ["yum"]})
    assert (skipped.state, skipped.result["outcome"]) == (State.FAILED, "skipped")


async def test_an_upgrade_that_hangs_is_ended_and_the_next_one_repairs_it(house: Ward) -> None:
    ct = await house.settle()
    await house.tell(ct, pending=PENDING, hang="openssl")
    job = await house.update(ct, action={"do": "packages", "timeout": "2s"})
    assert (job.result["outcome"], "ended after 2s" in job.error) == ("failed", True), job.error
    await house.tell(ct, calm=True)
    job = await house.update(ct)
    assert (job.result["outcome"], job.result["repaired"]) == ("ok", True), job.error


async def test_the_proxy_of_its_node_is_told_inside(house: Ward) -> None:
    ct = await house.settle()
    with house.database.write() as session:
        session.get_one(Node, "n1").proxy = "http://10.0.0.1:3142"
    fake = house.node.inside_bin(ct) / "apt-get"
    fake.unlink()
    fake.write_text("#!/bin/sh\necho proxy $http_proxy\n")
    fake.chmod(0o755)
    assert "proxy http://10.0.0.1:3142\n" in (await house.update(ct)).result["output"]


# -- health ---------------------------------------------------------------------------------------------------------


async def test_a_service_that_is_gone_afterwards_is_a_regression_and_named(house: Ward) -> None:
    ct = await house.settle()
    await house.tell(ct, pending=PENDING, loses="nginx")
    job = await house.update(ct, health={"services": True, "within": "1s"})
    assert (job.state, job.result["outcome"]) == (State.FAILED, "regressed")
    assert "not running any more: nginx" in job.error
    job = await house.update(ct, health={"services": True})
    assert job.result["outcome"] == "up-to-date", "what did not run before is not missed after"


async def test_where_nobody_can_list_services_nothing_is_touched(house: Ward) -> None:
    ct = await house.settle("busybox-mini-x86_64")
    job = await house.update(ct, action={"do": "script", "text": "touch ran", "interpreter": "sh"}, health={"services": True})
    assert (job.state, job.result["outcome"]) == (State.FAILED, "skipped")
    assert not (house.node.sandbox.private(ct) / "ran").exists()


@pytest.mark.parametrize(("loses", "health", "why"), [
    ("nginx", {"command": "systemctl is-active nginx"}, "the health command exited with 3"),
    ("address", {"tcp": [7000]}, "takes no connections"),
])  # fmt: skip
async def test_what_does_not_hold_any_more_is_a_regression(house: Ward, loses: str, health: dict[str, Any], why: str) -> None:
    ct = await house.settle()
    assert (await house.update(ct, health=health)).result["outcome"] == "up-to-date"
    await house.tell(ct, pending=PENDING, loses=loses)
    job = await house.update(ct, health=health | {"within": "1s"})
    assert (job.result["outcome"], why in job.error) == ("regressed", True), job.error


async def test_a_page_must_answer_with_its_status(house: Ward) -> None:
    ct = await house.settle()
    [address] = house.addresses(ct)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readline()).split()[1]
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" if path == b"/fine" else b"HTTP/1.1 503 Sorry\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, address, 8080)
    async with server:
        job = await house.update(ct, health={"http": [{"port": 8080, "path": "/fine"}]})
        assert job.state == State.DONE, job.error
        job = await house.update(ct, health={"http": [{"port": 8080, "path": "/ill"}], "within": "1s"})
    assert f"http://{address}:8080/ill answered 503 instead of 200" in job.error
    assert job.result["outcome"] == "regressed"


# -- reboot ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wanted", "reboot", "restarts"), [
    (True, "never", 0), (True, "if-wanted", 1), (False, "if-wanted", 0), (False, "always", 1),
])  # fmt: skip
async def test_it_is_restarted_as_the_order_says(house: Ward, wanted: bool, reboot: str, restarts: int) -> None:
    ct = await house.settle()
    await house.tell(ct, pending=PENDING, reboot=wanted)
    job = await house.update(ct, reboot=reboot, health={"tcp": [7000]})
    assert (job.state, job.result["outcome"]) == (State.DONE, "ok"), job.error
    assert job.result.get("reboot", {"done": False})["done"] is bool(restarts)
    journal = (house.node.folder / "journal.jsonl").read_text()
    assert journal.count('"stopped"') == restarts
    assert house.node.state(ct).running
    house.nothing_kept()


# -- snapshots ------------------------------------------------------------------------------------------------------


async def test_a_layout_without_snapshots_is_skipped_before_anything(house: Ward) -> None:
    ct = await house.settle()
    await house.tell(ct, pending=PENDING)
    job = await house.update(ct, snapshot=True)
    assert (job.state, job.result["outcome"]) == (State.FAILED, "skipped")
    assert "layout simfs, of which no snapshot can be taken" in job.error
    assert len(house.book(ct).pending) == 2


async def test_a_snapshot_is_taken_before_and_merged_away_after(ploop: Ward) -> None:
    ct = await ploop.settle()
    await ploop.tell(ct, pending=PENDING)
    job = await ploop.update(ct, snapshot=True)
    assert (job.state, job.result["outcome"]) == (State.DONE, "ok"), job.error
    assert (await ploop.sight(ct)).snapshots == ()
    story = "\n".join(ploop.story(job.id))
    assert story.index(" snapshot") < story.index(" script") < story.index(" forget")


async def test_a_failure_leaves_the_snapshot_where_nobody_said_revert(ploop: Ward) -> None:
    ct = await ploop.settle()
    await ploop.tell(ct, pending=PENDING, fail="openssl")
    job = await ploop.update(ct, snapshot=True)
    assert job.result["outcome"] == "failed"
    assert list((await ploop.sight(ct)).snapshots) == [job.result["snapshots"]["before"]]
    assert ploop.book(ct).half


@pytest.mark.parametrize(("trouble", "outcome"), [({"fail": "openssl"}, "failed"), ({"loses": "nginx"}, "regressed")])
async def test_it_goes_back_after_a_failure_and_keeps_the_bad_state(ploop: Ward, trouble: dict[str, str], outcome: str) -> None:
    ct = await ploop.settle()
    await ploop.tell(ct, pending=PENDING, **trouble)
    before = ploop.book(ct)
    job = await ploop.update(ct, snapshot=True, revert=True, health={"services": True, "within": "1s"})
    assert (job.state, job.result["outcome"]) == (State.FAILED, outcome), "\n".join([job.error, *ploop.story(job.id)])
    sight = await ploop.sight(ct)
    assert set(sight.snapshots) == set(job.result["snapshots"].values())
    assert sight.current_snapshot == job.result["snapshots"]["before"]
    assert sight.running
    after = ploop.book(ct)
    assert (after.installed, after.half, after.services) == (before.installed, {}, before.services)
    kept = Book.read(ploop.node.sandbox.private(ct) / ".snapshots" / job.result["snapshots"]["bad"])
    assert kept is not None
    assert kept != after


async def test_a_worker_that_dies_in_the_middle_changes_nothing(ploop: Ward) -> None:
    ct = await ploop.settle()
    await ploop.tell(ct, pending=PENDING, seconds=1, loses="nginx")
    job_id = ploop.place("update-container", ct, action=PACKAGES, snapshot=True, revert=True, health={"services": True, "within": "1s"})
    await ploop.step(job_id, "script")
    ploop.lose_leases()
    job = await ploop.ended(job_id)
    assert (job.state, job.result["outcome"]) == (State.FAILED, "regressed"), ploop.story(job.id)
    assert "nginx" in ploop.book(ct).services
    assert len((await ploop.sight(ct)).snapshots) == 2


# -- the dry run ----------------------------------------------------------------------------------------------------


async def test_a_check_tells_what_would_be_upgraded_and_holds_up_nobody(house: Ward) -> None:
    ct = await house.settle()
    await house.tell(ct, pending=PENDING)
    job = await house.order("check-update", ct)
    assert (job.state, job.ctid) == (State.DONE, None), job.error
    assert (job.result["outcome"], job.result["pending"]) == ("ok", 2)
    assert [line.split()[:2] for line in job.result["would"]] == [["nginx", "9.8-r1"], ["openssl", "9.9-r1"]]
    assert len(house.book(ct).pending) == 2
    job = await house.order("check-update", ct, action={"do": "packages", "security_only": True})
    assert job.result["pending"] == 1


async def test_a_script_that_prints_without_end_fills_no_disk_and_is_ended_by_its_time_out(house: Ward) -> None:
    ct = await house.settle()
    job = await house.update(ct, action={"do": "script", "interpreter": "sh", "text": "echo first; exec yes", "timeout": "2s"})
    assert (job.state, job.result["outcome"]) == (State.FAILED, "failed")
    assert "ended after 2s" in job.error
    assert job.result["output"].startswith("first\ny\n")
    kept = [path.stat().st_size for path in (house.root / "var/lib/vzq/runs").rglob("out")]
    assert max(kept) == OUTPUT_HEAD + OUTPUT_TAIL


@pytest.mark.parametrize(("code", "state"), [(3, State.FAILED), (6, State.DONE), (7, State.DONE), (14, State.FAILED), (31, State.FAILED)])
async def test_what_vzctl_itself_says_of_a_script_leaves_nobody_stuck(house: Ward, code: int, state: State) -> None:
    ct = await house.settle()
    await house.ctl("fault", command="exec2", ctid=ct, action="exit", code=code, phase="begin", times=1)
    job = await house.update(ct, action={"do": "script", "text": "true", "interpreter": "sh"})
    assert job.state == state, job.error
