"""The API on a real port, over a real database; Redis is there only where a test says so."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from models.access import Scope
from models.settings import Settings
from models.vault import make_key_file
from producers import tokens
from producers.api.server import ApiServer
from producers.api.settings import ApiSettings
from producers.house import House, open_house
from tests.factories import make_node, make_plan, make_pool

TEMPLATE = "debian-12-x86_64-minbase"
NEW: dict[str, Any] = {"kind": "create-container", "plan": "small", "template": TEMPLATE, "hostname": "web1.example.net"}


@dataclass
class Api:
    """A running API, and clients for it by the name of their token."""

    house: House
    url: str
    secrets: dict[str, str]

    def client(self, token: str = "admin", **given: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.secrets[token]}"}, timeout=70, trust_env=False, **given)

    def post(self, path: str, body: Any = None, *, token: str = "admin", key: str = "", **given: Any) -> httpx.Response:
        headers = given.pop("headers", {}) | ({"Idempotency-Key": key} if key else {})
        with self.client(token) as client:
            return client.post(path, json=body, headers=headers, **given) if body is not None else client.post(path, headers=headers, **given)

    def get(self, path: str, *, token: str = "admin", **given: Any) -> httpx.Response:
        with self.client(token) as client:
            return client.get(path, **given)

    def order(self, token: str = "admin", *, key: str = "", **fields: Any) -> httpx.Response:
        return self.post("/v1/orders", NEW | fields if "kind" not in fields else fields, token=token, key=key)


def furnish(house: House) -> dict[str, str]:
    """Two nodes, two plans, a pool, and a token of each scope; the tokens' secrets by name."""
    made = {}
    with house.database.write() as session:
        session.add_all([make_node("n1", labels={"disk": "ssd"}), make_node("n2"), make_plan("small"), make_plan("large", ram_bytes=1 << 30)])
        session.add(make_pool())
        for name, scope, customer in [*((str(scope), scope, None) for scope in Scope), ("acme", Scope.ORDER, "acme"), ("other", Scope.ORDER, None)]:
            now = house.clock.now()
            _, made[name] = tokens.create(session, name=name, scope=scope, customer=customer, expires_at=None, now=now, by="test")
    return made


@pytest.fixture(autouse=True)
def _silent_log() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> Iterator[House]:
    """A founded house on SQLite and on PostgreSQL; Redis is not there."""
    make_key_file(tmp_path / "secret.key")
    opened = open_house(Settings(state=tmp_path, database=database_url, redis_url=f"unix://{tmp_path}/nobody.sock"))
    yield opened
    opened.close()


@pytest.fixture
def lite_house(sqlite_template: Path, tmp_path: Path) -> Iterator[House]:
    """The same, on SQLite alone."""
    make_key_file(tmp_path / "secret.key")
    shutil.copy(sqlite_template, tmp_path / "vzq.sqlite")
    opened = open_house(Settings(state=tmp_path, redis_url=f"unix://{tmp_path}/nobody.sock"))
    yield opened
    opened.close()


def serve(house: House, **settings: Any) -> Iterator[Api]:
    secrets = furnish(house)
    server = ApiServer(house, ApiSettings(api="127.0.0.1:0", **({"api_rate": 0} | settings)))
    server.start()
    yield Api(house, server.url, secrets)
    server.stop()


@pytest.fixture
def api(house: House) -> Iterator[Api]:
    """On both databases."""
    yield from serve(house)


@pytest.fixture
def lite(lite_house: House) -> Iterator[Api]:
    """On SQLite, for what does not depend on the database."""
    yield from serve(lite_house)
