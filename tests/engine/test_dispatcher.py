"""A round of the dispatcher: slots are kept, lost messages ring again, dead workers' jobs go on, tokens only grow."""

from datetime import timedelta

from sqlalchemy import event as sa_event
from sqlmodel import col, select

from models.fleet import Node, NodeState, Pool
from models.jobs import Event
from models.kinds import CRASHES_OF_POISON
from models.lifecycle import Cause, State
from models.orders import CreateContainer
from producers.dispatcher import DISPATCH_LEASE, Dispatcher
from producers.why import why
from tests.engine.conftest import House
from tests.factories import TEMPLATES, make_job, make_node
from workers.claims import LEASE


def causes(house: House, job_id: str) -> list[Cause]:
    with house.database.read() as session:
        return [event.cause for event in session.exec(select(Event).where(Event.job_id == job_id).order_by(col(Event.id))).all()]


def test_no_more_jobs_go_to_a_node_than_it_has_slots(house: House) -> None:
    house.worker()
    jobs = [house.order() for _ in range(5)]
    assert house.go_round().dispatched == 2
    other = Dispatcher(house.database, house.bell, house.clock, name="other")  # type: ignore[arg-type]
    assert other.go_round().dispatched == 0
    assert sorted(house.job(job.id).state for job in jobs) == [State.DISPATCHED] * 2 + [State.QUEUED] * 3


def test_without_a_worker_nothing_is_sent_and_the_reason_says_so(house: House) -> None:
    job = house.order()
    assert house.go_round().dispatched == 0
    with house.database.read() as session:
        assert "vzq worker --site main" in next(reason.text for reason in why(house.database, session, job) if reason.code == "worker")


def test_tokens_only_grow(house: House) -> None:
    house.worker()
    jobs = [house.check() for _ in range(3)]
    house.go_round()
    tokens = [house.job(job.id).token for job in jobs]
    assert tokens == sorted(set(tokens))
    assert min(tokens) > 0


def test_a_lost_message_is_sent_again_under_a_new_token(house: House) -> None:
    house.worker()
    house.bell.deaf = True
    job = house.check()
    house.go_round()
    before = house.job(job.id).token
    house.clock.pass_(DISPATCH_LEASE + timedelta(seconds=1))
    house.bell.deaf = False
    house.worker()
    house.go_round()
    assert causes(house, job.id) == [Cause.ACCEPTED, Cause.DISPATCHED, Cause.UNCLAIMED, Cause.DISPATCHED]
    assert house.bell.rung == [(job.id, house.job(job.id).token)]
    assert house.job(job.id).token > before


def test_a_dead_workers_job_waits_again_until_it_counts_as_poison(house: House) -> None:
    house.worker()
    job = house.check()
    for death in range(1, CRASHES_OF_POISON + 1):
        house.worker()
        house.go_round()
        claims = house.claims(f"w{death}")
        claims._solo = death > 1
        assert house.claim(claims, job.id) is not None
        house.clock.pass_(LEASE + timedelta(seconds=1))
        house.worker()
        house.go_round()
    stuck = house.job(job.id)
    assert (stuck.state, stuck.crashes) == (State.STUCK, CRASHES_OF_POISON)
    assert Cause.LOST in causes(house, job.id)
    assert causes(house, job.id)[-1] is Cause.POISONED
    assert f"w{CRASHES_OF_POISON}" in stuck.error


def test_after_the_database_was_away_workers_may_renew_before_they_count_as_dead(house: House) -> None:
    house.worker()
    job = house.check()
    house.go_round()
    house.claim(house.claims(), job.id)
    house.clock.pass_(LEASE + timedelta(seconds=1))
    house.dispatcher._trust_leases_from = house.clock.monotonic() + 5
    house.go_round()
    assert house.job(job.id).state is State.RUNNING
    house.clock.pass_(6)
    house.go_round()
    assert Cause.LOST in causes(house, job.id)


def test_a_job_that_waits_past_its_deadline_ends_and_frees_its_place(house: House) -> None:
    job = house.order()
    house.clock.pass_(timedelta(hours=7))
    house.go_round()
    assert house.job(job.id).state is State.FAILED
    again = house.order(ctid=job.ctid)
    assert again.ctid == job.ctid


def test_an_order_that_waits_for_capacity_is_placed_when_there_is_some(house: House) -> None:
    with house.database.write() as session:
        pool = session.get(Pool, "public")
        assert pool is not None
        pool.last, kept = pool.first, pool.last
    house.worker()
    house.order()
    waiting = house.submit(CreateContainer(plan="small", template=TEMPLATES[0], hostname="late", wait_for_capacity=True)).job
    house.go_round()
    assert house.job(waiting.id).node is None
    with house.database.write() as session:
        pool = session.get(Pool, "public")
        assert pool is not None
        pool.last = kept
    house.clock.pass_(6)
    house.worker()
    house.go_round()
    assert house.job(waiting.id).node == "n1"
    assert Cause.PLACED in causes(house, waiting.id)


def test_a_draining_node_takes_nothing_new(house: House) -> None:
    house.worker()
    job = house.order()
    with house.database.write() as session:
        node = session.get(Node, "n1")
        assert node is not None
        node.state = NodeState.DRAINING
    assert house.go_round().dispatched == 0
    with house.database.read() as session:
        assert [reason.code for reason in why(house.database, session, job)] == ["node"]


def test_what_why_says_nothing_holds_goes_in_the_next_round(house: House) -> None:
    house.worker()
    job = house.order()
    with house.database.read() as session:
        assert why(house.database, session, job)[0].code == "service"  # no round was ever gone
    house.go_round()
    second = house.order()
    with house.database.read() as session:
        assert why(house.database, session, second) == []
    assert house.go_round().dispatched == 1
    third = house.order()
    with house.database.read() as session:
        assert [reason.code for reason in why(house.database, session, third)] == ["slot"]
    assert house.go_round().dispatched == 0


def test_a_round_asks_no_more_of_the_database_for_its_history_and_fleet(house: House) -> None:
    house.worker()

    def statements() -> int:
        heard: list[str] = []
        listener = lambda *said: heard.append(said[2])  # noqa: E731
        sa_event.listen(house.database.engine, "before_cursor_execute", listener)
        house.go_round()
        sa_event.remove(house.database.engine, "before_cursor_execute", listener)
        return len(heard)

    house.go_round()
    alone = statements()
    with house.database.write() as session:
        session.add_all(make_node(f"more-{number}") for number in range(50))
        session.add_all(make_job(state=State.DONE, now=house.clock.now()) for _ in range(300))
    assert statements() <= alone


def test_events_are_numbered_without_gaps(house: House) -> None:
    house.worker()
    for _ in range(3):
        house.check()
    house.go_round()
    house.go_round()
    with house.database.read() as session:
        assert session.exec(select(Event.number).order_by(col(Event.number))).all() == list(range(1, 7))
