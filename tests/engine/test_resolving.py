"""What is offered for a stuck job: each choice rehearsed in full, with what the node showed."""

from typing import Any

import pytest
from sqlmodel import col, select

from models.fleet import Container, ContainerState
from models.jobs import Begun, Event, Job
from models.lifecycle import Cause, State
from producers.refusals import Refusal
from producers.resolving import Offer, advice, last_look, offers, order_look
from tests.engine.conftest import House
from tests.factories import make_job

NOTHING = {"nothing": True, "whole": False, "running": False, "mark": None, "locked_by": None}


def stuck(house: House, **given: Any) -> Job:
    job = house.order()
    with house.database.write() as session:
        row = session.get_one(Job, job.id)
        row.state, row.error, row.begun, row.step = State.STUCK, "create ended with 99", True, "make"
        for name, value in given.items():
            setattr(row, name, value)
        session.add(Begun(job_id=job.id, step="plant", direction="do", attempt=1, node="n1", token=1, at=house.clock.now(), outcome="ok"))
        session.add(Event(job_id=job.id, cause=Cause.UNEXPECTED, state=State.STUCK, at=house.clock.now()))
    return house.job(job.id)


def told(house: House, job: Job) -> dict[str, Offer]:
    with house.database.read() as session:
        return {offer.choice: offer for offer in offers(house.database, session, session.get_one(Job, job.id))}


def test_every_choice_is_told_with_where_it_leads_and_nothing_is_written(house: House) -> None:
    job = stuck(house)
    found = told(house, job)
    assert {choice: offer.to for choice, offer in found.items()} == {
        "go-on": State.QUEUED,
        "put-back": State.UNDOING,
        "accept": State.DONE,
        "give-up": State.FAILED,
    }
    assert "plant" in found["put-back"].does
    assert "never given out again" in found["give-up"].does
    assert house.job(job.id).state == State.STUCK
    with house.database.read() as session:
        assert session.get_one(Container, job.ctid).state == ContainerState.RESERVED
        assert {event.cause for event in session.exec(select(Event).where(Event.job_id == job.id))} == {Cause.ACCEPTED, Cause.UNEXPECTED}


def test_what_would_be_refused_says_so(house: House) -> None:
    found = told(house, stuck(house, past_pivot=True))
    assert (found["put-back"].to, "no return" in found["put-back"].does) == (None, True)


def test_a_look_is_an_order_to_a_worker_that_the_stuck_job_does_not_hold_up(house: House) -> None:
    house.worker()
    job = stuck(house)
    with house.database.write() as session:
        look = order_look(house.intake, session, session.get_one(Job, job.id), by="eve").job
    assert (look.kind, look.node, look.ctid, look.order["ctid"]) == ("look-at-container", "n1", None, job.ctid)
    assert house.go_round().dispatched == 1
    assert house.job(look.id).state == State.DISPATCHED


def test_only_a_look_that_came_after_it_got_stuck_counts(house: House) -> None:
    job = stuck(house)
    with house.database.write() as session:
        look = order_look(house.intake, session, session.get_one(Job, job.id), by="eve").job
        session.flush()
        look.state, look.result = State.DONE, NOTHING
        session.add(look)
    with house.database.read() as session:
        row = session.get_one(Job, job.id)
        seen = last_look(session, row)
        assert seen is not None
        assert "nothing of the container is there" in advice(row, seen.result)
    house.clock.pass_(60)
    with house.database.write() as session:
        session.add(Event(job_id=job.id, cause=Cause.UNEXPECTED, state=State.STUCK, at=house.clock.now()))
    with house.database.read() as session:
        row = session.get_one(Job, job.id)
        assert last_look(session, row) is None
        assert "nobody has looked" in advice(row, None)


@pytest.mark.parametrize(
    ("seen", "sentence"),
    [
        ({"whole": True, "running": True}, "whole and runs"),
        ({"whole": True}, "does not run"),
        ({"mark": "01JD8QF3Z5X0RQ2M8B7C4E6N9T"}, "give-up leaves it alone"),
        ({"locked_by": "pid 7"}, "locked by pid 7"),
        ({}, "half made"),
    ],
)
def test_the_advice_fits_what_the_node_shows(house: House, seen: dict[str, Any], sentence: str) -> None:
    job = stuck(house)
    assert sentence in advice(job, NOTHING | {"nothing": False, "mark": job.id} | seen)


def test_a_job_without_a_container_has_nothing_to_look_at(house: House) -> None:
    job = house.check()
    with house.database.write() as session, pytest.raises(Refusal, match="nothing to look at"):
        order_look(house.intake, session, session.get_one(Job, job.id), by="eve")
    with house.database.read() as session:
        assert session.exec(select(Job.kind).order_by(col(Job.id))).all() == ["check-queue"]


def test_the_advice_for_a_stuck_move_speaks_of_both_nodes() -> None:
    job = make_job("migrate-container", state=State.STUCK, node="n1", to_node="n2", ctid=1001)
    told = advice(job, NOTHING | {"nothing": False, "mark": job.id, "whole": True})
    assert told.startswith("the copy on n1 is whole and does not run; look at n2 too")
