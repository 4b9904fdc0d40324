"""What each verb does when things go wrong: the node is as before, or a person is told what to look at."""

import os
import socket
from ipaddress import ip_address

import pytest

from models.fleet import Pool
from models.lifecycle import State
from producers.chart import Chart
from producers.jobs import cancel, find
from producers.refusals import Refusal
from tests.factories import make_pool
from tests.verbs.house import TEMPLATE, VerbHouse

MIB = 1 << 20


async def test_a_suspended_container_stays_down_over_a_reboot_and_nobody_starts_it(house: VerbHouse) -> None:
    ctid = await house.create()
    assert (await house.order("suspend-container", ctid)).state == State.DONE
    assert await house.shell("vzctl", "start", str(ctid)) == (105, "Container start disabled\n")
    await house.ctl("down")
    await house.ctl("up")
    assert not (await house.sight(ctid)).running
    assert (await house.order("unsuspend-container", ctid)).state == State.DONE
    await house.agrees(ctid)
    await house.ctl("down")
    await house.ctl("up")
    await house.agrees(ctid)


async def test_a_stopped_container_stays_down_over_a_reboot_but_may_be_started(house: VerbHouse) -> None:
    ctid = await house.create()
    assert (await house.order("stop-container", ctid)).state == State.DONE
    await house.ctl("down")
    await house.ctl("up")
    assert not (await house.sight(ctid)).running
    assert (await house.shell("vzctl", "start", str(ctid)))[0] == 0


async def test_a_container_that_will_not_halt_is_stopped_all_the_same(house: VerbHouse) -> None:
    ctid = await house.create()
    (house.root / f"vz/private/{ctid}/sbin/halt").write_text("#!/bin/sh\nsleep 1000\n")
    assert (await house.order("stop-container", ctid)).state == State.DONE
    await house.agrees(ctid)


async def test_a_stop_that_is_killed_is_done_again(house: VerbHouse) -> None:
    ctid = await house.create()
    await house.ctl("fault", command="stop", action="kill", phase="stopping")
    job = await house.order("suspend-container", ctid)
    assert job.state == State.DONE, house.story(job.id)
    await house.agrees(ctid)


@pytest.mark.parametrize("step", ["stop", "start"])
async def test_a_restart_interrupted_anywhere_ends_running(house: VerbHouse, step: str) -> None:
    ctid = await house.create()
    job_id = house.place("restart-container", ctid)
    await house.step(job_id, step)
    house.lose_leases()
    job = await house.ended(job_id)
    assert job.state == State.DONE, house.story(job_id)
    await house.agrees(ctid)


async def test_a_start_that_cannot_work_leaves_it_as_it_was(house: VerbHouse) -> None:
    ctid = await house.create()
    await house.order("suspend-container", ctid)
    (house.root / f"vz/private/{ctid}/sbin/init").unlink()
    job = await house.order("unsuspend-container", ctid)
    assert (job.state, "no init" in job.error) == (State.FAILED, True), house.story(job.id)
    await house.agrees(ctid)


async def test_a_start_of_one_that_should_run_and_cannot_fails_without_more_ado(house: VerbHouse) -> None:
    ctid = await house.create()
    await house.ctl("halt", ctid=ctid)
    (house.root / f"vz/private/{ctid}/sbin/init").unlink()
    job = await house.order("start-container", ctid)
    assert job.state == State.FAILED, house.story(job.id)


# ---- resize ----


async def test_a_plan_that_the_files_do_not_fit_in_is_refused_with_figures(house: VerbHouse) -> None:
    ctid = await house.create()
    big = house.root / f"vz/private/{ctid}/big"
    big.write_bytes(os.urandom(3 * MIB))
    before = house.node.conf_of(ctid).lines
    job = await house.order("resize-container", ctid, plan="tiny")
    assert job.state == State.FAILED
    assert "MiB of disk, plan tiny has only 1 MiB" in job.error
    assert house.node.conf_of(ctid).lines == before
    row = house.row(ctid)
    assert row is not None
    assert row.plan == "small"
    house.nothing_kept()
    big.unlink()
    assert (await house.order("resize-container", ctid, plan="tiny")).state == State.DONE
    await house.agrees(ctid)


async def test_a_resize_that_the_node_refuses_is_undone(house: VerbHouse) -> None:
    ctid = await house.create()
    await house.ctl("fault", command="set", action="exit", code=35)
    job = await house.order("resize-container", ctid, plan="large")
    assert job.state == State.FAILED, house.story(job.id)
    assert any("undo limits" in line for line in house.story(job.id))  # what runs may have been changed although nothing was saved
    await house.agrees(ctid)
    house.nothing_kept()


# ---- addresses, names ----


