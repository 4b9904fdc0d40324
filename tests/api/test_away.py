"""What the API stands on goes away and comes back: Redis, the database, the service itself."""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlmodel import select

from models.house import Beat
from models.jobs import Job
from models.settings import Settings
from models.vault import make_key_file
from producers.house import open_house
from tests.api.conftest import NEW, Api, furnish, serve

ROOT = Path(__file__).parents[2]


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_orders_are_accepted_without_redis(lite: Api) -> None:
    begun = time.monotonic()
    assert lite.order().status_code == 202
    assert time.monotonic() - begun < 5
    assert lite.get("/readyz").json()["redis"] is False


def test_readiness_tells_what_is_missing(lite: Api) -> None:
    assert lite.get("/healthz").json() == {"alive": True}
    before = lite.get("/readyz")
    assert (before.status_code, before.json()) == (503, {"ready": False, "database": True, "dispatcher": False, "redis": False})
    with lite.house.database.write() as session:
        session.merge(Beat(name="dispatcher", at=lite.house.clock.now()))
    assert lite.get("/readyz").status_code == 200


def test_without_its_database_it_says_503_and_accepts_nothing(lite: Api, tmp_path: Path) -> None:
    database, away = tmp_path / "vzq.sqlite", tmp_path / "away"
    lite.house.database.engine.dispose()
    database.rename(away)
    database.mkdir()
    for path in ("/v1/plans", "/v1/jobs"):
        answer = lite.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert answer.headers["content-type"] == "application/problem+json"
    answer = lite.order(key="k")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:vzq:problem:unavailable")
    assert str(tmp_path) not in answer.text
    assert lite.get("/readyz").json()["database"] is False
    database.rmdir()
    away.rename(database)
    assert lite.order(key="k").status_code == 202
    with lite.house.database.read() as session:
        assert len(session.exec(select(Job)).all()) == 1


@pytest.fixture
def on_postgres(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Api]:
    """A database of its own on the common server, which can be closed to all."""
    server, template = request.getfixturevalue("postgres_url"), request.getfixturevalue("postgres_template")
    _run(server, f"create database vzq_away template {template}")
    make_key_file(tmp_path / "secret.key")
    url = server.replace("/postgres?", "/vzq_away?")
    house = open_house(Settings(state=tmp_path, database=url, redis_url=f"unix://{tmp_path}/nobody.sock"))
    yield from (replace(api, secrets=api.secrets | {"server": server}) for api in serve(house))
    house.close()
    _run(server, "drop database vzq_away with (force)")


def test_postgresql_is_cut_off_and_comes_back(on_postgres: Api) -> None:
    api, server = on_postgres, on_postgres.secrets["server"]
    assert api.order(key="before").status_code == 202
    _run(server, "alter database vzq_away allow_connections false")
    _run(server, "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'vzq_away'")
    answer = api.order(key="k")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    _run(server, "alter database vzq_away allow_connections true")
    first, second = api.order(key="k"), api.order(key="k")
    assert (first.status_code, second.headers["idempotency-replayed"]) == (202, "true")
    with api.house.database.read() as session:
        assert len(session.exec(select(Job)).all()) == 2


def _run(url: str, statement: str) -> None:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture
def service(tmp_path: Path, empty_redis: str) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `python -m producers.service` with its own state folder."""
    started: list[subprocess.Popen[str]] = []
    make_key_file(tmp_path / "secret.key")

    def start(**environment: str) -> subprocess.Popen[str]:
        own = {"VZQ_STATE": str(tmp_path), "VZQ_REDIS_URL": empty_redis, "VZQ_SERVICE_METRICS": "127.0.0.1:0", "VZQ_API": "127.0.0.1:0"}
        argv = [sys.executable, "-m", "producers.service"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        process = subprocess.Popen(argv, cwd=ROOT, env=os.environ | own | environment, **pipes)  # type: ignore[call-overload]
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]


def address(process: subprocess.Popen[str]) -> str:
    """Where the service says its API is."""
    for line in process.stdout:  # type: ignore[union-attr]
        found = re.search(r"https?://[^\s\"']+", line)
        if "service_started" in line and found:
            return found[0]
    raise AssertionError("the service did not start")


def test_the_service_answers_dispatches_and_stops_although_somebody_waits(service: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    process = service()
    url = address(process)
    house = open_house(Settings(state=tmp_path))
    secret = furnish(house)["admin"]
    house.close()
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {secret}"}, timeout=30, trust_env=False) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        job = client.post("/v1/orders", json=NEW).json()["id"]
        until(lambda: client.get(f"/v1/jobs/{job}").json()["state"] == "queued")
        waiting = threading.Thread(target=httpx.get, args=(f"{url}/v1/jobs/{job}?wait=60",), kwargs={"headers": client.headers, "timeout": 70})
        waiting.start()
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        assert process.wait(20) == 0
        assert time.monotonic() - begun < 15
        waiting.join(10)
        assert not waiting.is_alive()


def test_a_taken_port_is_named(service: Callable[..., subprocess.Popen[str]]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = service(VZQ_API=f"127.0.0.1:{port}")
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 5
    assert f"cannot serve the API on 127.0.0.1:{port}: Address already in use; set VZQ_API" in said


@pytest.mark.parametrize(("setting", "said"), [({"VZQ_API": "nonsense"}, "write host:port"), ({"VZQ_API_TLS_CERT": "/nowhere"}, "VZQ_API_TLS_CERT")])
def test_settings_that_cannot_be_are_named(service: Callable[..., subprocess.Popen[str]], setting: dict[str, str], said: str) -> None:
    process = service(**setting)
    told, _ = process.communicate(timeout=30)
    assert process.returncode == 5
    assert said in told
    assert "Traceback" not in told


def test_it_speaks_tls(service: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    _self_signed(cert, key)
    url = address(service(VZQ_API_TLS_CERT=str(cert), VZQ_API_TLS_KEY=str(key)))
    assert url.startswith("https://")
    with httpx.Client(verify=ssl.create_default_context(cafile=str(cert)), trust_env=False) as client:
        assert client.get(f"{url}/healthz").json() == {"alive": True}


def _self_signed(cert: Path, key: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
