"""The event stream over real HTTP: in the order of commits, resumed without loss under parallel writers."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from models.access import Scope
from models.orders import CheckQueue
from models.settings import Settings
from models.vault import make_key_file
from producers import tokens
from producers.api.server import ApiServer
from producers.api.settings import ApiSettings
from producers.dispatcher import Dispatcher
from producers.house import House, open_house

WRITERS, ORDERS, HELD = 4, 25, 5


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> Iterator[House]:
    make_key_file(tmp_path / "secret.key")
    house = open_house(Settings(state=tmp_path, database=database_url))
    yield house
    house.close()


@pytest.fixture
def api(house: House) -> Iterator[httpx.Client]:
    with house.database.write() as session:
        now = house.database.now(session)
        _, secret = tokens.create(session, name="reader", scope=Scope.READ, customer=None, expires_at=None, now=now, by="test")
    server = ApiServer(house, ApiSettings(api="127.0.0.1:0"))
    server.start()
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {secret}"}, timeout=20) as client:
        yield client
    server.stop()


def write(house: House, writer: int) -> None:
    """Orders one after the other; every fifth transaction stays open for a moment, so that ids and commits do not go together."""
    late = threading.Event()
    for number in range(ORDERS):
        with house.database.write() as session:
            house.intake.submit(session, CheckQueue(), by=f"writer-{writer}")
            if number % HELD == writer and not house.database.on_sqlite:
                session.flush()
                late.wait(0.05)


def read(api: httpx.Client, *, after: str | None, until: int, at_most: int) -> list[tuple[int, str]]:
    """Read the stream for a while and hang up in the middle, as a reader whose link died."""
    seen: list[tuple[int, str]] = []
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
    with api.stream("GET", "/v1/events", headers=headers) as stream:
        number = 0
        for line in stream.iter_lines():
            if line.startswith("id: "):
                number = int(line[4:])
            elif line.startswith("data: "):
                seen.append((number, json.loads(line[6:])["job"]))
                if len(seen) >= at_most or number >= until:
                    break
    return seen


def test_a_reader_who_resumes_misses_no_event_under_parallel_writers(house: House, api: httpx.Client) -> None:
    dispatcher = Dispatcher(house.database, house.bell, house.clock, name="test")
    stopping = threading.Event()

    def rounds() -> None:
        while not stopping.wait(0.01):
            dispatcher.go_round()

    total = WRITERS * ORDERS
    with ThreadPoolExecutor(WRITERS + 1) as pool:
        pool.submit(rounds)
        writers = [pool.submit(write, house, writer) for writer in range(WRITERS)]
        seen: list[tuple[int, str]] = []
        while len(seen) < total:
            after = str(seen[-1][0]) if seen else None
            seen += read(api, after=after, until=total, at_most=17)
        for writer in writers:
            writer.result()
        stopping.set()
    assert [number for number, _ in seen] == list(range(1, total + 1))
    assert len({job for _, job in seen}) == total


def test_a_page_says_where_the_next_one_begins(house: House, api: httpx.Client) -> None:
    for _ in range(3):
        with house.database.write() as session:
            house.intake.submit(session, CheckQueue(), by="test")
    Dispatcher(house.database, house.bell, house.clock, name="test").go_round()
    first = api.get("/v1/events", params={"limit": 2}).json()
    second = api.get("/v1/events", params={"after": first["last"]}).json()
    assert [event["number"] for event in first["items"] + second["items"]] == [1, 2, 3]
