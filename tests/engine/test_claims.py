"""Who has a job: one claim per token, leases by the database's time, cancel and retry."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlmodel import select

from models.errors import NodeFault, Stale, Withdrawn
from models.fleet import Address, Container
from models.jobs import Event, Job
from models.kinds import CRASHES_OF_POISON
from models.lifecycle import Cause, State
from producers.jobs import cancel, find, resolve, retry
from producers.refusals import BadOrder, Refusal
from tests.engine.conftest import House
from workers import endings
from workers.claims import LEASE, held


def dispatched(house: House) -> Job:
    house.worker()
    job = house.order()
    house.go_round()
    return house.job(job.id)


def test_a_message_that_came_twice_is_claimed_once(house: House) -> None:
    job = dispatched(house)
    with ThreadPoolExecutor(2) as pool:
        claims = list(pool.map(lambda name: house.claim(house.claims(name), job.id, job.token), ["w1", "w2"]))
    assert sum(claim is not None for claim in claims) == 1


def test_an_old_token_is_refused(house: House) -> None:
    job = dispatched(house)
    assert house.claim(house.claims(), job.id, job.token - 1) is None
    assert house.claim(house.claims(), job.id, job.token) is not None


def test_a_renewed_lease_outlives_its_end_and_one_not_renewed_does_not(house: House) -> None:
    job = dispatched(house)
    claims = house.claims()
    claim = house.claim(claims, job.id)
    assert claim is not None
    for _ in range(5):
        house.clock.pass_(4)
        before = house.clock.monotonic()
        with house.database.write() as session:
            still = claims.renew(session)
        claims.renewed(still, before=before, asked={job.id})
        claim.check(house.clock)
    house.clock.pass_(LEASE)
    with pytest.raises(Stale):
        claim.check(house.clock)


def test_a_worker_stops_before_another_may_begin(house: House) -> None:
    job = dispatched(house)
    claim = house.claim(house.claims(), job.id)
    assert claim is not None
    until = house.job(job.id).lease_until
    assert until is not None
    left = (until - house.clock.now()).total_seconds()
    assert claim.alive_until - house.clock.monotonic() < left


def test_what_another_worker_took_cannot_be_written_any_more(house: House) -> None:
    job = dispatched(house)
    first = house.claim(house.claims("w1"), job.id)
    house.clock.pass_(LEASE + timedelta(seconds=1))
    house.worker()
    house.go_round()
    second_claims = house.claims("w2")
    second_claims._solo = True
    assert house.claim(second_claims, job.id) is not None
    assert first is not None
    with house.database.write() as session, pytest.raises(Stale):
        held(session, first, "w1")


def test_a_waiting_job_is_cancelled_at_once_and_gives_its_place_back(house: House) -> None:
    job = house.order()
    with house.database.write() as session:
        row = session.get(Job, job.id)
        assert row is not None
        assert cancel(house.database, session, row, by="me", because="wrong plan") == "cancelled, nothing had begun"
    assert house.job(job.id).state is State.CANCELLED
    with house.database.read() as session:
        assert session.exec(select(Container)).all() == []
        assert session.exec(select(Address)).all() == []


def test_the_message_of_a_cancelled_job_is_refused(house: House) -> None:
    job = dispatched(house)
    with house.database.write() as session:
        row = session.get(Job, job.id)
        assert row is not None
        cancel(house.database, session, row, by="me", because="")
    assert house.claim(house.claims(), job.id, job.token) is None


def test_a_running_job_is_cancelled_at_its_next_safe_point(house: House) -> None:
    job = dispatched(house)
    claims = house.claims()
    claim = house.claim(claims, job.id)
    assert claim is not None
    with house.database.write() as session:
        row = session.get(Job, job.id)
        assert row is not None
        cancel(house.database, session, row, by="me", because="")
    with house.database.write() as session:
        still = claims.renew(session)
    claims.renewed(still, before=house.clock.monotonic(), asked={job.id})
    with pytest.raises(Withdrawn):
        claim.safe_point(house.clock)


def test_a_retry_names_the_old_job_and_comes_once(house: House) -> None:
    job = house.order()
    with house.database.write() as session:
        row = session.get(Job, job.id)
        assert row is not None
        cancel(house.database, session, row, by="me", because="")
    ids = set()
    for _ in range(2):
        with house.database.write() as session:
            row = find(session, job.id[-8:])
            ids.add(retry(house.intake, house.vault, session, row, by="me", because="").job.id)
    (new,) = ids
    assert house.job(new).retry_of == job.id


def test_a_stuck_job_is_left_only_by_a_persons_choice(house: House) -> None:
    job = house.order()
    with house.database.write() as session:
        row = session.get(Job, job.id)
        assert row is not None
        with pytest.raises(Refusal):
            resolve(session, row, "go-on", by="me", because="", now=house.clock.now())
        row.state, row.begun = State.STUCK, True
        session.flush()
        resolve(session, row, "put-back", by="me", because="looked at it", now=house.clock.now())
    assert house.job(job.id).state is State.UNDOING
    house.worker()
    assert house.go_round().dispatched == 1
    assert house.claim(house.claims(), job.id) is not None
    with house.database.read() as session:
        assert "looked at it" in " ".join(event.why for event in session.exec(select(Event)).all())


def test_an_ending_that_fits_several_jobs_is_refused(house: House) -> None:
    house.order()
    with house.database.read() as session, pytest.raises(BadOrder):
        find(session, "ZZZZ")


def test_a_cancelled_job_that_began_nothing_does_not_wait_for_an_ill_node(house: House) -> None:
    job = dispatched(house)
    assert house.claim(house.claims(), job.id) is not None
    with house.database.write() as session:
        row = session.get(Job, job.id)
        assert row is not None
        cancel(house.database, session, row, by="me", because="")
        fault = NodeFault("node n1 does not answer", finding="unreachable")
        endings.node_fault(session, row, house.clock.now(), fault=fault, rng=random.Random(1))
    assert house.job(job.id).state is State.CANCELLED
    with house.database.read() as session:
        assert session.exec(select(Container)).all() == []


def test_a_worker_that_saw_a_jobs_own_process_die_makes_it_poison_at_once(house: House) -> None:
    job = dispatched(house)
    assert house.claim(house.claims(), job.id) is not None
    with house.database.write() as session:
        row = session.get(Job, job.id)
        assert row is not None
        row.crashes = CRASHES_OF_POISON - 1  # what WorkerProcess._testify writes
    house.clock.pass_(LEASE + timedelta(seconds=1))
    house.go_round()
    assert house.job(job.id).state is State.STUCK


def test_a_claim_whose_answer_was_lost_is_recognised_by_its_worker(house: House) -> None:
    job, claims = dispatched(house).id, house.claims()
    token = house.job(job).token
    claims.asking[job] = token
    with house.database.write() as session:
        assert claims.take(session, job, token) is not None
    with house.database.write() as session:  # the same work again, as the store does when the answer of its commit is lost
        again = claims.take(session, job, token)
    assert again is not None
    assert (again.token, house.job(job).state, house.job(job).crashes) == (token, State.RUNNING, 0)
    with house.database.read() as session:
        claimed = [event for event in session.exec(select(Event).where(Event.job_id == job)) if event.cause == Cause.CLAIMED]
    assert len(claimed) == 1


def test_another_worker_does_not_take_it_for_its_own(house: House) -> None:
    job, claims = dispatched(house).id, house.claims()
    assert house.claim(claims, job) is not None
    other = house.claims("w2")
    other.asking[job] = house.job(job).token
    assert house.claim(other, job) is None


def test_a_kind_of_a_newer_release_is_left_to_its_own_workers(house: House) -> None:
    job = dispatched(house).id
    with house.database.write() as session:
        row = session.get_one(Job, job)
        row.kind = "fold-container"
        session.add(row)
    assert house.claim(house.claims(), job) is None
    assert (house.job(job).state, house.job(job).worker) == (State.DISPATCHED, None)


def test_a_dispatcher_lets_a_kind_of_a_newer_release_wait(house: House) -> None:
    house.worker()
    strange, known = house.check(), house.check()
    with house.database.write() as session:
        row = session.get_one(Job, strange.id)
        row.kind = "fold-container"
        session.add(row)
    assert house.go_round().dispatched == 1
    assert (house.job(strange.id).state, house.job(known.id).state) == (State.QUEUED, State.DISPATCHED)
