"""A short storm on either database: nothing is lost, doubled or left over. A long one: make storm SECONDS=900 DB=postgresql."""

import pytest

from tests.storm.storm import Storm

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("storm")]
SHORT_S = 25.0


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_short_storm_loses_nothing_and_doubles_nothing(database: str, request: pytest.FixtureRequest) -> None:
    if database == "postgresql":
        request.getfixturevalue("postgres_url")  # skips where there is none
    lines: list[str] = []
    storm = Storm(database, seed=7, tell=lines.append)
    assert storm.blow(SHORT_S) == 0, "\n".join(lines)
    assert storm.verdict is not None
    assert storm.verdict.orders >= 8, "\n".join(lines)
    assert storm.verdict.effects >= storm.verdict.ends["done"]
