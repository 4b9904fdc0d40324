"""Unexpected answers: grouped whatever job met them, counted, told with who waits for them, settled and met again."""

import pytest
from sqlmodel import col, select

from models.access import Audit
from models.errors import Unexpected
from models.jobs import Job
from models.lifecycle import State
from models.signatures import EXAMPLES, Signature
from producers.metrics import FromDatabase
from producers.refusals import BadOrder
from producers.signatures import settle, signatures, told
from tests.engine.conftest import House
from tests.factories import make_job
from workers import endings

TEXT = "create 99 no such thing as <id>"


def meet(house: House, text: str = TEXT, number: int = 1) -> list[str]:
    jobs = [make_job("create-container", state=State.RUNNING, node="n1", step="make") for _ in range(number)]
    for job in jobs:
        with house.database.write() as session:
            session.add(job)
            session.flush()
            endings.unexpected(session, job, house.clock.now(), error=Unexpected(f"create ended with 99 ({job.id})", signature=text))
        house.clock.pass_(1)
    return [job.id for job in jobs]


def series(house: House) -> dict[str, float]:
    family = next(one for one in FromDatabase(house.database).collect() if one.name == "vzq_unexpected_answers")
    return {sample.labels["signature"]: sample.value for sample in family.samples}


def test_equal_answers_of_many_jobs_are_one_signature_with_its_newest_examples(house: House) -> None:
    jobs = meet(house, number=7)
    meet(house, "stop 88")
    with house.database.read() as session:
        other, one = signatures(session)
    assert (one.text, one.count, other.text, other.count) == (TEXT, 7, "stop 88", 1)
    assert [example["job"] for example in one.examples] == jobs[::-1][:EXAMPLES]
    assert (one.last_seen - one.first_seen).total_seconds() == 6


def test_it_tells_who_is_still_stuck_because_of_it(house: House) -> None:
    jobs = meet(house, number=2)
    meet(house, "stop 88")
    with house.database.write() as session:
        row = session.get_one(Job, jobs[0])
        row.state = State.DONE
        session.add(row)
    with house.database.read() as session:
        number = session.exec(select(Signature.id).where(Signature.text == TEXT)).one()
        assert told(session, number or 0).stuck == [jobs[1]]


def test_a_settled_one_has_no_series_until_it_is_met_again(house: House) -> None:
    meet(house)
    with house.database.write() as session:
        number = session.exec(select(Signature.id)).one() or 0
    assert series(house) == {f"{number}: {TEXT}": 1}
    with house.database.write() as session:
        settle(session, number, by="eve", because="an old vzctl", now=house.clock.now())
    assert series(house) == {}
    meet(house)
    assert series(house) == {f"{number}: {TEXT}": 2}
    with house.database.read() as session:
        assert session.get_one(Signature, number).note == "an old vzctl"
        assert session.exec(select(Audit.action).order_by(col(Audit.id))).all()[-1] == "signature settle"


def test_nothing_is_settled_without_saying_what_it_was(house: House) -> None:
    meet(house)
    with pytest.raises(BadOrder), house.database.write() as session:
        settle(session, session.exec(select(Signature.id)).one() or 0, by="eve", because="", now=house.clock.now())


def test_very_many_sorts_at_once_have_few_series(house: House) -> None:
    for number in range(60):
        meet(house, f"create {number}")
    assert len(series(house)) == 50
