"""What is written down before a node is touched: tries and their numbers, wherever the job has been before."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
from sqlmodel import select

from models.errors import Taken, Withdrawn
from models.jobs import Begun, Job
from models.lifecycle import Cause, State
from producers.jobs import cancel
from tests.engine.conftest import House
from workers import endings
from workers.claims import Claim
from workers.journal import Journal, Outcome
from workers.store import Store


def with_journal(house: House, claim: Claim, act: Callable[[Journal], Awaitable[None]]) -> None:
    async def run() -> None:
        store = Store(house.database, house.clock, asyncio.get_running_loop())
        try:
            await act(Journal(claim, store, house.database, worker="w1"))
        finally:
            await asyncio.to_thread(store.close)

    asyncio.run(run())


def claimed(house: House, job: Job) -> Claim:
    house.worker()
    house.go_round()
    claim = house.claim(house.claims(), job.id)
    assert claim is not None
    return claim


def take_back(house: House, job: Job) -> str:
    with house.database.write() as session:
        row = session.get(Job, job.id)
        assert row is not None
        return cancel(house.database, session, row, by="me", because="")


async def plant(journal: Journal) -> None:
    begun = await journal.begin("plant", "do", progress=0.0, pivot=False)
    journal.ended(begun, Outcome("ok", 0))


def test_a_displaced_job_that_begins_anew_has_begun(house: House) -> None:
    job = house.order()

    async def taken(journal: Journal) -> None:
        begun = await journal.begin("plant", "do", progress=0.0, pivot=False)
        journal.ended(begun, Outcome("Taken", 17))
        await journal.end(partial(endings.displaced, error=Taken("the id belongs to somebody else")))

    with_journal(house, claimed(house, job), taken)
    with_journal(house, claimed(house, job), plant)
    assert house.job(job.id).begun, "a cancel now must put back what is on the new place"
    with house.database.read() as session:
        tries = session.exec(select(Begun).where(Begun.job_id == job.id).order_by(Begun.attempt)).all()
    assert [(begun.attempt, begun.outcome) for begun in tries] == [(1, "Taken"), (2, None)]


def test_no_step_begins_after_cancel_was_answered(house: House) -> None:
    job = house.order()
    claim = claimed(house, job)
    with_journal(house, claim, plant)
    assert "next safe point" in take_back(house, job)

    async def hand_over(journal: Journal) -> None:
        with pytest.raises(Withdrawn):
            await journal.begin("hand-over", "do", progress=0.9, pivot=True)

    with_journal(house, claim, hand_over)
    assert not house.job(job.id).past_pivot


def test_what_a_cancelled_job_began_can_be_put_back(house: House) -> None:
    job = house.order()
    claim = claimed(house, job)
    with_journal(house, claim, plant)
    take_back(house, job)

    async def go_back(journal: Journal) -> None:
        await journal.end(partial(endings.broken, error=Withdrawn("cancelled on request"), cause=Cause.WITHDRAWN, was=State.RUNNING))
        await journal.begin("unplant", "undo", progress=0.0, pivot=False)
        await journal.end(endings.reverted)

    with_journal(house, claim, go_back)
    assert house.job(job.id).state is State.CANCELLED


def test_a_beginning_whose_answer_was_lost_is_the_same_beginning(house: House) -> None:
    job = house.order()
    claim = claimed(house, job)

    async def twice(journal: Journal) -> None:
        first = await journal.begin("plant", "do", progress=0.0, pivot=False)
        claim.journal.remove(first)  # as if its commit had got through and the answer had not
        again = await journal.begin("plant", "do", progress=0.0, pivot=False)
        assert (again.id, again.attempt) == (first.id, 1)

    with_journal(house, claim, twice)
