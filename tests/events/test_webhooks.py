"""Webhooks: each event once per hook, in order per subject, signed, retried, never aimed at the inside."""

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network

import pytest
from sqlmodel import col, select

from models.hooks import Delivery, Webhook
from models.jobs import Job
from producers.jobs import cancel
from producers.refusals import BadOrder
from producers.webhooks.aim import BadAimError, aim
from producers.webhooks.deliver import Deliverer
from producers.webhooks.manage import Asked, Wish, make, ping, redeliver, replay, turn_secret
from tests.engine.conftest import House
from tests.events.conftest import Receiver

LOOPBACK = [ip_network("127.0.0.0/8")]


@pytest.fixture
def deliverer(house: House) -> Iterator[Deliverer]:
    deliverer = Deliverer(house.database, house.vault, house.clock, networks=LOOPBACK, rng=random.Random(1))
    yield deliverer
    deliverer.close()


def hook(house: House, url: str, *, events: tuple[str, ...] = (), hook_id: str = "hook-1") -> str:
    with house.database.write() as session:
        _, secret = make(session, house.vault, Wish(url, events), asked(house), hook_id=hook_id, networks=LOOPBACK)
    return secret


def asked(house: House) -> Asked:
    return Asked("me", house.clock.now(), "test")


def a_cancelled_job(house: House) -> Job:
    job = house.order()
    with house.database.write() as session:
        row = session.get(Job, job.id)
        assert row is not None
        cancel(house.database, session, row, by="me", because="test")
    house.go_round()  # numbers the events
    return job


def bodies(receiver: Receiver) -> list[dict[str, object]]:
    return [json.loads(body) for _, body in receiver.came]


