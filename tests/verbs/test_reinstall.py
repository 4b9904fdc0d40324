"""A reinstall: a fresh system with the old identity, or the old system back."""

import asyncio
import socket
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from models.fleet import Node
from models.jobs import Job
from models.lifecycle import State
from producers.refusals import Refusal
from tests.verbs.house import VerbHouse

KEYS = ("etc/ssh/ssh_host_rsa_key", "etc/ssh/ssh_host_rsa_key.pub", "root/.ssh/authorized_keys")


def area(house: VerbHouse, ctid: int) -> Path:
    return house.root / f"vz/private/{ctid}"


def leave_traces(house: VerbHouse, ctid: int) -> None:
    """Keys and customer's data in the old system."""
    for name in KEYS:
        path = area(house, ctid) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"old {name}\n")
        path.chmod(0o600)
    (area(house, ctid) / "data").write_text("precious\n")


def nothing_aside(house: VerbHouse) -> None:
    for folder in ("etc/vz/conf", "vz/private"):
        assert [path.name for path in (house.root / folder).iterdir() if "vzq-" in path.name] == []


async def test_id_addresses_names_and_keys_stay_and_the_data_is_gone(house: VerbHouse) -> None:
    ctid = await house.create(name="web", nameservers=["10.0.0.53"])
    await house.order("add-address", ctid)
    leave_traces(house, ctid)
    addresses = house.addresses(ctid)
    old = house.row(ctid)
    job = await house.order("reinstall-container", ctid, password="An0ther-pw")
    assert job.state == State.DONE, house.story(job.id)
    await house.agrees(ctid)
    new = house.row(ctid)
    assert old is not None
    assert new is not None
    assert (new.name, new.hostname, new.job_id) == ("web", old.hostname, job.id)
    assert house.addresses(ctid) == addresses
    for name in KEYS:
        path = area(house, ctid) / name
        assert path.read_text() == f"old {name}\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not (area(house, ctid) / "data").exists()
    assert (await house.ctl("password", ctid=ctid, password="An0ther-pw"))["is"]
    nothing_aside(house)
    assert (await house.order("reinstall-container", ctid)).state == State.DONE  # its mark is the last reinstall's now
    await house.agrees(ctid)


async def test_another_template_is_taken(house: VerbHouse) -> None:
    ctid = await house.create()
    assert (await house.order("reinstall-container", ctid, template="debian-12-x86_64-minbase")).state == State.DONE
    assert (await house.sight(ctid)).template == "debian-12-x86_64-minbase"
    await house.agrees(ctid)


