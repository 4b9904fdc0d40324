"""Redis emptied, a service that stands still, a job that kills its workers, a machine that is no node."""

import os
import signal
import time

import pytest

from models.jobs import Job
from models.lifecycle import State
from producers.jobs import resolve
from tests.frozen import freeze
from tests.stories.place import Place

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("mishaps")]


def test_emptying_redis_again_and_again_loses_nothing(one_place: Place) -> None:
    jobs = one_place.containers(8)
    while one_place.done(jobs) < len(jobs):
        one_place.empty_redis()
        time.sleep(0.3)
        assert all(job.state not in (State.FAILED, State.STUCK) for job in one_place.jobs(jobs))
    one_place.each_is_there_once(jobs)


def test_a_service_that_stands_still_is_replaced_and_doubles_nothing_when_it_goes_on(one_place: Place) -> None:
    freeze(one_place.processes["service"].pid, one_place.folder / "vzq.sqlite")
    one_place.start("service-2")
    try:
        jobs = one_place.containers(6)
        one_place.each_is_there_once(jobs)
        later = one_place.containers(4)
        one_place.processes["service"].send_signal(signal.SIGCONT)
        one_place.each_is_there_once(later)
    finally:
        one_place.processes["service"].send_signal(signal.SIGCONT)
        one_place.processes["service-2"].terminate()
        one_place.processes.pop("service-2").wait()


def test_a_job_that_workers_die_of_is_stuck_and_the_others_are_done(one_place: Place) -> None:
    (poison,) = one_place.containers(1, node="n1")
    ctid = one_place.job(poison).ctid
    one_place.ctl("n1", "fault", command="create", action="hang", ctid=ctid)
    one_place.until(lambda: one_place.job(poison).step == "make", "the step that kills")
    others = one_place.containers(5)
    first = one_place.job(poison).worker
    one_place.restart("worker")
    one_place.until(lambda: one_place.job(poison).worker not in (None, first), "a process of its own")
    alone = one_place.job(poison).worker
    assert alone is not None
    assert f"/{one_place.processes['worker'].pid}/" not in alone
    os.kill(int(alone.split("/")[-2]), signal.SIGKILL)
    (stuck,) = one_place.ended(poison)
    assert (stuck.state, stuck.error_class) == (State.STUCK, "Poisoned")
    assert stuck.crashes >= 2
    one_place.each_is_there_once(others)
    one_place.ctl("n1", "clear")
    with one_place.house.database.write() as session:
        resolve(session, session.get_one(Job, poison), "go-on", by="operator", because="mended", now=one_place.house.database.now(session))
    one_place.house.bell.wake()
    one_place.each_is_there_once([poison])


def test_a_machine_without_vzctl_is_refused_with_a_sentence(one_place: Place) -> None:
    node = one_place.nodes[2]
    tool = one_place.folder / "lab" / node.name / "bin" / "vzctl"
    aside = tool.with_name("vzctl.aside")
    tool.rename(aside)
    try:
        (job,) = one_place.ended(one_place.enrol(node, "bare"))
    finally:
        aside.rename(tool)
    assert job.state == State.FAILED
    assert "there is no vzctl on this machine" in job.error
