"""An address that turns out to be somebody else's: barred, told, and another one is taken."""

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from models.findings import Finding
from models.fleet import Pool
from models.jobs import Job
from models.lifecycle import State
from producers.chart import Chart
from producers.jobs import cancel
from tests.verbs.house import TEMPLATE, VerbHouse

NEW: dict[str, Any] = {"plan": "small", "template": TEMPLATE, "hostname": "a.example"}


def next_address(house: VerbHouse) -> str:
    with house.database.read() as session:
        address = Chart(session, "main").next_address(session.get_one(Pool, "public"), now=house.clock.now())
    assert address is not None
    return address


def findings(house: VerbHouse) -> list[tuple[str, str, bool]]:
    with house.database.read() as session:
        return [(one.kind, one.subject, one.gone_at is None) for one in session.exec(select(Finding).where(Finding.kind == "address-in-use")).all()]


async def taken(house: VerbHouse, how: str, address: str) -> None:
    if how == "by a container without a row":
        await house.ctl("stranger", ctid=5000, address=address, running=True)
    else:
        await house.ctl("machine", address=address)


BY = ["by a container without a row", "by a machine of the node's network"]


@pytest.mark.parametrize("how", BY)
async def test_a_new_container_takes_another_one(house: VerbHouse, how: str) -> None:
    address = next_address(house)
    await taken(house, how, address)
    job = await house.order("create-container", **NEW)
    assert job.state == State.DONE, house.story(job.id)
    assert job.ctid is not None
    assert address not in house.addresses(job.ctid)
    assert job.result["addresses"] == house.addresses(job.ctid)
    assert findings(house) == [("address-in-use", address, True)]
    assert any(line.startswith("displaced") and address in line for line in house.story(job.id))
    await house.agrees(job.ctid)
    another = await house.order("create-container", **NEW)
    assert "displaced" not in " ".join(house.story(another.id))
    assert address not in house.addresses(another.ctid or 0)


@pytest.mark.parametrize("how", BY)
async def test_an_address_more_is_another_one(house: VerbHouse, how: str) -> None:
    ctid = await house.create()
    address = next_address(house)
    await taken(house, how, address)
    job = await house.order("add-address", ctid)
    assert job.state == State.DONE, house.story(job.id)
    assert address not in house.addresses(ctid)
    assert len(house.addresses(ctid)) == 2
    assert job.result["address"] in house.addresses(ctid)
    assert findings(house) == [("address-in-use", address, True)]


async def test_only_the_one_of_several_that_is_taken_is_replaced(house: VerbHouse) -> None:
    first = next_address(house)
    await taken(house, BY[0], first)
    job = await house.order("create-container", **NEW, ipv4=3)
    assert job.state == State.DONE, house.story(job.id)
    assert len(house.addresses(job.ctid or 0)) == 3
    assert findings(house) == [("address-in-use", first, True)]
    await house.agrees(job.ctid or 0)


async def test_an_order_waits_where_no_other_address_is_left_and_goes_on_when_there_is_one(house: VerbHouse) -> None:
    address = next_address(house)
    with house.database.write() as session:
        pool = session.get_one(Pool, "public")
        last, pool.first, pool.last = pool.last, address, address
    await taken(house, BY[0], address)
    job_id = house.place("create-container", **NEW)
    while "waits for an address" not in house.job(job_id).error:
        await house.renew()
    with house.database.write() as session:
        session.get_one(Pool, "public").last = last
    job = await house.ended(job_id)
    assert job.state == State.DONE, house.story(job_id)
    await house.agrees(job.ctid or 0)


async def test_a_cancel_while_it_waits_for_an_address_leaves_nothing(house: VerbHouse) -> None:
    address = next_address(house)
    with house.database.write() as session:
        pool = session.get_one(Pool, "public")
        pool.first = pool.last = address
    await taken(house, BY[0], address)
    job_id = house.place("create-container", **NEW)
    while "waits for an address" not in house.job(job_id).error:
        await house.renew()
    with house.database.write() as session:
        cancel(house.database, session, session.get_one(Job, job_id), by="me", because="")
    job = await house.ended(job_id)
    assert job.state == State.CANCELLED, house.story(job_id)
    assert (await house.sight(job.ctid or 0)).nothing
    assert house.row(job.ctid or 0) is None


async def test_it_is_given_out_again_when_the_finding_is_gone(house: VerbHouse) -> None:
    address = next_address(house)
    await taken(house, BY[0], address)
    await house.order("create-container", **NEW)
    await house.order("observe-node", node="n1")
    assert findings(house) == [("address-in-use", address, True)]
    house.clock.ahead += timedelta(hours=25)
    await house.renew()
    await house.order("observe-node", node="n1")
    assert findings(house) == [("address-in-use", address, True)]  # the node still shows it
    await house.shell("vzctl", "stop", "5000", "--fast")
    await house.shell("vzctl", "destroy", "5000")
    await house.order("observe-node", node="n1")
    assert findings(house) == [("address-in-use", address, False)]
    with house.database.write() as session:
        session.get_one(Pool, "public").cursor = ""
    assert next_address(house) == address


async def test_a_known_container_keeps_its_address_when_somebody_else_takes_it(house: VerbHouse) -> None:
    ctid = await house.create()
    (address,) = house.addresses(ctid)
    await house.order("stop-container", ctid)
    await house.ctl("stranger", ctid=5000, address=address, running=True)
    job = await house.order("start-container", ctid)
    assert (job.state, "in use" in job.error) == (State.FAILED, True), house.story(job.id)
    assert (house.addresses(ctid), findings(house)) == ([address], [])
