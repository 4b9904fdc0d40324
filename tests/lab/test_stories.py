"""What an operator lives through, with real processes and simulated nodes over SSH; the nodes are the judge."""

import signal
import subprocess

import pytest

from models.fleet import Node
from models.lifecycle import Cause, State
from models.orders import EnrolNode
from producers.jobs import cancel
from producers.refusals import BadOrder
from producers.why import why
from tests.frozen import freeze
from tests.lab.conftest import TEMPLATE, Lab

pytestmark = pytest.mark.xdist_group("lab")


def causes(lab: Lab, job_id: str) -> list[Cause]:
    return [event.cause for event in lab.story(job_id)]


def test_an_order_becomes_a_container_that_runs_and_answers(lab: Lab) -> None:
    (job,) = lab.ended(lab.create(password="a-secret-to-find"))
    assert (job.state, job.error) == (State.DONE, "")
    assert job.node is not None
    assert job.ctid is not None
    row = lab.containers(job.node)[job.ctid]
    assert row["running"]
    assert row["hostname"] == "web"
    assert lab.made(job.ctid) == 1


def test_a_password_is_found_nowhere_afterwards(lab: Lab) -> None:
    lab.ended(lab.create(password="S3cret-needle"))
    found = subprocess.run(["grep", "-rlaF", "S3cret-needle", str(lab.folder)], capture_output=True, text=True, check=False).stdout
    assert found == ""


def test_an_id_that_a_stranger_took_meanwhile_is_left_to_him(lab: Lab) -> None:
    first = lab.job(lab.create())
    assert first.ctid is not None
    lab.ended(first.id)
    taken = first.ctid + 1
    for node in lab.nodes:
        lab.ctl(node, "stranger", ctid=taken, running="true")
    (job,) = lab.ended(lab.create())
    assert job.state is State.DONE
    assert job.ctid != taken
    assert Cause.DISPLACED in causes(lab, job.id)
    assert all(lab.containers(node)[taken]["running"] for node in lab.nodes)


def test_a_lock_that_is_held_is_waited_for_and_burns_no_attempt(lab: Lab) -> None:
    lab.ctl("n1", "fault", command="set", action="slow", seconds=2, times=1)
    job_id = lab.create(node="n1")
    ctid = lab.job(job_id).ctid
    lab.until(lambda: lab.job(job_id).step == "make" or lab.job(job_id).state is State.DONE, "the container to be made")
    lab.ctl("n1", "lock", ctid=ctid, seconds=4)
    (job,) = lab.ended(job_id)
    assert job.state is State.DONE
    assert job.attempts == 0


def test_a_template_that_went_missing_fails_and_leaves_nothing(lab: Lab) -> None:
    root = lab.addresses["n1"]["root"]
    subprocess.run(["mv", f"{root}/vz/template/cache/centos-6-x86_64.tar.gz", f"{root}/vz/template/gone"], check=True)
    (job,) = lab.ended(lab.create(node="n1", template="centos-6-x86_64"))
    assert job.state is State.FAILED
    assert "template" in job.error
    assert job.ctid not in lab.containers("n1")
    assert not subprocess.run(["find", root, "-path", f"*{job.ctid}*", "-not", "-path", "*/var/*"], capture_output=True, check=True).stdout


def test_a_full_disk_opens_the_breaker_and_the_job_goes_on_when_there_is_space(lab: Lab) -> None:
    lab.ctl("n2", "disk", free_kib=1)
    job_id = lab.create(node="n2")
    lab.until(lambda: lab.job(job_id).error_class == "NodeFault", "the fault to be seen")
    with lab.house.database.read() as session:
        node = session.get(Node, "n2")
        assert node is not None
        assert node.finding == "disk-full"
        assert "breaker" in [reason.code for reason in why(lab.house.database, session, lab.job(job_id))]
    lab.ctl("n2", "disk")
    with lab.house.database.write() as session:
        node = session.get(Node, "n2")
        assert node is not None
        node.broken_until = None  # as `vzq node activate` does
    lab.house.bell.wake()
    (job,) = lab.ended(job_id)
    assert (job.state, job.attempts) == (State.DONE, 0)


def test_links_that_are_cut_again_and_again_lose_and_double_nothing(lab: Lab) -> None:
    jobs = [lab.create(node="n1") for _ in range(4)]
    for _ in range(6):
        lab.ctl("n1", "cut")
    ended = lab.ended(*jobs)
    assert {job.state for job in ended} == {State.DONE}
    assert [lab.made(job.ctid or 0) for job in ended] == [1, 1, 1, 1]


