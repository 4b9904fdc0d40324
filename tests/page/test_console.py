"""A console is opened once, soon, by the login that asked for it; and what is typed in a browser runs inside."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from models.access import Audit, Scope
from models.logins import Seat, Ticket
from producers import tokens
from producers.api.server import ApiServer
from producers.api.settings import ApiSettings
from tests.api.conftest import Api, serve
from tests.api.test_rollouts import containers
from tests.inside.conftest import Crowd
from tests.page.browser import Seat as Before
from tests.page.conftest import Page, opened, send


@pytest.fixture
def entered(tmp_path: Path, sqlite_template: Path, empty_redis: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """A page that offers consoles, and a Redis where no worker listens."""
    monkeypatch.setattr("producers.page.console.SEAT", timedelta(milliseconds=200))
    house = opened(tmp_path, sqlite_template)
    house = replace(house, settings=house.settings.model_copy(update={"redis_url": empty_redis}))
    for api in serve(house):
        containers(api)
        yield Page(api)
    house.close()


def ticket_for(client: Any, ctid: int = 1001) -> str:
    answer = send(client, f"/console/{ctid}", because="-- ticket 4711")
    assert answer.status_code == 200
    assert "'nonce-" in answer.headers["content-security-policy"]
    return answer.text.split('data-ticket="')[1].split('"')[0]


def knock(page: Page, cookie: str, ticket: str, *, origin: str = "") -> tuple[int, str]:
    """The code and the reason with which it is closed; 403 where it is not opened at all."""
    headers = {"Cookie": f"vzq={cookie}"}
    try:
        with connect(f"ws{page.url[4:]}/console/socket", origin=origin or page.url, additional_headers=headers, proxy=None) as socket:  # type: ignore[arg-type]
            socket.send(f'{{"ticket": "{ticket}", "columns": 80, "rows": 24}}')
            while True:
                socket.recv(timeout=60)
    except InvalidStatus as refused:
        return refused.response.status_code, ""
    except ConnectionClosed as closed:
        return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd is not None else (0, "cut")


def test_a_ticket_opens_one_console_for_the_login_it_was_given_to(entered: Page) -> None:
    with entered.enter("operate") as client, entered.enter("admin") as other, entered.enter("read") as reader:
        cookie = client.cookies["vzq"]
        assert knock(entered, cookie, ticket_for(client), origin="https://evil.example")[0] == 403
        assert knock(entered, "", "x")[0] == 403
        assert knock(entered, reader.cookies["vzq"], "x")[0] == 403
        assert knock(entered, cookie, "made-up")[0] == 4403
        assert knock(entered, other.cookies["vzq"], ticket_for(client))[0] == 4403
        ticket = ticket_for(client)
        code, reason = knock(entered, cookie, ticket)
        assert code == 1011
        assert reason.startswith("no worker of site main answers")
        assert knock(entered, cookie, ticket)[0] == 4403
    with entered.house.database.read() as session:
        assert session.exec(select(Seat)).all() == []  # no worker that comes later opens it


def test_a_ticket_is_worth_nothing_after_half_a_minute(entered: Page) -> None:
    with entered.enter("operate") as client:
        ticket = ticket_for(client)
        with entered.house.database.write() as session:
            row = session.exec(select(Ticket)).one()
            assert ticket not in row.model_dump_json()
            row.until = entered.house.clock.now()
            session.add(row)
        assert knock(entered, client.cookies["vzq"], ticket)[0] == 4403


@pytest.fixture(scope="module")
def crowd() -> Iterator[Crowd]:
    """A simulated node with a container, a worker, and the page in this process."""
    with tempfile.TemporaryDirectory(prefix="vzq-", dir="/tmp") as folder:
        lab = Crowd(Path(folder), nodes=1)
        try:
            lab.settle(1)
            yield lab
        finally:
            lab.close()


@contextmanager
def served(crowd: Crowd) -> Iterator[tuple[Page, str]]:
    """The page over the crowd's house, and somebody's token."""
    with crowd.house.database.write() as session:
        now = crowd.house.clock.now()
        _, secret = tokens.create(session, name=f"alice-{now.timestamp()}", scope=Scope.OPERATE, customer=None, expires_at=None, now=now, by="test")
    server = ApiServer(crowd.house, ApiSettings(api="127.0.0.1:0", api_rate=0))
    server.start()
    try:
        yield Page(Api(crowd.house, server.url, {"operate": secret})), secret
    finally:
        server.stop()


@contextmanager
def inside(crowd: Crowd) -> Iterator[ClientConnection]:
    """A socket behind which somebody has been let into the first container."""
    with served(crowd) as (page, _), page.enter() as client:
        ticket = ticket_for(client, crowd.ctids[0])
        headers = {"Cookie": f"vzq={client.cookies['vzq']}"}
        with connect(f"ws{page.url[4:]}/console/socket", origin=page.url, additional_headers=headers, proxy=None, max_size=None) as socket:  # type: ignore[arg-type]
            socket.send(f'{{"ticket": "{ticket}", "columns": 80, "rows": 24}}')
            read_to(socket, b"entered into CT")
            yield socket


def read_to(socket: ClientConnection, words: bytes) -> int:
    """How many bytes came until these words had."""
    seen = b""
    count = 0
    while words not in seen:
        chunk = socket.recv(timeout=30)
        assert isinstance(chunk, bytes)
        count += len(chunk)
        seen = seen[-len(words) :] + chunk
    return count


def farewell(socket: ClientConnection) -> str:
    """Why it is closed."""
    try:
        while True:
            socket.recv(timeout=60)
    except ConnectionClosed as closed:
        return closed.rcvd.reason if closed.rcvd is not None else ""


def test_a_flood_waits_for_the_browser_and_all_of_it_comes(crowd: Crowd) -> None:
    with inside(crowd) as socket:
        socket.send(b"yes 0123456789 | head -c 3000000; echo the-e''nd\n")
        assert read_to(socket, b"the-end") > 3_000_000  # far more than may be on its way at once


def test_a_console_ends_when_its_worker_is_killed_and_nothing_of_it_is_left_inside(crowd: Crowd) -> None:
    with inside(crowd) as socket:
        socket.send(b"sleep 4711\n")
        crowd.until(lambda: any(b"4711" in words for words in crowd.commands_inside(crowd.ctids[0])), "the command inside")
        crowd.restart("worker", signal.SIGKILL)
        assert "the other end has said nothing" in farewell(socket)
    crowd.until(lambda: not any(b"4711" in words for words in crowd.commands_inside(crowd.ctids[0])), "the command to end with the console")


def test_a_worker_that_is_stopped_says_so_to_who_sits_before_a_container(crowd: Crowd) -> None:
    with inside(crowd) as socket:
        crowd.restart("worker", signal.SIGTERM)
        assert "the worker is being stopped" in farewell(socket)


def test_what_is_typed_in_the_browser_runs_inside(chromium: Any, crowd: Crowd) -> None:
    with served(crowd) as (page, secret):
        context = chromium.new_context()
        seat = Before(context.new_page(), page.url)
        seat.listen()
        seat.enter(secret)
        seat.tab.goto(f"{page.url}/containers/{crowd.ctids[0]}")
        seat.tab.get_by_role("link", name="Console…").click()
        seat.tab.get_by_label("Why").fill("ticket 4711")
        seat.tab.get_by_role("button", name="Open the console").click()
        screen = seat.tab.locator(".xterm-rows")
        screen.get_by_text("entered into CT").wait_for(timeout=30_000)
        seat.tab.keyboard.type("echo $((6 * 7)) > typed; printf '\\033[38;2;255;0;0mred\\033[0m\\n'\n")
        crowd.until((crowd.inside(crowd.ctids[0]) / "typed").exists, "the command to run inside")
        assert (crowd.inside(crowd.ctids[0]) / "typed").read_text() == "42\n"
        assert seat.faults() == []
        seat.tab.keyboard.type("exit\n")
        seat.tab.get_by_text("the shell has ended").wait_for(timeout=20_000)
        assert seat.said == []
        context.close()
    with crowd.house.database.read() as session:
        audit = select(Audit).where(col(Audit.action).startswith("console"), Audit.because == "ticket 4711").order_by(col(Audit.id))
        rows = session.exec(audit).all()
    assert [(row.action, row.by[:5]) for row in rows] == [("console open", "alice"), ("console close", "alice")]