async def test_instead_of_an_address_that_is_in_use_on_the_node_it_gets_another(house: VerbHouse) -> None:
    ctid = await house.create()
    job_id = house.place("add-address", ctid)
    taken = house.job(job_id).target["address"]
    await house.ctl("stranger", ctid=900, address=taken, running=True)
    job = await house.ended(job_id)
    assert job.state == State.DONE, house.story(job_id)
    assert job.result["address"] != taken
    await house.agrees(ctid)
    house.nothing_kept()


async def test_an_address_answers_when_it_was_added_and_no_more_when_it_was_removed(house: VerbHouse) -> None:
    ctid = await house.create()
    address = (await house.order("add-address", ctid)).result["address"]
    assert await house.answers(address)
    assert (await house.order("remove-address", ctid, address=address)).state == State.DONE
    assert not await house.answers(address)
    await house.agrees(ctid)


async def test_a_container_that_halted_gets_its_address_without_waiting_for_it(house: VerbHouse) -> None:
    ctid = await house.create()
    await house.ctl("halt", ctid=ctid)
    assert (await house.order("add-address", ctid)).state == State.DONE


async def test_a_name_that_a_stranger_has_on_the_node_is_refused_and_the_old_one_stays(house: VerbHouse) -> None:
    ctid = await house.create(name="web")
    await house.ctl("stranger", ctid=900, name="mail")
    job = await house.order("rename-container", ctid, name="mail")
    assert job.state == State.FAILED, house.story(job.id)
    row = house.row(ctid)
    assert row is not None
    assert row.name == "web"
    await house.agrees(ctid)


async def test_after_two_renames_in_line_that_fail_the_name_is_the_first_one_again(house: VerbHouse) -> None:
    ctid = await house.create(name="web")
    await house.ctl("stranger", ctid=900, name="mail")
    await house.ctl("stranger", ctid=901, name="news")
    jobs = [house.place("rename-container", ctid, name=name) for name in ("mail", "news")]
    assert [(await house.ended(job)).state for job in jobs] == [State.FAILED, State.FAILED]
    row = house.row(ctid)
    assert row is not None
    assert row.name == "web"
    await house.agrees(ctid)


async def test_a_rename_behind_one_that_failed_is_carried_out(house: VerbHouse) -> None:
    ctid = await house.create(name="web")
    await house.ctl("stranger", ctid=900, name="mail")
    jobs = [house.place("rename-container", ctid, name=name) for name in ("mail", "shop")]
    assert [(await house.ended(job)).state for job in jobs] == [State.FAILED, State.DONE]
    row = house.row(ctid)
    assert row is not None
    assert row.name == "shop"
    await house.agrees(ctid)


async def test_a_password_is_refused_clearly_while_it_is_shut_down(house: VerbHouse) -> None:
    ctid = await house.create()
    await house.ctl("halt", ctid=ctid)
    job = await house.order("set-password", ctid, password="S3cret-pw")
    assert (job.state, "start it" in job.error) == (State.FAILED, True)


# ---- what an administrator did meanwhile ----

TOUCHING = ["start-container", "stop-container", "restart-container", "suspend-container", "resize-container", "reinstall-container", "add-address",
            "set-password", "set-hostname", "rename-container", "terminate-container"]  # fmt: skip
GIVEN = {
    "resize-container": {"plan": "large"}, "set-password": {"password": "S3cret-pw"}, "set-hostname": {"hostname": "x"},
    "rename-container": {"name": "x"},
}  # fmt: skip


@pytest.mark.parametrize("verb", TOUCHING)
async def test_a_container_that_was_destroyed_meanwhile_is_told_and_nothing_is_written(house: VerbHouse, verb: str) -> None:
    ctid = await house.create()
    await house.shell("vzctl", "stop", str(ctid), "--fast")
    assert (await house.shell("vzctl", "destroy", str(ctid)))[0] == 0
    job = await house.order(verb, ctid, **GIVEN.get(verb, {}))
    assert (job.state, "destroyed or moved it" in job.error) == (State.FAILED, True), house.story(job.id)
    assert (await house.sight(ctid)).nothing
    house.nothing_kept()


@pytest.mark.parametrize("verb", [*TOUCHING, "purge-container"])
async def test_a_container_with_another_mark_is_not_touched(house: VerbHouse, verb: str) -> None:
    ctid = await house.create()
    if verb == "purge-container":
        await house.order("terminate-container", ctid)
    await house.shell("vzctl", "stop", str(ctid), "--fast")
    await house.shell("vzctl", "destroy", str(ctid))
    await house.ctl("stranger", ctid=ctid, running=True)
    before = house.node.conf_of(ctid).lines
    job = await house.order(verb, ctid, **GIVEN.get(verb, {}))
    assert (job.state, "not the one vzq knows" in job.error) == (State.FAILED, True), house.story(job.id)
    assert house.node.conf_of(ctid).lines == before
    assert (await house.sight(ctid)).running
    house.nothing_kept()