def test_the_end_of_a_job_is_told_once_and_signed(house: House, deliverer: Deliverer, receiver: Receiver) -> None:
    secret = hook(house, receiver.url)
    job = a_cancelled_job(house)
    assert [deliverer.run_once() for _ in range(3)] == [1, 0, 0]
    headers, body = receiver.came[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    assert headers["webhook-signature"] == "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    told = bodies(receiver)[0]
    assert (told["type"], told["subject"], told["sequence"]) == ("job.withdrawn", f"container:{job.ctid}", 1)


def test_what_happened_before_the_hook_was_made_is_not_told(house: House, deliverer: Deliverer, receiver: Receiver) -> None:
    a_cancelled_job(house)
    hook(house, receiver.url)
    assert deliverer.run_once() == 0


def test_a_failing_receiver_is_asked_again_later_and_the_log_keeps_why(house: House, deliverer: Deliverer, receiver: Receiver) -> None:
    hook(house, receiver.url)
    a_cancelled_job(house)
    receiver.says = [500]
    assert deliverer.run_once() == 1
    assert deliverer.run_once() == 0
    with house.database.read() as session:
        row = session.exec(select(Delivery)).one()
        assert (row.state, row.status, row.error) == ("waiting", 500, "answered 500")
    house.clock.pass_(10)
    assert deliverer.run_once() == 1
    with house.database.read() as session:
        assert session.exec(select(Delivery)).one().state == "delivered"


def test_one_subjects_events_keep_their_order_over_a_failure(house: House, deliverer: Deliverer, receiver: Receiver) -> None:
    hook(house, receiver.url, events=("accepted", "withdrawn"))
    receiver.says = [503]
    a_cancelled_job(house)
    deliverer.run_once()
    house.clock.pass_(10)
    for _ in range(3):
        deliverer.run_once()
    assert [(told["type"], told["sequence"]) for told in bodies(receiver)] == [("job.accepted", 1), ("job.accepted", 1), ("job.withdrawn", 2)]


def test_another_subject_does_not_wait_behind_a_failing_one(house: House, deliverer: Deliverer, receiver: Receiver) -> None:
    hook(house, receiver.url)
    first = a_cancelled_job(house)
    receiver.says = [500]
    deliverer.run_once()
    second = a_cancelled_job(house)
    deliverer.run_once()
    assert [told["data"]["job"] for told in bodies(receiver)] == [first.id, second.id]  # type: ignore[index]


def test_nobody_is_asked_for_ever(house: House, deliverer: Deliverer, receiver: Receiver) -> None:
    hook(house, receiver.url)
    a_cancelled_job(house)
    house.clock.pass_(timedelta(days=4))
    receiver.says = [500]
    deliverer.run_once()
    with house.database.read() as session:
        assert session.exec(select(Delivery)).one().state == "given-up"


def test_a_turned_secret_loses_nothing(house: House, deliverer: Deliverer, receiver: Receiver) -> None:
    hook(house, receiver.url)
    with house.database.write() as session:
        row = session.get(Webhook, "hook-1")
        assert row is not None
        turn_secret(session, house.vault, row, asked(house))
    a_cancelled_job(house)
    deliverer.run_once()
    assert len(receiver.came[0][0]["webhook-signature"].split()) == 2


def test_a_replay_tells_the_same_again_under_the_same_numbers(house: House, deliverer: Deliverer, receiver: Receiver) -> None:
    hook(house, receiver.url)
    a_cancelled_job(house)
    deliverer.run_once()
    with house.database.write() as session:
        row = session.get(Webhook, "hook-1")
        assert row is not None
        assert replay(session, row, 1, asked(house)) == 1
    deliverer.run_once()
    deliverer.run_once()
    first, again = bodies(receiver)
    assert first == again
    with house.database.write() as session:
        redeliver(session, session.get_one(Webhook, "hook-1"), session.exec(select(Delivery.id)).one() or 0, asked(house))
    assert deliverer.run_once() == 1


def test_a_ping_is_signed_sent_once_and_tells_of_no_event(house: House, deliverer: Deliverer, receiver: Receiver) -> None:
    hook(house, receiver.url)
    receiver.says = [200, 500]
    for _ in range(2):
        with house.database.write() as session:
            ping(session, session.get_one(Webhook, "hook-1"), asked(house))
        assert deliverer.run_once() == 1
    house.clock.pass_(timedelta(days=1))
    assert deliverer.run_once() == 0
    assert [(told["type"], told["subject"], told["sequence"]) for told in bodies(receiver)] == [("ping", "ping", 1), ("ping", "ping", 2)]
    assert all(headers["webhook-signature"].startswith("v1,") for headers, _ in receiver.came)
    with house.database.read() as session:
        rows = session.exec(select(Delivery).order_by(col(Delivery.id))).all()
        assert [(row.event, row.state, row.error) for row in rows] == [(-1, "delivered", ""), (-2, "given-up", "answered 500")]


def test_a_replay_sends_no_ping_again(house: House, deliverer: Deliverer, receiver: Receiver) -> None:
    hook(house, receiver.url)
    with house.database.write() as session:
        ping(session, session.get_one(Webhook, "hook-1"), asked(house))
    deliverer.run_once()
    with house.database.write() as session:
        assert replay(session, session.get_one(Webhook, "hook-1"), 1, asked(house)) == 0


def test_two_deliverers_post_each_delivery_once(house: House, deliverer: Deliverer, receiver: Receiver) -> None:
    hook(house, receiver.url)
    for _ in range(3):
        a_cancelled_job(house)
    other = Deliverer(house.database, house.vault, house.clock, networks=LOOPBACK)
    deliverer.run_once()
    other.run_once()
    other.close()
    with house.database.read() as session:
        assert [row.attempts for row in session.exec(select(Delivery).order_by(col(Delivery.id))).all()] == [1, 1, 1]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://hook.example/x", "10.0.0.1"),
        ("http://hook.example/x", "127.0.0.1"),
        ("https://hook.example/x", "169.254.169.254"),
        ("https://hook.example/x", "::1"),
        ("https://hook.example/x", "::ffff:192.168.1.1"),
        ("https://hook.example/x", "fe80::1"),
        ("https://hook.example/x", "0.0.0.0"),  # noqa: S104
    ],
)
def test_the_inside_is_no_target(url: str, address: str) -> None:
    with pytest.raises(BadAimError, match="internal"):
        aim(url, [], resolve=lambda _host, _port: [address])


def test_one_internal_address_among_others_is_enough_to_refuse() -> None:
    with pytest.raises(BadAimError):
        aim("https://hook.example/", [], resolve=lambda _host, _port: ["93.184.216.34", "10.0.0.1"])


def test_the_post_goes_to_the_very_address_that_was_checked() -> None:
    target = aim("https://hook.example:8443/a?b=c", [], resolve=lambda _host, _port: ["93.184.216.34"])
    assert (target.url, target.host) == ("https://93.184.216.34:8443/a?b=c", "hook.example:8443")


@pytest.mark.parametrize("url", ["ftp://hook.example/", "https://user:pw@hook.example/", "nonsense", "http://"])
def test_odd_urls_are_refused(url: str) -> None:
    with pytest.raises(BadAimError):
        aim(url, [], resolve=lambda _host, _port: ["93.184.216.34"])


def test_unknown_events_are_refused_by_name(house: House) -> None:
    with pytest.raises(BadOrder, match="exploded"):
        hook(house, "http://127.0.0.1:1/", events=("exploded",))
