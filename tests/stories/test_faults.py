"""Faults that an operator lives through, with real processes: poison among many, an ill node, an upgrade, a cancel in the middle."""

import os
import signal
import sqlite3
import time

import pytest
from sqlmodel import select

from models.fleet import Node, NodeState
from models.jobs import Job
from models.lifecycle import Cause, State
from producers.fleet import turn
from producers.jobs import cancel, lose_node
from producers.why import why
from tests.stories.place import Place
from workers.main import STOP_S

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("faults")]


def kill_holder(place: Place, job_id: str, seen: set[str]) -> None:
    """Whoever has this job dies of it, at once."""
    job = place.job(job_id)
    if job.state is State.RUNNING and job.worker and job.worker not in seen:
        seen.add(job.worker)
        pid = int(job.worker.split("/")[-2])
        os.kill(pid, signal.SIGKILL)
        if pid == place.processes["worker"].pid:
            place.processes["worker"].wait()
            place.start("worker")  # as its supervisor does


def test_of_thirty_one_jobs_only_the_one_that_workers_die_of_is_stuck(one_place: Place) -> None:
    (poison,) = one_place.containers(1, node="n1")
    one_place.ctl("n1", "fault", command="create", action="hang", ctid=one_place.job(poison).ctid)
    innocent = one_place.containers(30)
    one_place.until(lambda: one_place.job(poison).step == "make", "the step that kills")
    seen: set[str] = set()

    def over() -> bool:
        kill_holder(one_place, poison, seen)
        return one_place.job(poison).state is State.STUCK

    one_place.until(over, "the poison to be stuck")
    stuck = one_place.job(poison)
    assert len(seen) == 2  # the second time
    assert stuck.error_class == "Poisoned"
    assert "make" in stuck.error  # its evidence: who died, and at which step
    assert next(event for event in one_place.story(poison) if event.cause is Cause.POISONED).data["step"] == "make"
    one_place.each_is_there_once(innocent)
    assert all(job.attempts == 0 for job in one_place.jobs(innocent))
    one_place.ctl("n1", "clear")


def test_a_node_that_does_not_answer_makes_its_jobs_wait_and_a_look_goes_first_when_it_is_back(one_place: Place) -> None:
    one_place.ctl("n2", "unreachable")
    one_place.ctl("n2", "cut")
    jobs = one_place.containers(5, node="n2")
    one_place.until(lambda: any(job.error_class == "Unreachable" for job in one_place.jobs(jobs)), "the node to be missed")
    with one_place.house.database.read() as session:
        node = session.get_one(Node, "n2")
        assert (node.finding, node.broken_until is not None) == ("unreachable", True)
        codes = {reason.code for job in one_place.jobs(jobs) for reason in why(one_place.house.database, session, job)}
    assert "breaker" in codes
    opened = one_place.house.clock.now()
    one_place.ctl("n2", "reachable")
    ended = one_place.ended(*jobs)
    assert [(job.state, job.attempts) for job in ended] == [(State.DONE, 0)] * 5
    with one_place.house.database.read() as session:
        looks = session.exec(select(Job).where(Job.kind == "observe-node", Job.node == "n2", Job.state == State.DONE)).all()
        assert session.get_one(Node, "n2").broken_until is None
    looked = min(job.ended_at for job in looks if job.ended_at and job.ended_at > opened)
    claimed = [event.at for job in jobs for event in one_place.story(job) if event.cause is Cause.CLAIMED and event.at > opened]
    assert min(claimed) >= looked


def test_worker_and_service_are_replaced_while_twenty_creates_run(one_place: Place) -> None:
    jobs = one_place.containers(20)
    for _ in range(2):
        before = one_place.done(jobs)
        one_place.until(lambda before=before: one_place.done(jobs) > before or one_place.done(jobs) == 20, "some progress")
        for name in ("worker", "service"):
            process = one_place.processes[name]
            begun = time.monotonic()
            process.terminate()
            assert process.wait(40) == 0
            assert time.monotonic() - begun < 35
            one_place.start(name)
    one_place.each_is_there_once(jobs)
    assert {(job.attempts, job.crashes) for job in one_place.jobs(jobs)} == {(0, 0)}


def test_a_create_that_is_cancelled_while_it_unpacks_is_stopped_on_the_node(one_place: Place) -> None:
    one_place.ctl("n3", "fault", command="create", action="hang")
    (job_id,) = one_place.containers(1, node="n3")
    ctid = one_place.job(job_id).ctid
    one_place.until(lambda: one_place.job(job_id).step == "make", "the container being made")
    begun = time.monotonic()
    with one_place.house.database.write() as session:
        cancel(one_place.house.database, session, session.get_one(Job, job_id), by="me", because="wrong customer")
    (job,) = one_place.ended(job_id)
    assert job.state is State.CANCELLED
    assert time.monotonic() - begun < 60  # the unpacking itself would never have ended
    assert ctid not in {row["ctid"] for row in one_place.ctl("n3", "list")}
    one_place.ctl("n3", "clear")


def test_a_node_that_is_lost_for_good_gives_its_jobs_away_and_starts_nothing_unseen_when_it_is_back(one_place: Place) -> None:
    place = one_place
    with place.house.database.write() as session:
        for node in session.exec(select(Node).where(Node.name != "n3")).all():
            turn(session, node, NodeState.DRAINING, by="me", because="so that it goes to n3", now=place.house.clock.now())
    place.ctl("n3", "fault", command="start", action="hang")
    (job_id,) = place.containers(1)
    place.until(lambda: place.job(job_id).step == "start", "the container being started")
    before = place.job(job_id)
    assert before.node == "n3"
    place.ctl("n3", "unreachable")
    place.ctl("n3", "cut")
    place.until(lambda: place.job(job_id).error_class == "Unreachable", "the node to be missed")
    with place.house.database.write() as session:
        for node in session.exec(select(Node).where(Node.name != "n3")).all():
            turn(session, node, NodeState.ACTIVE, by="me", because="", now=place.house.clock.now())
        lose_node(session, session.get_one(Job, job_id), by="me", because="burnt down", now=place.house.clock.now())
    place.house.bell.wake()
    (done,) = place.ended(job_id)
    assert done.state is State.DONE, done.error
    assert done.node != "n3"
    assert done.ctid != before.ctid
    place.ctl("n3", "clear")  # it comes back, and its administrator starts what is there
    place.ctl("n3", "reachable")
    place.until(lambda: _quiet(place, before.ctid), "the copy to be quiet")
    with place.house.database.write() as session:
        node = turn(session, session.get_one(Node, "n3"), NodeState.ACTIVE, by="me", because="", now=place.house.clock.now())
        assert node.state is NodeState.ACTIVE


def _quiet(place: Place, ctid: int | None) -> bool:
    with place.house.database.read() as session:
        orders = session.exec(select(Job).where(Job.kind == "quarantine-container", Job.ctid == ctid)).all()
    running = {row["ctid"] for row in place.ctl("n3", "list") if row["running"]}
    return [job.state for job in orders] == [State.DONE] and ctid not in running


def test_a_worker_that_is_told_to_stop_is_gone_in_half_a_minute_though_the_database_takes_nothing(one_place: Place) -> None:
    database = sqlite3.connect(one_place.folder / "vzq.sqlite", isolation_level=None)
    database.execute("begin immediate")
    begun = time.monotonic()
    try:
        one_place.processes["worker"].terminate()
        assert one_place.processes["worker"].wait(60) == 75
        assert time.monotonic() - begun < STOP_S + 10
    finally:
        database.execute("rollback")
        database.close()
        one_place.start("worker")
    one_place.each_is_there_once(one_place.containers(2))