async def test_a_purge_of_what_is_gone_already_frees_the_rows(house: VerbHouse) -> None:
    ctid = await house.create()
    await house.order("terminate-container", ctid)
    await house.shell("vzctl", "destroy", str(ctid))
    assert (await house.order("purge-container", ctid)).state == State.DONE
    await house.agrees(ctid)


async def test_a_purge_whose_destroy_was_killed_goes_on(house: VerbHouse) -> None:
    ctid = await house.create()
    await house.order("terminate-container", ctid)
    await house.ctl("fault", command="destroy", action="kill", phase="removed")
    job = await house.order("purge-container", ctid)
    assert job.state == State.DONE, house.story(job.id)
    await house.agrees(ctid)
    assert (await house.shell("ls", str(house.root / "etc/vz/conf")))[1].count(f"{ctid}.conf.vzq") == 0


# ---- later orders ----


async def test_terminate_ends_a_resize_that_waits(house: VerbHouse) -> None:
    ctid = await house.create()
    await house.ctl("fault", command="stop", action="slow", phase="begin", seconds=0.3)
    restart = house.place("restart-container", ctid)
    await house.step(restart, "stop")
    resize = house.place("resize-container", ctid, plan="large")
    terminate = house.place("terminate-container", ctid)
    job = house.job(resize)
    assert (job.state, terminate in house.story(resize)[-1]) == (State.CANCELLED, True), house.story(resize)
    assert (await house.ended(restart)).state == State.DONE
    assert (await house.ended(terminate)).state == State.DONE
    await house.agrees(ctid)
    house.nothing_kept()


async def test_suspend_ends_a_start_that_waits_and_leaves_a_resize(house: VerbHouse) -> None:
    ctid = await house.create()
    await house.ctl("fault", command="stop", action="slow", phase="begin", seconds=0.3)
    verbs = ("stop-container", "start-container", "resize-container", "suspend-container")
    jobs = [house.place(verb, ctid, **GIVEN.get(verb, {})) for verb in verbs]
    assert [(await house.ended(job)).state for job in jobs] == [State.DONE, State.CANCELLED, State.DONE, State.DONE]
    await house.agrees(ctid)
    house.nothing_kept()


async def test_orders_are_judged_by_what_waits_before_them(house: VerbHouse) -> None:
    ctid = await house.create()
    suspend = house.place("suspend-container", ctid)
    with pytest.raises(Refusal, match="unsuspend it first"):
        house.place("start-container", ctid)
    unsuspend = house.place("unsuspend-container", ctid)
    for job in (suspend, unsuspend):
        assert (await house.ended(job)).state == State.DONE
    await house.agrees(ctid)


async def test_a_cancelled_suspension_leaves_it_running(house: VerbHouse) -> None:
    ctid = await house.create()
    await house.ctl("fault", command="set", action="slow", phase="begin", seconds=0.4)
    job_id = house.place("suspend-container", ctid)
    await house.step(job_id, "disabled")
    with house.database.write() as session:
        cancel(house.database, session, find(session, job_id), by="test", because="")
    await house.renew()
    job = await house.ended(job_id)
    assert job.state == State.CANCELLED, house.story(job_id)
    await house.agrees(ctid)


async def test_a_container_with_addresses_of_both_families_has_them_on_the_node(house: VerbHouse) -> None:
    with house.database.write() as session:
        session.add(make_pool("six", cidr="2001:db8::/64", first="2001:db8::1", last="2001:db8::ff", probe="none"))
    ctid = await house.create(ipv4=2, ipv6=2)
    addresses = house.addresses(ctid)
    assert [":" in address for address in addresses].count(True) == 2
    assert sorted((await house.sight(ctid)).addresses) == addresses
    await house.agrees(ctid)


async def test_a_container_is_not_done_before_each_of_its_addresses_answers(house: VerbHouse) -> None:
    ctid = await house.create()
    with house.database.read() as session:
        free = Chart(session, "main").next_address(session.get_one(Pool, "public"), now=house.clock.now())
    assert free is not None
    second = str(ip_address(free) + 1)
    with socket.socket() as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        silent.bind((second, 7000))
        silent.listen()
        job_id = house.place("create-container", plan="small", template=TEMPLATE, hostname="b.example", ipv4=2)
        await house.step(job_id, "answer")
        assert [await house.answers(address) for address in (free, second)] == [True, False]
        assert house.job(job_id).step == "answer"
    assert (await house.ended(job_id)).state == State.DONE, house.story(job_id)  # the port is free now, so the container itself answers
    assert house.addresses(house.job(job_id).ctid or ctid) == [free, second]
