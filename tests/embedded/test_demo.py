"""The demo, and the auditor it stands on."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlmodel import select

from models.database import Database
from models.jobs import Job
from models.lifecycle import State
from producers.cli.demo_orders import SAMPLES, book, sample
from producers.embedded.auditor import SilentNodeError, look
from producers.embedded.lab import nodes_of
from producers.embedded.verdict import judge
from tests.embedded.programs import environment, until
from tests.embedded.test_up import Up, ups  # noqa: F401 - a fixture

VZQ = [sys.executable, "-m", "producers.cli"]


def test_the_demo_ends_with_the_word_of_the_nodes(server_folder: Path) -> None:
    argv = [*VZQ, "demo", "orders", "--orders", "5", "--nodes", "2", "--speed", "0.02"]
    ran = subprocess.run(argv, env=environment(TMPDIR=str(server_folder)), capture_output=True, text=True, timeout=110, check=False)
    assert ran.returncode == 0, ran
    assert ran.stdout.splitlines()[-1] == "5 of 5 orders done, 5 containers running, 0 lost, 0 doubled"
    assert "accepted → done: p50" in ran.stdout
    assert not list(server_folder.glob("vzq-demo-*"))


@pytest.mark.timeout(240)  # several moves, one after the other
def test_the_demo_of_a_move_explains_the_interruption_and_ends_with_the_word_of_the_nodes(server_folder: Path) -> None:
    argv = [*VZQ, "demo", "migrate", "--speed", "0.3"]
    ran = subprocess.run(argv, env=environment(TMPDIR=str(server_folder)), capture_output=True, text=True, timeout=200, check=False)
    assert ran.returncode == 0, ran
    said = ran.stdout.splitlines()
    assert said[-1] == "6 of 6 containers run on exactly one node, 0 twins that could start, 0 lost"
    assert "n1: 0 containers, drained" in said
    assert [who for who in ("vzmigrate ", "vzq's probe ", "the client ") if not any(line.startswith(who) for line in said)] == []
    assert any("freeze:" in line for line in said)
    assert not list(server_folder.glob("vzq-demo-*"))


@pytest.mark.timeout(240)  # ten nodes are enrolled
def test_the_demo_of_a_rollout_stops_at_the_bad_canary_and_then_reaches_all(server_folder: Path) -> None:
    argv = [*VZQ, "demo", "rollout", "--containers", "20"]
    ran = subprocess.run(argv, env=environment(TMPDIR=str(server_folder)), capture_output=True, text=True, timeout=200, check=False)
    assert ran.returncode == 0, ran
    said = ran.stdout.splitlines()
    assert said[-1] == "20 of 20 containers updated, 1 bad canary stopped the first run, 0 lost"
    assert any(line.startswith("stopped: 2 ok, 1 failed, 0 unreachable, 17 not started of 20") for line in said)
    assert "done: 20 ok, 0 failed, 0 unreachable of 20" in said


def test_the_auditor_sees_what_the_house_does_not_know(server_folder: Path, ups: list[Up]) -> None:  # noqa: F811 - the fixture
    up = Up(server_folder / "audit", "--lab", "2", "--speed", "0")
    ups.append(up)
    up.until("ready in")
    made = up.vzq("order", "create", "--plan", "small", "--template", "busybox-mini-x86_64", "--hostname", "a.example.net", "--node", "n1", "--wait")
    assert made.returncode == 0, made
    control = [sys.executable, "-m", "ops.simnode", "ctl", "--state", str(up.state / "lab"), "n2"]
    subprocess.run([*control, "stranger", "ctid=555", "name=theirs"], env=environment(), check=True, capture_output=True)
    nodes, key = nodes_of(up.state / "lab"), up.state / "ssh" / "id_ed25519"
    ours, theirs = sorted(asyncio.run(look(nodes, key)), key=lambda met: met.node)
    assert (ours.node, ours.running, ours.answers, bool(ours.job)) == ("n1", True, True, True)
    assert (theirs.node, theirs.ctid, theirs.job) == ("n2", 555, None)
    subprocess.run([*control, "down"], env=environment(), check=True, capture_output=True)
    with pytest.raises(SilentNodeError, match="node n2"):
        asyncio.run(look(nodes, key))
    assert up.ends() == 0


@pytest.mark.timeout(240)  # leases of killed workers have to run out, three times
def test_killing_worker_service_and_redis_while_containers_are_made_loses_and_doubles_none(server_folder: Path, ups: list[Up]) -> None:  # noqa: F811 - the fixture
    up = Up(server_folder / "storm", "--lab", "2", "--speed", "0.1")
    ups.append(up)
    up.until("ready in")
    assert up.vzq("order", "submit", str(SAMPLES)).returncode == 0
    database = Database(f"sqlite:///{up.state / 'vzq.sqlite'}")

    def jobs() -> list[Job]:
        with database.read() as session:
            return list(session.exec(select(Job).where(Job.kind == "create-container")).all())

    for victims, done in ((["worker"], 2), (["redis", "worker"], 8), (["service", "worker", "redis"], 14)):
        until(lambda done=done: sum(job.state == State.DONE for job in jobs()) >= done, within_s=60)
        for name in victims:
            os.kill(up.children()[name], signal.SIGKILL)
    until(lambda: all(job.ended for job in jobs()), within_s=90)
    found = asyncio.run(look(nodes_of(up.state / "lab"), up.state / "ssh" / "id_ed25519"))
    with database.read() as session:
        verdict = judge(book(session, [job.id for job in jobs()]), found)
    database.close()
    assert (str(verdict), verdict.complaints) == ("30 of 30 orders done, 30 containers running, 0 lost, 0 doubled", ())
    assert up.ends() == 0


@pytest.mark.quick
@pytest.mark.parametrize("number", [1, 30, 75])
def test_the_sample_gives_as_many_different_orders_as_are_asked_for(number: int) -> None:
    orders = sample(number)
    assert len({key for key, _ in orders}) == len({order.hostname for _, order in orders}) == number


def test_a_demo_without_room_is_refused_with_the_reasons(server_folder: Path) -> None:
    argv = [*VZQ, "demo", "--orders", "400", "--nodes", "1", "--speed", "0"]
    ran = subprocess.run(argv, env=environment(TMPDIR=str(server_folder)), capture_output=True, text=True, timeout=110, check=False)
    assert ran.returncode == 3, ran
    assert "take fewer orders or more nodes" in ran.stderr
