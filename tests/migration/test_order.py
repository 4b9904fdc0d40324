"""What may be moved where: everything that the books know is told before anything is touched."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from sqlmodel import select

from models.fleet import ContainerState, Hold, Node, NodeState
from models.house import Worker
from models.jobs import Event, Job
from models.lifecycle import Cause, State
from models.orders import CheckMigration, MigrateContainer, ResizeContainer, StopContainer, TerminateContainer
from models.reservations import give_back, keep
from models.standing import Standing
from producers.refusals import BadOrder, NoRoom, Refusal
from tests.factories import GIB, make_node, make_plan
from tests.migration.conftest import Fleet


def move(ctid: int = 1001, to: str | None = "n2", **given: Any) -> MigrateContainer:
    return MigrateContainer(ctid=ctid, to=to, **given)


def holds(fleet: Fleet) -> list[Hold]:
    with fleet.database.read() as session:
        return list(session.exec(select(Hold)).all())


def change(fleet: Fleet, name: str, **fields: Any) -> None:
    with fleet.database.write() as session:
        node = session.get(Node, name)
        assert node is not None
        for field, value in fields.items():
            setattr(node, field, value)
        session.add(node)


def test_a_move_has_both_its_nodes_and_room_is_kept_on_the_second(fleet: Fleet) -> None:
    fleet.container(1001)
    job = fleet.submit(move()).job
    assert (job.node, job.to_node, job.ctid, job.family, job.rank) == ("n1", "n2", 1001, "migrate", "move")
    assert [(hold.job_id, hold.node, hold.ram_bytes, hold.disk_bytes) for hold in holds(fleet)] == [(job.id, "n2", GIB, 2 * GIB)]


def test_the_node_is_chosen_by_room_and_the_first_event_says_why_not_the_others(fleet: Fleet) -> None:
    fleet.container(1001)
    fleet.container(1002, node="n2", ram_bytes=60 * GIB)
    job = fleet.submit(move(to=None)).job
    assert job.to_node == "n3"
    with fleet.database.read() as session:
        why = session.exec(select(Event.why).where(Event.job_id == job.id)).one()
    assert why.startswith("container 1001 from n1 to n3: least full (")
    assert "not n2: fuller" in why


REFUSED: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("unknown container", {"ctid": 1999}, BadOrder, "there is no container 1999"),
    ("somebody else's", {"ctid": 1002}, BadOrder, "there is no container 1002"),
    ("still being made", {"ctid": 1003}, Refusal, "still being made"),
    ("stopped, online", {"ctid": 1004}, Refusal, "is stopped; only one that runs can be moved online"),
    ("same node", {"to": "n1"}, Refusal, "is on n1 already"),
    ("unknown node", {"to": "n9"}, BadOrder, "there is no node 'n9'"),
    ("other site", {"to": "far"}, Refusal, "it can only move within its site"),
    ("draining", {"to": "n4"}, NoRoom, "n4: draining"),
    ("broken", {"to": "n5"}, NoRoom, "n5: broken (disk-full)"),
    ("no room", {"to": "n6"}, NoRoom, "n6: memory: 0 MiB free, 1024 MiB needed"),
    ("no checkpoints", {"to": "n7"}, NoRoom, "n7: cannot restore a checkpoint"),
    ("other machine", {"to": "n8", "mode": "offline"}, NoRoom, "n8: is i686, the container's node x86_64"),
]


@pytest.mark.parametrize(("given", "error", "sentence"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
@pytest.mark.parametrize("kind", [MigrateContainer, CheckMigration])
def test_what_cannot_be_moved_so_is_refused_and_nothing_is_kept(
    fleet: Fleet, kind: type[MigrateContainer], given: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    fleet.container(1001)
    fleet.container(1002, state=ContainerState.FOREIGN)
    fleet.container(1003, state=ContainerState.RESERVED)
    fleet.container(1004, standing=Standing.STOPPED)
    later = fleet.clock.now() + timedelta(minutes=5)
    with fleet.database.write() as session:
        session.add_all([
            make_node("n4", state=NodeState.DRAINING), make_node("n5", broken_until=later, finding="disk-full"), make_node("n6", memory_bytes=1),
            make_node("n7", abilities={"checkpointing": False}), make_node("n8", abilities={"arch": "i686"}),
        ])  # fmt: skip
    change(fleet, "n1", abilities={"arch": "x86_64"})
    with pytest.raises(error) as refused:
        fleet.submit(kind.model_validate({"ctid": 1001, "to": "n2"} | given))
    assert sentence in str(refused.value)
    assert holds(fleet) == []


def test_a_stopped_container_moves_offline_and_one_of_a_draining_node_moves_away(fleet: Fleet) -> None:
    fleet.container(1001, standing=Standing.SUSPENDED)
    fleet.container(1002)
    change(fleet, "n1", state=NodeState.DRAINING)
    assert fleet.submit(move(mode="online-else-offline")).job.to_node == "n2"
    assert fleet.submit(move(1002)).job.to_node == "n2"
    fleet.worker()
    with fleet.database.write() as session:
        session.get_one(Worker, "w1").slots = {"migrate": 4}
    assert fleet.go_round().dispatched == 2


def test_one_container_is_moved_once_at_a_time(fleet: Fleet) -> None:
    fleet.container(1001)
    first = fleet.submit(move()).job
    with pytest.raises(Refusal, match=f"job {first.id} moves container 1001 to n2 already"):
        fleet.submit(move(to="n3"))


def test_a_check_stands_in_nobodys_way_and_keeps_nothing(fleet: Fleet) -> None:
    fleet.container(1001)
    job = fleet.submit(CheckMigration(ctid=1001)).job
    assert (job.ctid, job.node, job.to_node) == (None, "n1", "n2")
    assert holds(fleet) == []


def test_a_termination_makes_a_waiting_move_pointless(fleet: Fleet) -> None:
    fleet.container(1001)
    moving = fleet.submit(move()).job
    fleet.submit(TerminateContainer(ctid=1001))
    assert fleet.job(moving.id).state == State.CANCELLED
    assert holds(fleet) == []


def test_at_its_end_the_row_is_the_other_nodes_and_so_is_what_waits_behind_it(fleet: Fleet) -> None:
    fleet.container(1001)
    with fleet.database.write() as session:
        session.add(make_plan("large", ram_bytes=4 * GIB, disk_bytes=8 * GIB))
    moving, stop = fleet.submit(move()).job, fleet.submit(StopContainer(ctid=1001)).job
    grow = fleet.submit(ResizeContainer(ctid=1001, plan="large")).job
    with fleet.database.write() as session:
        job = session.get_one(Job, moving.id)
        job.state = State.RUNNING
        job.move(Cause.FINISHED, now=fleet.clock.now())
        keep(session, job, now=fleet.clock.now())
    assert fleet.row(1001).node == "n2"
    assert (fleet.job(stop.id).node, fleet.job(grow.id).node) == ("n2", "n2")
    assert [(hold.job_id, hold.node) for hold in holds(fleet)] == [(grow.id, "n2")]


def test_a_move_that_failed_leaves_the_row_where_it_was(fleet: Fleet) -> None:
    fleet.container(1001)
    moving = fleet.submit(move()).job
    with fleet.database.write() as session:
        give_back(session, session.get_one(Job, moving.id), now=fleet.clock.now())
    assert fleet.row(1001).node == "n1"
    assert holds(fleet) == []


def test_a_move_with_a_window_is_due_when_it_opens(fleet: Fleet) -> None:
    fleet.container(1001)
    now = fleet.clock.now()
    assert now.hour == 12
    job = fleet.submit(move(window="14:00-16:00", zone="Europe/Berlin")).job  # an hour ahead in winter: 13:00 to 15:00 UTC
    assert (job.due_at - now) % timedelta(hours=24) <= timedelta(hours=2)
    assert job.deadline == job.due_at + job.rules.deadline
    assert move(window="00:00-24:00").opens_at(now) is None


@pytest.mark.parametrize("given", [{"window": "sometimes"}, {"window": "25:00-26:00"}, {"window": "01:00-02:00", "zone": "Mars/Base"}])
def test_a_window_that_is_none_is_no_order(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        move(**given)
