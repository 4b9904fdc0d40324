"""The ground the other tests stand on."""

import os
from datetime import timedelta

import psycopg
import pytest
import redis
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlmodel import select

from models.database import MIGRATIONS, Database, revisions
from models.fleet import Plan
from tests import servers
from tests.stand_ins import ManualClock


@pytest.mark.parametrize("again", [1, 2])
def test_every_test_gets_an_empty_upgraded_database(database: Database, again: int) -> None:
    database.check_schema()
    with database.write() as session:
        assert session.exec(select(Plan)).all() == []
        session.add(Plan(name="small", ram_bytes=1, disk_bytes=1))


def test_the_schemas_history_can_be_read_off_the_names_of_its_files() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    walked = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert revisions() == walked[::-1]


def test_the_databases_time_is_the_tests(database: Database, clock: ManualClock) -> None:
    before = clock.now()
    clock.pass_(timedelta(minutes=1))
    with database.read() as session:
        assert database.now(session) == before + timedelta(minutes=1)


def test_redis_is_real_durable_and_empty(empty_redis: str) -> None:
    with redis.Redis.from_url(empty_redis, decode_responses=True) as client:
        assert client.dbsize() == 0
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("port") == {"port": "0"}
        client.set("left", "behind")


def test_the_postgresql_of_the_wheel_runs_as_any_user(tmp_path_factory: pytest.TempPathFactory, server_folder, monkeypatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    folder = server_folder / "wheel"
    folder.mkdir()
    try:
        process, url = servers.start_postgres(folder)
    except servers.Missing as missing:
        pytest.skip(str(missing))
    try:
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
    finally:
        servers.stop(process)
