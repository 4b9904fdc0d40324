"""The page on a real port, over a real database, and people who are logged in."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from models.settings import Settings
from models.vault import make_key_file
from producers.house import House, open_house
from tests.api.conftest import Api, serve
from tests.page import full_house
from tests.page.browser import FLAGS, missing

FORM_KEY = re.compile(r'name="form_key" value="([0-9a-f]{64})"')


@dataclass
class Page:
    """A running page; `people` are browsers without eyes."""

    api: Api
    made: full_house.Made = field(default_factory=full_house.Made)

    @property
    def house(self) -> House:
        return self.api.house

    @property
    def url(self) -> str:
        return self.api.url

    def stranger(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=20, trust_env=False)

    @contextmanager
    def enter(self, token: str = "operate") -> Iterator[httpx.Client]:
        """Somebody who has shown this token."""
        with self.stranger() as client:
            key = FORM_KEY.search(client.get("/login").text)
            assert key is not None
            answer = client.post("/login", data={"token": self.api.secrets[token], "form_key": key[1], "next": ""})
            assert (answer.status_code, answer.headers["location"]) == (303, "/"), answer.text
            yield client


def form_key(client: httpx.Client) -> str:
    found = FORM_KEY.search(client.get("/jobs").text)
    assert found is not None
    return found[1]


def send(client: httpx.Client, path: str, **fields: Any) -> httpx.Response:
    """A form as the page makes it."""
    return client.post(path, data={"form_key": form_key(client), "because": "ticket 4711"} | fields)


@pytest.fixture(autouse=True)
def _silent_log() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


def opened(folder: Path, template: Path | None, url: str = "") -> House:
    """On a copy of the template, or on the database of this URL."""
    make_key_file(folder / "secret.key")
    if template is not None:
        shutil.copy(template, folder / "vzq.sqlite")
    return open_house(Settings(state=folder, database=url, redis_url=f"unix://{folder}/nobody.sock"))


@pytest.fixture
def page(sqlite_template: Path, tmp_path: Path) -> Iterator[Page]:
    """Two nodes, plans, tokens, and nothing else."""
    house = opened(tmp_path, sqlite_template)
    for api in serve(house):
        yield Page(api)
    house.close()


@pytest.fixture(scope="module")
def full(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A house in which everything there is has happened; only to be looked at."""
    house = opened(tmp_path_factory.mktemp("full"), sqlite_template)
    for api in serve(house):
        yield Page(api, full_house.furnish(house))
    house.close()


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """One browser for the tests of the page. It keeps an event loop in this thread, so nothing asynchronous may run before it is closed."""
    found = shutil.which("chromium")
    if found is None:
        missing("chromium (Debian: chromium)")
    api = pytest.importorskip("playwright.sync_api") if not os.environ.get("CI") else __import__("playwright.sync_api", fromlist=["sync_api"])
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()
