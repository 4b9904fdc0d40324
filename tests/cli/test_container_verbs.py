"""`vzq container VERB CTID…`: every order about a container has its command, and all or none of them are placed."""

import pytest
from sqlmodel import col, select

from models.database import Database
from models.fleet import Container, ContainerState
from models.jobs import Job
from models.orders import VERB_ORDERS
from models.standing import Standing
from tests.cli.conftest import Vzq, rows
from tests.factories import GIB
from tests.stand_ins import NOON

VERBS = [str(order.model_fields["kind"].default) for order in VERB_ORDERS]
NEEDED = {
    "resize": ("--plan", "medium"), "set-hostname": ("--hostname", "b.example"), "set-nameservers": ("--nameserver", "127.0.0.1"),
    "rename": ("--name", "web"), "remove-address": ("--address", "127.64.0.1"), "set-password": ("--password-stdin",),
}  # fmt: skip


@pytest.fixture
def two(fleet: Database) -> Database:
    """A fleet with two running containers."""
    with fleet.write() as session:
        for ctid in (101, 102):
            session.add(Container(ctid=ctid, node="n1", site="main", state=ContainerState.PRESENT, since=NOON, plan="small", hostname="a.example",
                                  template="debian-12-x86_64-minbase", ram_bytes=GIB // 4, disk_bytes=2 * GIB, cpus=1))  # fmt: skip
    return fleet


def orders_in(database: Database) -> list[dict[str, object]]:
    with database.read() as session:
        return [job.order for job in session.exec(select(Job).order_by(col(Job.id)))]


@pytest.mark.parametrize(
    "verb", [verb.removesuffix("-container") for verb in VERBS if verb not in ("purge-container", "remove-address", "update-container")]
)
def test_each_verb_places_its_order(vzq: Vzq, two: Database, verb: str) -> None:
    result = vzq("container", verb, "101", *NEEDED.get(verb, ()), "--because", "ticket 7", given="S3cret-pw\n")
    assert result.exit_code == 0, result.stderr
    assert len(result.stdout.split()) == 1
    [order] = orders_in(two)
    assert order["kind"] in (verb, f"{verb}-container")
    assert order["ctid"] == 101
    assert "S3cret" not in str(order)


def test_several_containers_are_several_jobs(vzq: Vzq, two: Database) -> None:
    said = rows(vzq("container", "stop", "101", "102", "101", "--fast", "--json"))
    assert [one["ctid"] for one in said] == [101, 102]
    assert [order["fast"] for order in orders_in(two)] == [True, True]


def test_all_or_none_are_placed(vzq: Vzq, two: Database) -> None:
    result = vzq("container", "stop", "101", "999")
    assert (result.exit_code, "there is no container 999" in result.stderr) == (2, True)
    assert orders_in(two) == []


def test_a_refusal_says_what_to_do_first(vzq: Vzq, two: Database) -> None:
    with two.write() as session:
        container = session.get(Container, 101)
        assert container is not None
        container.standing = Standing.SUSPENDED
        session.add(container)
    result = vzq("container", "start", "101")
    assert (result.exit_code, "unsuspend it first" in result.stderr) == (3, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("start", "100"), "101"),
        (("start",), "CTID"),
        (("resize", "101"), "--plan"),
        (("set-hostname", "101", "--hostname", "a;b"), "--hostname"),
        (("set-password", "101"), "password"),
        (("stop", "101", "102", "--key", "k"), "--key"),
        (("terminate", "101", "--grace-hours", "-1"), "--grace-hours"),
    ],
)
def test_bad_words_are_named(vzq: Vzq, two: Database, words: tuple[str, ...], said: str) -> None:
    result = vzq("container", *words)
    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr
    assert orders_in(two) == []


def test_a_password_is_not_taken_from_the_command_line(vzq: Vzq, two: Database) -> None:
    assert vzq("container", "set-password", "101", "--password", "S3cret-pw").exit_code == 2


def test_no_grace_is_a_grace_of_nothing(vzq: Vzq, two: Database) -> None:
    assert vzq("container", "terminate", "101", "--grace-hours", "0").exit_code == 0
    assert orders_in(two)[0]["grace_hours"] == 0


def test_what_would_be_upgraded_is_not_waited_for_longer_than_asked(vzq: Vzq, two: Database) -> None:
    late = vzq("container", "updates", "101", "--timeout", "0")
    assert (late.exit_code, "container 101 has not answered in time" in late.stderr) == (5, True), late
    assert [order["kind"] for order in orders_in(two)] == ["check-update"]


def test_a_zone_without_its_window_begins_no_move(vzq: Vzq, two: Database) -> None:
    done = vzq("migrate", "101", "n1", "--zone", "Europe/Berlin")
    assert (done.exit_code, done.stderr) == (2, "vzq: --zone: is that of a --window; give both or none\n")
