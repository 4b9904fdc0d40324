"""Redis behind a Sentinel: its master dies, and orders go on without anybody's help."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.sentinels import Sentinels, sentinels_of
from models.settings import Settings
from producers.house import open_house
from tests import servers
from tests.failover.sentinel import Watched, watched
from tests.stories.place import Place


@pytest.mark.quick
def test_a_url_names_sentinels_their_master_and_the_login() -> None:
    whole = sentinels_of("rediss+sentinel://vzq:p%40ss@s1.example.net,[2001:db8::1]:26380/house/3")
    hosts = (("s1.example.net", 26379), ("2001:db8::1", 26380))
    assert whole == Sentinels(hosts, "house", 3, "vzq", "p@ss", tls=True)
    assert "p@ss" not in repr(whole)
    assert sentinels_of("redis+sentinel://s1/house") == Sentinels((("s1", 26379),), "house")
    assert sentinels_of("redis://:secret@h/0") is None
    with pytest.raises(ValueError, match="HOST:PORT,HOST:PORT/MASTER"):
        sentinels_of("redis+sentinel://s1")


@pytest.mark.quick
def test_urls_with_passwords_come_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "redis").write_text("redis://:secret@h/0\n")
    monkeypatch.setenv("VZQ_REDIS_URL_FILE", str(tmp_path / "redis"))
    assert Settings().redis == "redis://:secret@h/0"
    monkeypatch.setenv("VZQ_REDIS_URL", "redis://other/0")
    assert Settings().redis == "redis://other/0"
    monkeypatch.setenv("VZQ_DATABASE_FILE", str(tmp_path / "gone"))
    with pytest.raises(ValueError, match=r"VZQ_DATABASE_FILE names .*gone, which cannot be read"):
        Settings()


class WatchedPlace(Place):
    """As the stories' place, with its Redis behind a Sentinel."""

    def __init__(self, folder: Path, redis: Watched) -> None:
        super().__init__(folder, "")
        servers.stop(self.processes.pop("redis"))
        self.environment["VZQ_REDIS_URL"] = redis.url
        self.house.close()
        self.house = open_house(self.house.settings.model_copy(update={"redis_url": redis.url}))


@pytest.fixture
def redis() -> Iterator[Watched]:
    with tempfile.TemporaryDirectory(prefix="vzqw-", dir="/tmp") as folder, watched(Path(folder)) as made:
        yield made


@pytest.mark.timeout(180)
def test_orders_survive_the_death_of_the_master(redis: Watched) -> None:
    with tempfile.TemporaryDirectory(prefix="vzqs-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        place = WatchedPlace(Path(folder), redis)
        try:
            place.open()
            under_way = place.containers(4)
            redis.fail_over()
            place.each_is_there_once([*under_way, *place.containers(4)])
            assert place.house.bell.answers()
        finally:
            place.close()
