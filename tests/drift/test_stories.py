"""A node is changed behind vzq's back; the next look finds it, and what is ordered mends it."""

import asyncio

import pytest
from sqlalchemy import delete
from sqlmodel import col, select

from models.errors import Unsure
from models.fleet import Address, ContainerState, Plan
from models.jobs import Begun, Event, Job
from models.lifecycle import State
from models.standing import Standing
from producers.chart import Chart
from producers.refusals import Refusal
from tests.drift.conftest import DriftHouse
from tests.factories import make_job

MIB = 1 << 20
UNKNOWN = ("unknown-container", "5000")


async def test_a_node_as_the_books_say_has_no_findings(house: DriftHouse) -> None:
    await house.create()
    assert await house.look() == {}
    assert house.node_row().foreign_ram_bytes == 0


# ---- strangers ----


async def test_a_stranger_is_found_rehearsed_and_adopted(house: DriftHouse) -> None:
    await house.ctl("stranger", ctid=5000, name="old-web", address="127.150.0.1", running=True)
    finding = (await house.look())[UNKNOWN]
    assert finding.repair == {"kind": "adopt-container", "node": "n1", "ctid": 5000}

    rehearsed = house.rehearse(finding)
    assert rehearsed.job is None
    assert "5000" in rehearsed.why
    with house.database.read() as session:
        assert session.exec(select(Job).where(Job.kind == "adopt-container")).all() == []
    assert house.row(5000) is None
    assert house.finding(finding.id).job_id is None

    await house.mend(finding)
    row = house.row(5000)
    assert row is not None
    assert (row.state, row.standing, row.name, row.node) == (ContainerState.PRESENT, Standing.RUNNING, "old-web", "n1")
    assert (row.ram_bytes, row.template) == (256 * MIB, "busybox-mini-x86_64")
    assert (await house.sight(5000)).marker == row.job_id

    job = await house.order("adopt-container", 5000, node="n1")
    assert job.state == State.DONE
    again = house.row(5000)
    assert again is not None
    assert again.job_id == row.job_id
    assert (await house.order("stop-container", 5000)).state == State.DONE
    assert not (await house.sight(5000)).running


async def test_an_address_of_a_pool_comes_along_and_one_that_is_taken_is_refused(house: DriftHouse) -> None:
    ctid = await house.create()
    taken = house.addresses(ctid)[0]
    free = taken.rpartition(".")[0] + ".77"
    await house.ctl("stranger", ctid=5000, address=free)
    await house.ctl("stranger", ctid=5001, address=taken)
    found = await house.look()
    assert found["shared-address", "5001"].repair == {}
    assert ("shared-address", "5000") not in found
    with house.database.read() as session:
        pool = Chart(session, "main")
        assert {free, taken} <= pool._barred

    await house.mend(found[UNKNOWN])
    assert house.addresses(5000) == [free]
    row = house.row(5000)
    assert row is not None
    assert (row.standing, row.probe) == (Standing.STOPPED, "tcp:7000")

    job = await house.order("adopt-container", 5001, node="n1")
    assert (job.state, job.error_class) == (State.FAILED, "Permanent")
    assert str(ctid) in job.error
    assert (await house.sight(5001)).marker is None
    assert house.row(5001) is None


async def test_what_is_without_a_row_takes_room(house: DriftHouse) -> None:
    await house.ctl("stranger", ctid=5000)
    await house.look()
    node = house.node_row()
    assert (node.foreign_containers, node.foreign_ram_bytes) == (1, 256 * MIB)
    assert node.foreign_disk_bytes > 0
    with house.database.read() as session:
        [room] = Chart(session, "main").rooms(now=house.clock.now())
    assert (room.containers, room.memory_taken, room.disk_taken) == (1, node.foreign_ram_bytes, node.foreign_disk_bytes)
    assert (await house.order("adopt-container", 5000, node="n1")).state == State.DONE
    with house.database.read() as session:
        [after] = Chart(session, "main").rooms(now=house.clock.now())
    assert (after.containers, after.memory_taken, after.disk_taken) == (room.containers, room.memory_taken, room.disk_taken)


