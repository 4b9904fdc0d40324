"""Whoever waits is told who does not answer."""

from datetime import timedelta

import pytest

from models.database import Database
from models.house import Beat, Worker
from producers.cli.silence import silence
from tests.factories import make_job, make_node
from tests.stand_ins import NOON

pytestmark = pytest.mark.quick


def test_a_node_that_is_ill_is_named_to_whoever_waits_for_a_job_on_it(database: Database) -> None:
    with database.write() as session:
        session.add(Beat(name="dispatcher", at=NOON))
        session.add(Worker(name="w", site="main", host="h", seen_at=NOON, started_at=NOON, slots={"inspect": 4}))
        session.add(make_node("n1", broken_until=NOON + timedelta(minutes=1), finding="n1 does not answer"))
        session.add(make_node("n2"))
    with database.read() as session:
        for fields in ({"node": "n1"}, {"node": "n2", "to_node": "n1"}, {"node": "n1", "worker": "w"}):
            assert silence(session, [make_job("check-queue", **fields)], now=NOON) == [
                "node n1: n1 does not answer; its jobs wait, it is tried again and again"
            ]
        assert silence(session, [make_job("check-queue", node="n2", worker="w")], now=NOON) == []
