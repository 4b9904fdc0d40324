"""A console is opened once, soon, by the login that asked for it; and what is typed in a browser runs inside."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from models.access import Audit, Scope
from models.logins import Ticket
from producers import tokens
from producers.api.server import ApiServer
from producers.api.settings import ApiSettings
from tests.api.conftest import serve
from tests.api.test_rollouts import containers
from tests.inside.conftest import Crowd
from tests.page.browser import Seat
from tests.page.conftest import Page, opened, send


@pytest.fixture
def entered(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """A page that offers consoles; its nodes do not answer."""
    monkeypatch.setenv("VZQ_PAGE_CONSOLE", "true")
    house = opened(tmp_path, sqlite_template)
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
        assert (code, reason) == (1000, "the console has ended with 5")  # its node does not answer
        assert knock(entered, cookie, ticket)[0] == 4403
    with entered.house.database.read() as session:
        first = session.exec(select(Audit).where(col(Audit.action).startswith("console")).order_by(col(Audit.id))).first()
        assert first is not None
        assert (first.action, first.by, first.because) == ("console open", "operate", "-- ticket 4711")


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


def test_what_is_typed_in_the_browser_runs_inside(chromium: Any, crowd: Crowd) -> None:
    with crowd.house.database.write() as session:
        now = crowd.house.clock.now()
        _, secret = tokens.create(session, name="alice", scope=Scope.OPERATE, customer=None, expires_at=None, now=now, by="test")
    server = ApiServer(crowd.house, ApiSettings(api="127.0.0.1:0", api_rate=0))
    server.start()
    try:
        context = chromium.new_context()
        seat = Seat(context.new_page(), server.url)
        seat.listen()
        seat.enter(secret)
        seat.tab.goto(f"{server.url}/containers/{crowd.ctids[0]}")
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
    finally:
        server.stop()
    with crowd.house.database.read() as session:
        rows = session.exec(select(Audit).where(col(Audit.action).startswith("console")).order_by(col(Audit.id))).all()
    assert [(row.action, row.by, row.because) for row in rows] == [(f"console {what}", "alice", "ticket 4711") for what in ("open", "close")]
