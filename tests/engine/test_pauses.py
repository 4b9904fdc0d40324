"""Pauses: what rests, what goes on, and what becomes of deadlines."""

from datetime import timedelta

import pytest
from sqlmodel import col, select

from models.access import Audit
from models.lifecycle import State
from models.pauses import Pause, Reach
from producers.pauses import pause, resume
from producers.refusals import BadOrder, Refusal
from producers.why import why
from tests.engine.conftest import House

HELD = [
    (Reach.EVERYTHING, ""),
    (Reach.SITE, "main"),
    (Reach.NODE, "n1"),
    (Reach.KIND, "create-container"),
    (Reach.PRODUCER, "test"),
]


def rest(house: House, reach: Reach, name: str = "", because: str = "disks are changed") -> bool:
    with house.database.write() as session:
        return pause(session, reach, name, by="eve", because=because, now=house.database.now(session))[1]


def go_on(house: House, reach: Reach, name: str = "") -> Pause:
    with house.database.write() as session:
        return resume(session, reach, name, by="adam", because="done", now=house.database.now(session))


@pytest.mark.parametrize(("reach", "name"), HELD)
def test_what_is_paused_waits_and_says_so_until_it_is_resumed(house: House, reach: Reach, name: str) -> None:
    house.worker()
    job = house.order()
    assert rest(house, reach, name)
    assert house.go_round().dispatched == 0
    with house.database.read() as session:
        reason = next(one for one in why(house.database, session, job) if one.code == "paused")
    assert "paused by eve" in reason.text
    assert "disks are changed" in reason.text
    go_on(house, reach, name)
    assert house.go_round().dispatched == 1


@pytest.mark.parametrize(("reach", "name"), [(Reach.SITE, "other"), (Reach.KIND, "stop-container"), (Reach.PRODUCER, "somebody")])
def test_what_is_not_within_reach_goes(house: House, reach: Reach, name: str) -> None:
    house.worker()
    house.order()
    rest(house, reach, name)
    assert house.go_round().dispatched == 1


def test_a_job_without_a_node_is_not_held_by_a_pause_of_a_node(house: House) -> None:
    house.worker()
    house.check()
    rest(house, Reach.NODE, "n1")
    assert house.go_round().dispatched == 1


def test_what_rests_hides_nothing_behind_it(house: House) -> None:
    house.worker(slots=500)
    for _ in range(70):  # more than a round looks at of one producer and node
        house.order()
    rest(house, Reach.KIND, "create-container")
    other = house.check()
    assert house.go_round().dispatched == 1
    assert house.job(other.id).state == State.DISPATCHED


def test_a_running_job_goes_on(house: House) -> None:
    house.worker()
    job = house.order()
    house.go_round()
    rest(house, Reach.EVERYTHING)
    assert house.claim(house.claims(), job.id) is not None


def test_a_deadline_waits_with_its_job(house: House) -> None:
    house.worker()
    job = house.order()
    rest(house, Reach.EVERYTHING)
    house.clock.pass_(7 * 3600)
    house.go_round()
    assert house.job(job.id).state == State.QUEUED
    go_on(house, Reach.EVERYTHING)
    assert house.job(job.id).deadline == house.clock.now() + timedelta(hours=6)
    house.worker()
    assert house.go_round().dispatched == 1


def test_both_pauses_must_end(house: House) -> None:
    house.worker()
    house.order()
    rest(house, Reach.NODE, "n1")
    rest(house, Reach.SITE, "main")
    go_on(house, Reach.NODE, "n1")
    assert house.go_round().dispatched == 0


def test_a_second_pause_keeps_the_first_owner(house: House) -> None:
    assert rest(house, Reach.EVERYTHING)
    assert not rest(house, Reach.EVERYTHING, because="another reason")
    assert go_on(house, Reach.EVERYTHING).because == "disks are changed"


def test_a_pause_needs_a_reason_and_something_that_there_is(house: House) -> None:
    for reach, name, because in [(Reach.EVERYTHING, "", " "), (Reach.NODE, "n9", "x"), (Reach.KIND, "nonsense", "x"), (Reach.SITE, "", "x")]:
        with pytest.raises(BadOrder):
            rest(house, reach, name, because)
    with pytest.raises(Refusal, match="not paused"):
        go_on(house, Reach.EVERYTHING)


def test_both_are_audited(house: House) -> None:
    rest(house, Reach.NODE, "n1")
    go_on(house, Reach.NODE, "n1")
    with house.database.read() as session:
        told = [(row.by, row.action, row.subject, row.because) for row in session.exec(select(Audit).order_by(col(Audit.id)))]
    assert told == [("eve", "pause", "node:n1", "disks are changed"), ("adam", "resume", "node:n1", "done")]
