"""What a look leaves in the rows, on both databases: findings open, close and open again, and no text of a node breaks a write."""

from collections.abc import Sequence

from sqlmodel import col, select

from models.database import Database
from models.findings import Finding
from models.fleet import Container, ContainerState, Node
from models.jobs import Job
from tests.drift.test_drift import CONF, JOB, OTHER, row, sight
from tests.factories import make_job, make_node, make_pool
from tests.stand_ins import ManualClock
from workers.observation import observed, unreadable
from workers.openvz.driver import Sight
from workers.openvz.vzctl import Vzctl


def fleet(database: Database, *rows: Container) -> None:
    with database.write() as session:
        session.add_all([make_node("n1"), make_node("n2"), make_pool(), *rows])


def look(database: Database, clock: ManualClock, sights: Sequence[Sight] | str, node: str = "n1") -> set[tuple[str, str]]:
    """A look of one minute later; what is open then."""
    clock.pass_(60)
    with database.write() as session:
        job = make_job("observe-node", now=clock.now(), node=node)
        session.add(job)
        session.flush()
        if isinstance(sights, str):
            unreadable(session, session.get_one(Node, node), sights, now=clock.now())
        else:
            observed(session, session.get_one(Node, node), job, sights, Vzctl(), now=clock.now())
    with database.read() as session:
        return {(one.kind, one.subject) for one in session.exec(select(Finding).where(Finding.node == node, col(Finding.gone_at).is_(None))).all()}


def test_a_finding_opens_closes_and_opens_again_as_one_row(database: Database, clock: ManualClock) -> None:
    fleet(database, row())
    assert look(database, clock, [sight(running=False)]) == {("wrong-standing", "1001")}
    with database.write() as session:
        first = session.exec(select(Finding)).one()
        first.job_id = "J"
        session.add(first)
    look(database, clock, [sight(running=False)])
    with database.read() as session:
        still = session.exec(select(Finding)).one()
        assert (still.first_seen, still.job_id) == (first.first_seen, "J")
        assert still.last_seen > first.last_seen
    assert look(database, clock, [sight(conf=CONF | {"IP_ADDRESS": ""})]) == set()
    assert look(database, clock, [sight(running=False)]) == {("wrong-standing", "1001")}
    with database.read() as session:
        again = session.exec(select(Finding)).one()
        assert (again.id, again.gone_at, again.job_id) == (first.id, None, None)
        assert again.first_seen > first.first_seen


def test_a_stranger_on_two_nodes_is_a_twin_once_both_were_looked_at(database: Database, clock: ManualClock) -> None:
    fleet(database)
    assert look(database, clock, [sight(5000)]) == {("unknown-container", "5000")}
    assert look(database, clock, [sight(5000)], "n2") == {("unknown-container", "5000"), ("twin", "5000")}
    assert ("twin", "5000") in look(database, clock, [sight(5000)])
    assert look(database, clock, [], "n2") == set()
    assert look(database, clock, [sight(5000)]) == {("unknown-container", "5000")}


def test_two_strangers_on_two_nodes_share_an_address(database: Database, clock: ManualClock) -> None:
    fleet(database)
    look(database, clock, [sight(5000)])
    assert ("shared-address", "5001") in look(database, clock, [sight(5001, conf=CONF | {"X_VZQ_JOB": OTHER})], "n2")


def test_a_row_of_another_node_makes_it_a_twin(database: Database, clock: ManualClock) -> None:
    fleet(database, row(node="n2"))
    assert ("twin", "1001") in look(database, clock, [sight()])


def test_what_cannot_be_read_closes_nothing(database: Database, clock: ManualClock) -> None:
    fleet(database, row())
    look(database, clock, [])
    assert look(database, clock, "vzlist says nothing") == {("missing-container", "1001"), ("unreadable", "n1")}
    assert look(database, clock, [sight()]) == set()


def test_an_open_or_just_ended_job_leaves_its_container_out(database: Database, clock: ManualClock) -> None:
    fleet(database, row())
    with database.write() as session:
        job = make_job("stop-container", now=clock.now(), ctid=1001)
        session.add(job)
    assert look(database, clock, []) == set()
    with database.write() as session:
        session.delete(session.get_one(Job, job.id))
    assert look(database, clock, []) == {("missing-container", "1001")}


def test_no_text_of_a_node_breaks_a_write(database: Database, clock: ManualClock) -> None:
    fleet(database, row(name="web", nameservers=["9.9.9.9"]))
    bad = "\x00\ud800\u202e'\"\\" * 50
    hostile = dict.fromkeys([*CONF, "NAME", "NAMESERVER", "OSTEMPLATE"], bad)
    kinds = {
        kind
        for kind, _ in look(database, clock, [sight(conf=hostile), sight(5000, conf=hostile), sight(5001, conf=CONF | hostile | {"X_VZQ_JOB": JOB})])
    }
    assert {"wrong-mark", "unknown-container"} <= kinds
    assert "wrong-name" in {kind for kind, _ in look(database, clock, [sight(conf=hostile | {"X_VZQ_JOB": JOB})])}


def test_a_barred_id_stays_barred_and_is_a_stranger(database: Database, clock: ManualClock) -> None:
    fleet(database, row(5000, state=ContainerState.FOREIGN))
    assert look(database, clock, [sight(5000)]) == {("unknown-container", "5000")}
    with database.read() as session:
        assert session.get_one(Node, "n1").foreign_containers == 1
        assert session.get_one(Container, 5000).state == ContainerState.FOREIGN