async def test_a_container_of_a_job_that_a_restored_database_does_not_know_can_be_adopted(house: DriftHouse) -> None:
    ctid = await house.create(name="web-a")
    await house.look()
    with house.database.write() as session:  # as after a backup from before the order was brought back
        row = house.row(ctid)
        assert row is not None
        mark = row.job_id
        for address in session.exec(select(Address)).all():
            session.delete(address)
        session.delete(row)
        for table, about in ((Event, Event.job_id), (Begun, Begun.job_id), (Job, Job.id)):
            session.execute(delete(table).where(col(about) == mark))
    finding = (await house.look())["unknown-container", str(ctid)]
    assert str(mark) in finding.why
    assert "does not know" in finding.why
    await house.mend(finding)
    row = house.row(ctid)
    assert row is not None
    assert (row.job_id, row.name, row.standing) == (mark, "web-a", Standing.RUNNING)
    await house.agrees(ctid)
    assert await house.look() == {}


async def test_what_is_half_made_is_not_adopted(house: DriftHouse) -> None:
    house.conf(5000).write_text('OSTEMPLATE="x"\n')
    job = await house.order("adopt-container", 5000, node="n1")
    assert job.state == State.FAILED
    assert "not whole" in job.error
    assert house.conf(5000).read_text() == 'OSTEMPLATE="x"\n'


async def test_a_copied_mark_is_not_adopted(house: DriftHouse) -> None:
    ctid = await house.create()
    await house.ctl("stranger", ctid=5000)
    row = house.row(ctid)
    assert row is not None
    with house.conf(5000).open("a") as conf:
        conf.write(f'\nX_VZQ_JOB="{row.job_id}"\n')
    job = await house.order("adopt-container", 5000, node="n1")
    assert job.state == State.FAILED
    assert "copy" in job.error


async def test_a_container_that_somebody_made_anew_is_another_one(house: DriftHouse) -> None:
    ctid = await house.create()
    assert (await house.shell("vzctl", "stop", str(ctid)))[0] == 0
    assert (await house.shell("vzctl", "destroy", str(ctid)))[0] == 0
    gone = (await house.look())["missing-container", str(ctid)]
    assert gone.repair == {}
    await house.ctl("stranger", ctid=ctid)
    found = await house.look()
    assert set(found) == {("wrong-mark", str(ctid))}
    assert house.finding(gone.id).gone_at is not None
    await house.mend(found["wrong-mark", str(ctid)])
    row = house.row(ctid)
    assert row is not None
    assert row.job_id == (await house.sight(ctid)).marker


# ---- what should be otherwise ----


async def test_a_halted_container_is_found_and_started(house: DriftHouse) -> None:
    ctid = await house.create()
    await house.ctl("halt", ctid=ctid)
    finding = (await house.look())["wrong-standing", str(ctid)]
    assert finding.repair["kind"] == "start-container"
    await house.mend(finding)
    await house.agrees(ctid)


@pytest.mark.parametrize(
    ("verb", "again"), [("stop-container", "stop-container"), ("suspend-container", "suspend-container"), ("terminate-container",) * 2]
)
async def test_one_that_runs_and_should_not_is_brought_down_again(house: DriftHouse, verb: str, again: str) -> None:
    ctid = await house.create()
    assert (await house.order(verb, ctid)).state == State.DONE
    assert await house.look() == {}
    before = house.row(ctid)
    await house.set(ctid, "--disabled", "no")
    assert (await house.shell("vzctl", "start", str(ctid)))[0] == 0
    found = await house.look()
    assert set(found) == {("wrong-standing", str(ctid))}
    assert found["wrong-standing", str(ctid)].repair["kind"] == again
    await house.mend(found["wrong-standing", str(ctid)])
    await house.agrees(ctid)
    after = house.row(ctid)
    assert before is not None
    assert after is not None
    assert after.purge_at == before.purge_at


async def test_every_other_difference_is_found_and_mended_by_its_order(house: DriftHouse) -> None:
    ctid = await house.create(name="web-a", nameservers=["9.9.9.9"])
    [address] = house.addresses(ctid)
    await house.set(ctid, "--ram", "100M", "--swap", "0")
    await house.set(ctid, "--name", "other", "--hostname", "other.example", "--nameserver", "8.8.8.8")
    await house.set(ctid, "--ipdel", address)
    await house.set(ctid, "--onboot", "no")
    found = await house.look()
    kinds = {"wrong-limits", "wrong-name", "wrong-hostname", "wrong-nameservers", "wrong-addresses", "wrong-standing"}
    assert set(found) == {(kind, str(ctid)) for kind in kinds}
    for key in found:
        if key in house.open_findings():  # a name is set together with its host name
            await house.mend(found[key])
    assert await house.look() == {}
    await house.agrees(ctid)


