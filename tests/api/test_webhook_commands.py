"""`vzq webhook` on the house itself and on one elsewhere: the same commands, the same answers, over real HTTP to a real receiver."""

import json
import threading
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any

import pytest
from sqlmodel import col, select
from typer.testing import CliRunner, Result

from models.access import Audit
from producers.cli import app
from producers.dispatcher import Dispatcher
from producers.webhooks.deliver import Deliverer
from tests.api.conftest import Api
from tests.events.conftest import Receiver, receiver  # noqa: F401 - the same receiver

Vzq = Callable[..., Result]


@pytest.fixture(params=["here", "elsewhere"])
def vzq(request: pytest.FixtureRequest, lite: Api, monkeypatch: pytest.MonkeyPatch) -> Vzq:
    monkeypatch.setenv("VZQ_WEBHOOK_NETWORKS", "127.0.0.0/8")
    monkeypatch.setenv("VZQ_STATE", str(lite.house.settings.state))
    monkeypatch.setenv("VZQ_BY", "admin")
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("VZQ_DATABASE", "VZQ_URL", "VZQ_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    if request.param == "elsewhere":
        monkeypatch.setenv("VZQ_STATE", str(lite.house.settings.state / "nothing"))
        monkeypatch.setenv("VZQ_URL", lite.url)
        monkeypatch.setenv("VZQ_TOKEN", lite.secrets["admin"])

    def call(*args: str) -> Result:
        return CliRunner().invoke(app, ["webhook", *args], prog_name="vzq")

    return call


@pytest.fixture
def deliverer(lite: Api) -> Iterator[Deliverer]:
    """As the service has one; it goes round all the time."""
    house = lite.house
    deliverer = Deliverer(house.database, house.vault, house.clock, networks=[ip_network("127.0.0.0/8")])
    stopping = threading.Event()

    def rounds() -> None:
        while not stopping.wait(0.02):
            deliverer.run_once()

    thread = threading.Thread(target=rounds)
    thread.start()
    yield deliverer
    stopping.set()
    thread.join()
    deliverer.close()


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def a_cancelled_job(lite: Api) -> None:
    job = lite.order().json()["id"]
    assert lite.post(f"/v1/jobs/{job}:cancel").status_code == 200
    Dispatcher(lite.house.database, lite.house.bell, lite.house.clock, name="test").go_round()  # numbers the events


def deliveries(vzq: Vzq, hook: str, count: int = 2, *, state: str) -> list[dict[str, Any]]:
    """The log, once it has so many lines and nothing in it is in another state."""
    while True:
        listed: list[dict[str, Any]] = told(vzq("deliveries", hook, "--json"))
        if len(listed) == count and all(one["state"] == state for one in listed):
            return listed


@pytest.mark.usefixtures("deliverer")
def test_the_whole_life_of_a_webhook(vzq: Vzq, lite: Api, receiver: Receiver) -> None:  # noqa: F811 - pytest's way
    made = told(vzq("add", receiver.url, "--because", "new shop", "--json"))
    hook = made["id"]
    assert made["secret"].startswith("whsec_")
    assert hook in vzq("list").stdout
    assert "delivered: answered 200" in vzq("ping", hook[-6:]).stdout
    a_cancelled_job(lite)
    first = deliveries(vzq, hook, state="delivered")
    assert [(one["subject"], one["sequence"]) for one in first] == [("container:1001", 1), ("ping", 1)]
    assert "goes again" in vzq("redeliver", hook, str(first[0]["id"])).stdout
    deliveries(vzq, hook, state="delivered")
    assert told(vzq("replay", hook, "1", "--json"))["waiting"] == 1
    deliveries(vzq, hook, state="delivered")
    bodies = [json.loads(body)["type"] for _, body in receiver.came]
    assert bodies == ["ping", "job.withdrawn", "job.withdrawn", "job.withdrawn"]
    turned = vzq("rotate", hook)
    assert turned.stdout.startswith("whsec_")
    assert turned.stdout.strip() != made["secret"]
    assert vzq("test", hook).exit_code == 0
    assert len(receiver.came[-1][0]["webhook-signature"].split()) == 2
    shown = told(vzq("show", hook, "--json"))
    assert (shown["url"], shown["secret"], len(shown["deliveries"])) == (receiver.url, None, 3)
    assert "removed" in vzq("remove", hook).stdout
    assert told(vzq("list", "--json")) == []
    with lite.house.database.read() as session:
        entries = session.exec(select(Audit).where(Audit.subject == hook).order_by(col(Audit.id))).all()
    actions = ["create", "ping", "redeliver", "replay", "rotate", "ping", "delete"]
    assert [entry.action for entry in entries] == [f"webhook {action}" for action in actions]
    assert {entry.by for entry in entries} == {"admin"}
    assert entries[0].because == "new shop"


@pytest.mark.usefixtures("deliverer")
def test_a_receiver_that_does_not_want_it_is_told_by_its_exit_code(vzq: Vzq, receiver: Receiver) -> None:  # noqa: F811 - as above
    hook = told(vzq("add", receiver.url, "--json"))["id"]
    receiver.says = [500]
    refused = vzq("ping", hook)
    assert (refused.exit_code, "answered 500" in refused.stderr) == (1, True)


def test_what_cannot_be_is_refused_with_the_reason(vzq: Vzq, receiver: Receiver) -> None:  # noqa: F811 - as above
    internal = vzq("add", "http://10.0.0.1/hook")
    assert (internal.exit_code, "internal address" in internal.stderr) == (2, True)
    unknown = vzq("add", receiver.url, "--event", "exploded")
    assert (unknown.exit_code, "exploded" in unknown.stderr) == (2, True)
    for command in (("show", "nobody"), ("ping", "01JD8QF3Z5X0RQ2M8B7C4E6N9T"), ("remove", "zz")):
        assert vzq(*command).exit_code == 2
    hook = told(vzq("add", receiver.url, "--json"))["id"]
    assert vzq("redeliver", hook, "999").exit_code == 2
    unsent = vzq("ping", hook, "--wait", "0.1")
    assert (unsent.exit_code, "see that a service runs" in unsent.stderr) == (5, True)
