"""Accepting an order: once per key, whole or not at all, also when many come at the same moment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlmodel import col, func, select

from models.fleet import Address, Container, Plan, Pool
from models.house import Secret
from models.jobs import Event, Job
from models.orders import CreateContainer
from producers.intake import Accepted
from producers.refusals import BadOrder, KeyReused, NoRoom
from tests.engine.conftest import House
from tests.factories import TEMPLATES


def create(**given: object) -> CreateContainer:
    return CreateContainer.model_validate({"plan": "small", "template": TEMPLATES[0], "hostname": "web"} | given)


def at_once(work: Callable[[int], object], times: int) -> list[object]:
    def guarded(number: int) -> object:
        try:
            return work(number)
        except Exception as error:  # noqa: BLE001 - an outcome like any other
            return error

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(guarded, range(times)))


def count(house: House, table: type) -> int:
    with house.database.read() as session:
        return session.exec(select(func.count()).select_from(table)).one()


def test_the_same_key_and_order_give_the_same_job(house: House) -> None:
    first, again = house.submit(create(), key="k"), house.submit(create(), key="k")
    assert (again.job.id, again.replay, first.replay) == (first.job.id, True, False)
    assert count(house, Container) == 1


def test_a_hundred_identical_orders_at_once_make_one_job(house: House) -> None:
    outcomes = at_once(lambda _: house.submit(create(), key="k"), 100)
    accepted = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
    assert len(accepted) == 100, [outcome for outcome in outcomes if not isinstance(outcome, Accepted)][:3]
    assert len({one.job.id for one in accepted}) == 1
    assert (count(house, Job), count(house, Container), count(house, Address), count(house, Event)) == (1, 1, 1, 1)


def test_the_same_key_with_another_order_is_refused_and_names_the_fields(house: House) -> None:
    house.submit(create(password="first-secret"), key="k")
    with pytest.raises(KeyReused) as other_name:
        house.submit(create(hostname="other", password="first-secret"), key="k")
    assert other_name.value.fields == ["hostname"]
    with pytest.raises(KeyReused) as other_password:
        house.submit(create(password="other-secret"), key="k")
    assert other_password.value.fields == ["password"]
    assert count(house, Job) == 1


def test_twenty_orders_at_once_get_twenty_ids_and_addresses(house: House) -> None:
    outcomes = at_once(lambda number: house.submit(create(hostname=f"h{number}")), 20)
    jobs = [outcome.job for outcome in outcomes if isinstance(outcome, Accepted)]
    assert len({job.ctid for job in jobs}) == 20
    assert count(house, Address) == 20


def test_the_last_address_goes_to_one_of_two(house: House) -> None:
    with house.database.write() as session:
        pool = session.get(Pool, "public")
        assert pool is not None
        pool.last = pool.first
    outcomes = at_once(lambda _: house.submit(create()), 2)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Accepted", "NoRoom"]


@pytest.mark.parametrize(
    ("given", "field"),
    [({"plan": "huge"}, "plan"), ({"template": "beos"}, "template"), ({"node": "n9"}, "node"), ({"pool": "none"}, "pool")],
)
def test_what_can_never_work_is_refused_and_nothing_is_written(house: House, given: dict[str, str], field: str) -> None:
    with pytest.raises(BadOrder) as refused:
        house.submit(create(**given))
    assert list(refused.value.problems) == [field]
    assert (count(house, Job), count(house, Container), count(house, Address)) == (0, 0, 0)


def test_no_room_is_refused_with_the_reason_of_each_node_and_nothing_is_written(house: House) -> None:
    with house.database.write() as session:
        plan = session.get(Plan, "small")
        assert plan is not None
        plan.ram_bytes = 1 << 50
    with pytest.raises(NoRoom) as refused:
        house.submit(create())
    assert "memory" in refused.value.reasons["n1"]
    assert (count(house, Job), count(house, Container), count(house, Address)) == (0, 0, 0)


def test_a_password_is_nowhere_in_the_rows_but_sealed(house: House) -> None:
    job = house.submit(create(password="hunter2-hunter2")).job
    with house.database.read() as session:
        sealed = session.exec(select(Secret).where(col(Secret.job_id) == job.id)).one().sealed
        written = [str(row) for table in (Job, Event, Container, Secret) for row in session.exec(select(table)).all()]
    assert house.vault.open(sealed) == "hunter2-hunter2"
    assert not any("hunter2" in row for row in written)


def test_an_id_given_by_an_order_is_not_given_out_to_the_next_one_of_the_same_transaction(house: House) -> None:
    with house.database.write() as session:
        given = [house.intake.submit(session, asking(ctid), by="me", key=f"k{at}").job.ctid for at, ctid in enumerate((1002, None, None, None))]
        again = house.intake.submit(session, asking(1002), by="me", key="k0")
    assert (given, again.replay) == ([1002, 1001, 1003, 1004], True)


def asking(ctid: int | None) -> CreateContainer:
    return CreateContainer(plan="small", template=TEMPLATES[0], hostname="h", ctid=ctid)