async def test_a_plan_that_was_changed_since_changes_no_container_by_a_repair(house: DriftHouse) -> None:
    ctid = await house.create()
    before = house.row(ctid)
    with house.database.write() as session:
        plan = session.get_one(Plan, "small")
        plan.ram_bytes *= 2
        session.add(plan)
    assert await house.look() == {}
    await house.set(ctid, "--cpuunits", "777")
    await house.mend((await house.look())["wrong-limits", str(ctid)])
    after = house.row(ctid)
    assert before is not None
    assert after is not None
    assert (after.ram_bytes, after.plan) == (before.ram_bytes, "small")


async def test_a_finding_mended_by_hand_is_gone_and_comes_back_under_its_number(house: DriftHouse) -> None:
    ctid = await house.create()
    await house.ctl("halt", ctid=ctid)
    finding = (await house.look())["wrong-standing", str(ctid)]
    assert (await house.shell("vzctl", "start", str(ctid)))[0] == 0
    assert await house.look() == {}
    assert house.finding(finding.id).gone_at is not None
    with pytest.raises(Refusal, match="gone"):
        house.rehearse(finding)
    await house.ctl("halt", ctid=ctid)
    assert (await house.look())["wrong-standing", str(ctid)].id == finding.id


async def test_an_open_repair_is_not_ordered_twice(house: DriftHouse) -> None:
    ctid = await house.create()
    await house.ctl("halt", ctid=ctid)
    finding = (await house.look())["wrong-standing", str(ctid)]
    with house.database.write() as session:
        first = house.repair(session, finding)
        second = house.repair(session, finding)
        assert first.job is not None
        assert second.job is not None
        assert (second.job.id, second.replay) == (first.job.id, True)


async def test_a_container_at_work_is_left_out_and_its_finding_stays_as_it_is(house: DriftHouse) -> None:
    ctid = await house.create()
    await house.ctl("halt", ctid=ctid)
    await house.look()
    await house.ctl("fault", command="start", action="hang", phase="init")
    job_id = house.place("start-container", ctid)
    await house.step(job_id, "start")
    assert set(await house.look()) == {("wrong-standing", str(ctid))}
    await house.ctl("clear")
    assert (await house.ended(job_id)).state == State.DONE
    assert await house.look() == {}


# ---- debris ----


async def _killed_create(house: DriftHouse, ctid: int, job: str) -> None:
    """What `kill -9` leaves of a create of this job."""
    assert (await house.shell("vzq-ct", "plant", str(ctid), job, "vswap-256m", "simfs"))[0] == 0
    await house.ctl("fault", command="create", action="kill", phase="unpack", ctid=ctid)
    with pytest.raises(Unsure, match="SIGKILL"):
        await house.shell("vzctl", "create", str(ctid), "--ostemplate", "busybox-mini-x86_64")
    sight = await house.sight(ctid)
    assert (sight.half_made, sight.private) == (True, "empty")


def _job(house: DriftHouse, state: State) -> str:
    with house.database.write() as session:
        job = make_job("create-container", now=house.clock.now(), state=state)
        session.add(job)
        return job.id


async def test_what_a_killed_create_left_is_cleared_by_its_mark(house: DriftHouse) -> None:
    job = _job(house, State.FAILED)
    await _killed_create(house, 5000, job)
    found = await house.look()
    assert set(found) == {("debris", "5000")}
    assert found["debris", "5000"].repair == {"kind": "clear-debris", "node": "n1", "ctid": 5000, "of": job}
    await house.mend(found["debris", "5000"])
    assert (await house.sight(5000)).nothing
    assert await house.look() == {}


async def test_what_an_open_job_left_is_not_cleared(house: DriftHouse) -> None:
    job = _job(house, State.STUCK)
    await _killed_create(house, 5000, job)
    assert (await house.look())["debris", "5000"].repair == {}
    with pytest.raises(Refusal, match="stuck"):
        house.place("clear-debris", 5000, node="n1", of=job)