FAULTS = {
    "the template is broken": {"command": "create", "action": "exit", "code": 48, "phase": "unpack"},
    "the disk is full": {"command": "create", "action": "exit", "code": 46, "phase": "private"},
    "the names are refused": {"command": "set", "action": "exit", "code": 70, "phase": "apply", "times": 0},
    "init is missing": {"command": "start", "action": "exit", "code": 47, "phase": "env"},
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("standing", ["running", "stopped"])
async def test_a_failure_in_the_middle_brings_the_old_system_back(house: VerbHouse, fault: str, standing: str) -> None:
    ctid = await house.create(name="web")
    leave_traces(house, ctid)
    if standing == "stopped":
        await house.order("stop-container", ctid)
    before = house.row(ctid)
    (house.root / f"etc/vz/conf/{ctid}.mount").write_text("#!/bin/sh\n")
    house.node.faults.clear()
    await house.ctl("fault", ctid=ctid, **FAULTS[fault])
    job_id = house.place("reinstall-container", ctid)
    if FAULTS[fault].get("times") == 0:
        await house.until(job_id, State.UNDOING)
        await house.ctl("clear")
    job = await house.ended(job_id)
    assert job.state == State.FAILED, house.story(job_id)
    assert house.row(ctid) == before
    assert (area(house, ctid) / "data").read_text() == "precious\n"
    await house.agrees(ctid)
    nothing_aside(house)
    assert (house.root / f"etc/vz/conf/{ctid}.mount").exists()


async def test_a_killed_create_is_cleared_and_done_again(house: VerbHouse) -> None:
    ctid = await house.create()
    await house.ctl("fault", command="create", action="kill", phase="unpack")
    job = await house.order("reinstall-container", ctid)
    assert job.state == State.DONE, house.story(job.id)
    await house.agrees(ctid)
    nothing_aside(house)


async def test_a_template_that_went_away_brings_the_old_system_back(house: VerbHouse) -> None:
    ctid = await house.create()
    leave_traces(house, ctid)
    job_id = house.place("reinstall-container", ctid)
    (house.root / "vz/template/cache/busybox-mini-x86_64.tar.gz").unlink()
    job = await house.ended(job_id)
    assert (job.state, "template" in job.error) == (State.FAILED, True), house.story(job_id)
    assert (area(house, ctid) / "data").exists()
    await house.agrees(ctid)


@pytest.mark.parametrize("step", ["stop", "aside", "plant", "make", "limits", "keys", "start", "drop"])
async def test_a_worker_that_dies_at_any_step_is_followed_by_another(house: VerbHouse, step: str) -> None:
    ctid = await house.create(name="web")
    leave_traces(house, ctid)
    job_id = house.place("reinstall-container", ctid)
    await house.step(job_id, step)
    house.lose_leases()
    job = await house.ended(job_id)
    assert job.state == State.DONE, house.story(job_id)
    assert (area(house, ctid) / KEYS[0]).exists()
    assert not (area(house, ctid) / "data").exists()
    await house.agrees(ctid)
    nothing_aside(house)


async def test_a_container_that_is_suspended_to_a_dump_is_refused(house: VerbHouse) -> None:
    ctid = await house.create()
    await house.order("stop-container", ctid)
    dump = house.root / f"vz/dump/Dump.{ctid}"
    dump.parent.mkdir(exist_ok=True)
    dump.write_text("memory")
    job = await house.order("reinstall-container", ctid)
    assert (job.state, "resume it" in job.error) == (State.FAILED, True), house.story(job.id)
    assert (await house.sight(ctid)).suspended


async def pass_until_ended(house: VerbHouse, job_id: str) -> Job:
    """Let the clock run, with the worker's heartbeat, until the job has ended; it must not take longer than sensible."""
    begun = house.clock.now()
    while not (job := house.job(job_id)).ended:
        house.clock.ahead += timedelta(seconds=2)
        await house.renew()
        await asyncio.sleep(0.02)
        assert house.clock.now() - begun < timedelta(minutes=5), house.story(job_id)
    return job


async def test_a_new_system_that_never_executes_gives_way_to_the_old_one_within_minutes(house: VerbHouse) -> None:
    ctid = await house.create()
    leave_traces(house, ctid)
    await house.ctl("fault", command="exec2", action="exit", phase="enter", code=31, ctid=ctid, times=0)
    job_id = house.place("reinstall-container", ctid)
    await house.step(job_id, "exec")
    job = await pass_until_ended(house, job_id)
    assert (job.state, job.error) == (State.FAILED, "exec: not after 180 s; the old system comes back"), house.story(job_id)
    assert any("waits: exec, at most 180 s; then the old system comes back" in line for line in house.story(job_id))
    await house.ctl("clear")
    assert (area(house, ctid) / "data").read_text() == "precious\n"
    await house.agrees(ctid)
    nothing_aside(house)


async def test_a_new_system_whose_address_never_answers_gives_way_to_the_old_one_within_minutes(house: VerbHouse) -> None:
    ctid = await house.create()
    leave_traces(house, ctid)
    (address,) = house.addresses(ctid)
    job_id = house.place("reinstall-container", ctid)
    await house.step(job_id, "aside")
    with socket.socket() as silent:  # whoever answers there says nothing
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        silent.bind((address, 7000))
        silent.listen()
        await house.step(job_id, "answer")
        job = await pass_until_ended(house, job_id)
    assert (job.state, job.error) == (State.FAILED, "answer: not after 180 s; the old system comes back"), house.story(job_id)
    assert (area(house, ctid) / "data").read_text() == "precious\n"
    nothing_aside(house)


async def test_keys_that_cannot_be_kept_are_told_of_before_anything_is_touched(house: VerbHouse) -> None:
    ctid = await house.create()
    leave_traces(house, ctid)
    conf = house.root / f"etc/vz/conf/{ctid}.conf"
    conf.write_text(conf.read_text().replace('VE_LAYOUT="simfs"', 'VE_LAYOUT="ploop:expanded"'))
    job = await house.order("reinstall-container", ctid)
    assert (job.state, "fresh_keys" in job.error) == (State.FAILED, True), house.story(job.id)
    assert (area(house, ctid) / "data").exists()
    assert (await house.sight(ctid)).running
    assert (await house.order("reinstall-container", ctid, fresh_keys=True)).state == State.DONE


async def test_a_node_that_makes_ploop_images_refuses_at_once(house: VerbHouse) -> None:
    ctid = await house.create()
    with house.database.write() as session:
        node = session.get_one(Node, "n1")
        node.abilities = node.abilities | {"ploop": True, "default_layout": "ploop"}
    with pytest.raises(Refusal, match="node n1 makes it anew on ploop; nothing was changed"):
        house.place("reinstall-container", ctid)
    assert house.place("reinstall-container", ctid, fresh_keys=True)