def test_a_node_that_is_away_makes_its_jobs_wait_without_burning_attempts(lab: Lab) -> None:
    lab.ctl("n2", "unreachable")
    lab.ctl("n2", "cut")
    job_id = lab.create(node="n2")
    lab.until(lambda: lab.job(job_id).error_class == "Unreachable", "the node to be missed")
    assert lab.job(job_id).state is State.QUEUED
    lab.ctl("n2", "reachable")
    (job,) = lab.ended(job_id)
    assert (job.state, job.attempts) == (State.DONE, 0)


def test_a_worker_killed_in_the_middle_is_followed_by_one_that_goes_on(lab: Lab) -> None:
    jobs = [lab.create(template="debian-12-x86_64-minbase") for _ in range(6)]
    lab.until(lambda: any(lab.job(job).step == "make" for job in jobs), "a container being made")
    lab.restart("worker", signal.SIGKILL)
    ended = lab.ended(*jobs)
    assert {job.state for job in ended} == {State.DONE}
    assert [lab.made(job.ctid or 0) for job in ended] == [1] * 6
    assert any(Cause.LOST in causes(lab, job) for job in jobs)


def test_a_worker_that_is_stopped_hands_over_and_nothing_begins_from_scratch(lab: Lab) -> None:
    jobs = [lab.create(template="debian-12-x86_64-minbase") for _ in range(3)]
    lab.until(lambda: any(lab.job(job).step == "make" for job in jobs), "a container being made")
    lab.restart("worker", signal.SIGTERM)
    ended = lab.ended(*jobs)
    assert {(job.state, job.crashes) for job in ended} == {(State.DONE, 0)}
    assert [lab.made(job.ctid or 0) for job in ended] == [1] * 3


def test_a_service_killed_in_the_middle_changes_nothing(lab: Lab) -> None:
    jobs = [lab.create() for _ in range(6)]
    lab.restart("service", signal.SIGKILL)
    ended = lab.ended(*jobs)
    assert {job.state for job in ended} == {State.DONE}
    assert [lab.made(job.ctid or 0) for job in ended] == [1] * 6


def test_a_worker_frozen_beyond_its_lease_doubles_nothing_when_it_thaws(lab: Lab) -> None:
    jobs = [lab.create() for _ in range(4)]
    lab.until(lambda: any(lab.job(job).begun for job in jobs), "something to be begun")
    freeze(lab.processes["worker"].pid, lab.folder / "vzq.sqlite")
    assert any(lab.job(job).worker for job in jobs)
    lab.start("other", "workers.main")
    try:
        ended = lab.ended(*jobs)
    finally:
        lab.processes["worker"].send_signal(signal.SIGCONT)
    lab.processes["other"].terminate()
    lab.processes["other"].wait()
    assert {job.state for job in ended} == {State.DONE}
    assert [lab.made(job.ctid or 0) for job in ended] == [1] * 4


def test_a_running_order_that_is_cancelled_leaves_nothing_behind(lab: Lab) -> None:
    job_id = lab.create(node="n1", template="debian-12-x86_64-minbase")
    lab.until(lambda: lab.job(job_id).step == "make", "the container being made")
    with lab.house.database.write() as session:
        cancel(lab.house.database, session, session.merge(lab.job(job_id)), by="me", because="wrong customer")
    (job,) = lab.ended(job_id)
    assert job.state is State.CANCELLED
    assert job.ctid not in lab.containers("n1")


def test_another_host_key_than_the_pinned_one_is_never_accepted(lab: Lab) -> None:
    row = lab.addresses["n1"]
    (job,) = lab.ended(lab.place(EnrolNode(node="n9", host=row["host"], port=row["port"], fingerprint="SHA256:" + "A" * 43)))
    assert job.state is State.FAILED
    assert row["fingerprint"].rstrip("=") in job.error


def test_a_machine_where_nobody_listens_is_no_node(lab: Lab) -> None:
    (job,) = lab.ended(lab.place(EnrolNode(node="n8", host="127.0.0.1", port=1, fingerprint="SHA256:" + "A" * 43)))
    assert job.state is State.FAILED
    assert "127.0.0.1" in job.error


def test_what_nobody_can_make_is_refused_before_anything_changes(lab: Lab) -> None:
    with pytest.raises(BadOrder, match=f"known: .*{TEMPLATE}"):
        lab.create(template="beos")