async def test_a_strangers_half_made_container_is_never_cleared(house: DriftHouse) -> None:
    house.conf(5000).write_text('OSTEMPLATE="x"\n')
    (house.root / "vz/private/5000.tmp/etc").mkdir(parents=True)
    assert (await house.look())["debris", "5000"].repair == {}
    for given in ({}, {"of": _job(house, State.FAILED)}):
        job = await house.order("clear-debris", 5000, node="n1", **given)
        assert job.state == State.FAILED, job.result
    assert house.conf(5000).exists()
    assert (house.root / "vz/private/5000.tmp/etc").is_dir()


async def test_a_whole_container_is_never_cleared(house: DriftHouse) -> None:
    ctid = await house.create()
    row = house.row(ctid)
    assert row is not None
    with pytest.raises(Refusal, match="in the books"):
        house.place("clear-debris", ctid, node="n1", of=row.job_id)
    job = await house.order("clear-debris", ctid, node="n1")
    assert job.state == State.FAILED
    await house.agrees(ctid)


async def test_leftovers_without_a_mark_wait_for_an_hour(house: DriftHouse) -> None:
    (house.root / "vz/private/5000.tmp/etc").mkdir(parents=True)
    finding = (await house.look())["debris", "5000"]
    assert finding.repair == {}
    assert "within the last hour" in finding.why
    job = await house.order("clear-debris", 5000, node="n1")
    assert job.state == State.FAILED
    assert (house.root / "vz/private/5000.tmp/etc").is_dir()


async def test_the_lock_of_a_dead_process_is_taken_away_and_nothing_else(house: DriftHouse) -> None:
    ctid = await house.create()
    lock = house.root / f"vz/lock/{ctid}.lck"
    lock.write_text("999999999\n\n")
    await house.mend((await house.look())["stale-lock", str(ctid)])
    assert not lock.exists()
    await house.agrees(ctid)


# ---- looks and what happens meanwhile ----


async def test_a_container_that_was_made_during_a_look_is_not_missing(house: DriftHouse) -> None:
    await house.ctl("fault", command="vzlist", action="hang", times=1)
    look = house.place("observe-node", node="n1")
    async with asyncio.timeout(20):
        while not any(call["argv"].startswith("vzlist") for call in (await house.ctl("ps"))["commands"]):
            await asyncio.sleep(0.01)
    await house.create()
    await house.ctl("clear")
    assert (await house.ended(look)).state == State.DONE
    assert house.open_findings() == {}
    assert await house.look() == {}


async def test_an_enrolment_finds_what_is_there_already(house: DriftHouse) -> None:
    await house.ctl("stranger", ctid=5000)
    about = await house.ctl("about")
    where = {"host": about["host"], "port": about["port"], "fingerprint": about["fingerprint"]}
    job = await house.order("enrol-node", node="n1", **where)
    assert job.state == State.DONE, job.error
    assert set(house.open_findings()) == {UNKNOWN}
    assert house.node_row().foreign_containers == 1


# ---- a node that cannot be read ----


async def test_a_listing_that_is_not_understood_spoils_neither_the_look_nor_what_was_known(house: DriftHouse) -> None:
    await house.ctl("stranger", ctid=5000)
    await house.look()
    await house.ctl("fault", command="vzlist", action="exit", code=77, times=0)
    found = await house.look()
    assert set(found) == {UNKNOWN, ("unreadable", "n1")}
    await house.ctl("clear")
    assert set(await house.look()) == {UNKNOWN}


async def test_a_hostile_configuration_costs_only_itself(house: DriftHouse) -> None:
    ctid = await house.create()
    await house.ctl("stranger", ctid=5000)
    with house.conf(5000).open("a") as conf:
        conf.write('NAME="x\\", "ctid": 1, "\nHOSTNAME="$(reboot)"\n|101.conf:X_VZQ_JOB="y"\nct=102 conf=yes\nend\nIP_ADDRESS="1.2.3.4 %zz ::g"\n')
    assert set(await house.look()) == {UNKNOWN}
    await house.mend(house.open_findings()[UNKNOWN])
    row = house.row(5000)
    assert row is not None
    assert (row.name, row.hostname) == (None, "")
    await house.agrees(ctid)
