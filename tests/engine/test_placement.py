"""Where a container goes and why not elsewhere; addresses that rest; capacity that is kept while a container grows."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlmodel import select

from models.fleet import Address, Container, Hold, Node, Plan, Pool
from models.jobs import Job
from models.orders import AddAddress, CreateContainer, RemoveAddress, ResizeContainer
from models.reservations import keep
from producers.jobs import cancel
from producers.placement import Need, Room, fullness, objection, place
from producers.refusals import BadOrder, NoRoom, Refusal
from tests.engine.conftest import House
from tests.factories import GIB, TEMPLATES, make_node, make_plan, make_pool

MIB = 1 << 20


def room(name: str = "n1", **given: object) -> Room:
    fields: dict[str, object] = {
        "memory_bytes": 8 * GIB,
        "memory_taken": 0,
        "disk_bytes": 100 * GIB,
        "disk_taken": 0,
        "templates": frozenset({"debian"}),
    }
    return Room(name, **(fields | given))  # type: ignore[arg-type]


NEED = Need(GIB, 10 * GIB, "debian")


@pytest.mark.quick
@pytest.mark.parametrize(
    ("need", "given", "why"),
    [
        (NEED, {"closed": "draining"}, "draining"),
        (NEED, {"templates": frozenset()}, "template"),
        (NEED, {"memory_taken": 8 * GIB}, "memory"),
        (NEED, {"disk_taken": 90 * GIB}, "disk"),
        (Need(GIB, GIB, "debian", node="n2"), {}, "names n2"),
        (Need(GIB, GIB, "debian", require={"disk": "ssd"}), {"labels": {"disk": "hdd"}}, "disk=ssd"),
        (Need(GIB, GIB, "debian", spread=True), {"same_customer": 1}, "customer"),
        (Need(GIB, GIB, "debian", dialect="prlctl"), {"dialect": "vzctl"}, "has the tools of vzctl, the order wants prlctl"),
        (Need(GIB, GIB, "debian", kernel="2.6.3"), {"kernel": "2.6.32-042stab145.3"}, "runs kernel 2.6.32-042stab145.3, the order wants 2.6.3"),
        (Need(GIB, GIB, "debian", kernel="2.6.32"), {}, "runs kernel nobody knows which"),
        (NEED, {"containers": 5, "containers_max": 5}, "5 containers"),
    ],
)
def test_each_refused_node_is_told_why(need: Need, given: dict[str, object], why: str) -> None:
    with pytest.raises(NoRoom) as refused:
        place(need, [room(**given)])
    assert why in refused.value.reasons["n1"]


@pytest.mark.quick
def test_the_least_full_node_is_taken_and_the_others_are_told_why_not() -> None:
    placement = place(NEED, [room("full", memory_taken=6 * GIB), room("empty"), room("closed", closed="draining")])
    assert placement.node == "empty"
    assert set(placement.others) == {"full", "closed"}


@pytest.mark.quick
def test_a_customers_containers_keep_away_from_each_others_failure_domain() -> None:
    rooms = [room("near", same_domain=1), room("far", memory_taken=4 * GIB)]
    assert place(Need(GIB, GIB, "debian", spread=True), rooms).node == "far"
    assert place(Need(GIB, GIB, "debian"), rooms).node == "near"


@pytest.mark.quick
@settings(max_examples=200, deadline=None)
@given(st.lists(st.builds(room, st.text("abc", min_size=1, max_size=3), memory_taken=st.integers(0, 9).map(lambda g: g * GIB)), max_size=6))
def test_no_node_is_ever_filled_beyond_what_it_has(rooms: list[Room]) -> None:
    if all(objection(NEED, one) for one in rooms):
        with pytest.raises(NoRoom):
            place(NEED, rooms)
        return
    placement = place(NEED, rooms)
    assert any(one.node == placement.node and fullness(NEED, one) <= 1 and not objection(NEED, one) for one in rooms)


def add(house: House, *rows: object) -> None:
    with house.database.write() as session:
        session.add_all(rows)


def done(house: House, job: Job) -> None:
    """As if a worker had finished it."""
    with house.database.write() as session:
        row = session.get(Job, job.id)
        assert row is not None
        row.state = "done"  # type: ignore[assignment]
        keep(session, row, now=house.clock.now())


def test_spread_puts_a_customers_containers_on_different_nodes(house: House) -> None:
    add(house, make_node("n2"), make_node("n3"))
    nodes = {house.order(customer="acme", spread=True).node for _ in range(3)}
    assert nodes == {"n1", "n2", "n3"}
    with pytest.raises(NoRoom):
        house.order(customer="acme", spread=True)
    assert house.order(customer="other", spread=True).node


def test_required_labels_pick_the_node(house: House) -> None:
    add(house, make_node("fast", labels={"disk": "ssd"}))
    assert house.order(require={"disk": "ssd"}).node == "fast"
    with pytest.raises(NoRoom, match="disk=nvme"):
        house.order(require={"disk": "nvme"})


def test_kernel_and_tools_that_an_order_wishes_for_pick_the_node(house: House) -> None:
    abilities = {"templates": [*TEMPLATES], "ctids": [], "version": "4.11"}
    add(house, make_node("old", abilities=abilities | {"kernel": "2.6.32-042stab145.3"}), make_node("seven", dialect="prlctl"))
    assert house.order(kernel="2.6.32").node == "old"
    assert house.order(kernel="2.6.32-042stab145").node == "old"
    assert house.order(dialect="prlctl").node == "seven"
    with pytest.raises(NoRoom) as refused:
        house.order(kernel="2.6.32", dialect="prlctl")
    assert refused.value.reasons.keys() == {"n1", "old", "seven"}
    assert "the order wants prlctl" in refused.value.reasons["old"]
    assert "the order wants 2.6.32" in refused.value.reasons["seven"]


def pools_of(house: House, job: Job) -> list[str]:
    with house.database.read() as session:
        return sorted(session.exec(select(Address.pool).where(Address.ctid == job.ctid)).all())


def test_addresses_of_both_families_come_in_one_order(house: House) -> None:
    add(house, make_pool("six", cidr="2001:db8::/64", first="2001:db8::1", last="2001:db8::2", nameservers=["2001:db8::53"], probe="none"))
    both = house.order(ipv4=2, ipv6=1)
    assert pools_of(house, both) == ["public", "public", "six"]
    with house.database.read() as session:
        container = session.get_one(Container, both.ctid)
        assert (container.probe, container.nameservers) == ("tcp:7000", ["2001:db8::53"])
    assert pools_of(house, house.order(ipv6=1)) == ["six"]


def test_one_address_that_is_lacking_refuses_them_all(house: House) -> None:
    add(house, make_pool("six", cidr="2001:db8::/64", first="2001:db8::1", last="2001:db8::1"))
    house.order(ipv4=1, ipv6=1)
    with pytest.raises(NoRoom, match="no free IPv6 address") as refused:
        house.order(ipv4=1, ipv6=1)
    assert refused.value.reasons.keys() == {"six"}
    with house.database.read() as session:
        assert len(session.exec(select(Address)).all()) == 2


def test_several_pools_give_an_address_each_and_nobody_elses_pool_does(house: House) -> None:
    add(house, make_pool("two", cidr="127.80.0.0/30", first="127.80.0.1", last="127.80.0.2"))
    add(house, make_pool("away", cidr="127.81.0.0/30", first="127.81.0.1", last="127.81.0.2", site="fra1"))
    assert pools_of(house, house.order(pools=("two", "public"))) == ["public", "two"]
    assert pools_of(house, house.order(pools=("two", "public"), ipv4=2)) == ["public", "two"]  # "two" had one left
    with pytest.raises(BadOrder, match="of site fra1"):
        house.order(pools=("two", "away"))
    with pytest.raises(BadOrder, match="no pool 'three'; known: public, two"):
        house.order(pool="three")


@pytest.mark.quick
@pytest.mark.parametrize("fields", [{"pool": "a", "pools": ["b"]}, {"ipv4": 0}, {"ipv4": 0, "ipv6": 0}, {"ipv6": 17}, {"ipv4": True}])
def test_wishes_for_addresses_that_contradict_themselves_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CreateContainer.model_validate({"plan": "small", "template": "t", "hostname": "h"} | fields)


def test_one_more_address_of_the_other_family(house: House) -> None:
    add(house, make_pool("six", cidr="2001:db8::/64", first="2001:db8::1", last="2001:db8::2", rank=-1))
    create = house.order()
    done(house, create)
    done(house, house.submit(AddAddress(ctid=create.ctid, family="ipv6")).job)  # type: ignore[arg-type]
    assert pools_of(house, create) == ["public", "six"]


def test_pools_with_a_higher_rank_are_used_first_and_then_the_others(house: House) -> None:
    add(house, make_pool("small", cidr="127.80.0.0/30", first="127.80.0.1", last="127.80.0.1", rank=5))
    with house.database.read() as session:
        ctids = [house.order().ctid for _ in range(2)]
        pools = [session.exec(select(Address.pool).where(Address.ctid == ctid)).one() for ctid in ctids]
    assert pools == ["small", "public"]


def test_an_ipv6_pool_gives_out_addresses_too(house: House) -> None:
    add(house, make_pool("six", cidr="2001:db8::/64", first="2001:db8::1", last="2001:db8::ffff", rank=9))
    job = house.order()
    with house.database.read() as session:
        assert session.exec(select(Address.address).where(Address.ctid == job.ctid)).all() == ["2001:db8::1"]


def test_an_address_rests_before_it_is_given_out_again(house: House) -> None:
    with house.database.write() as session:
        pool = session.get(Pool, "public")
        assert pool is not None
        pool.first, pool.last, pool.rest_s = "127.64.0.1", "127.64.0.2", 600
    create = house.order()
    done(house, create)
    added = house.submit(AddAddress(ctid=create.ctid)).job  # type: ignore[arg-type]
    done(house, added)
    done(house, house.submit(RemoveAddress(ctid=create.ctid, address="127.64.0.1")).job)  # type: ignore[arg-type]
    with pytest.raises(NoRoom, match="at rest"):
        house.order()
    house.clock.pass_(timedelta(seconds=601))
    assert house.order().ctid


def test_the_last_address_stays(house: House) -> None:
    create = house.order()
    done(house, create)
    with pytest.raises(Refusal, match="last address"):
        house.submit(RemoveAddress(ctid=create.ctid, address="127.64.0.1"))  # type: ignore[arg-type]


def test_what_a_container_grows_by_is_kept_until_its_job_ends(house: House) -> None:
    with house.database.write() as session:
        node = session.get(Node, "n1")
        assert node is not None
        node.memory_bytes = 3 * GIB
        session.add_all([make_plan("big", ram_bytes=2 * GIB), make_plan("two", ram_bytes=2 * GIB)])
    create = house.order()
    done(house, create)
    resize = house.submit(ResizeContainer(ctid=create.ctid, plan="big")).job  # type: ignore[arg-type]
    with pytest.raises(NoRoom):
        house.order(plan="two")
    with house.database.write() as session:
        row = session.get(Job, resize.id)
        assert row is not None
        cancel(house.database, session, row, by="me", because="")
    with house.database.read() as session:
        assert session.exec(select(Hold)).all() == []
    assert house.order(plan="two").node == "n1"


def test_a_plan_that_is_changed_later_changes_no_container(house: House) -> None:
    job = house.order()
    with house.database.write() as session:
        plan = session.get(Plan, "small")
        assert plan is not None
        plan.ram_bytes = 7 * MIB
    with house.database.read() as session:
        container = session.get(Container, job.ctid)
        assert container is not None
        assert container.ram_bytes == GIB // 4


def test_a_file_of_orders_in_one_transaction_never_overfills_a_node(house: House) -> None:
    with house.database.write() as session:
        node = session.get(Node, "n1")
        assert node is not None
        node.memory_bytes = GIB
    order = CreateContainer(plan="small", template=TEMPLATES[0], hostname="h")
    with house.database.write() as session:
        for number in range(4):
            house.intake.submit(session, order, by="me", key=str(number))
        with pytest.raises(NoRoom):
            house.intake.submit(session, order, by="me", key="one too many")
