"""Readers of events are told where history has gone, over real HTTP."""

import json
from datetime import UTC, datetime, timedelta

import httpx

from models.ids import JobIds
from models.jobs import Event
from models.lifecycle import Cause, State
from models.orders import CheckQueue
from producers.dispatcher import Dispatcher
from producers.house import House
from producers.pruning import KeepSettings, Pruner
from tests.events.test_stream import api, house
from tests.factories import make_job
from tests.stand_ins import ManualClock

__all__ = ["api", "house"]


def test_a_reader_is_told_that_what_it_asks_for_has_been_pruned(house: House, api: httpx.Client) -> None:
    dispatcher = Dispatcher(house.database, house.bell, house.clock, name="test")
    then = ManualClock(datetime.now(UTC) - timedelta(days=500))
    ids = JobIds(then)
    with house.database.write() as session:
        for _ in range(5):
            session.add(job := make_job(id=ids.next(), state=State.DONE, accepted_at=then.now(), ended_at=then.now()))
            session.flush()
            session.add(Event(job_id=job.id, cause=Cause.FINISHED, state=State.DONE, at=then.now()))
    dispatcher.go_round()
    with house.database.write() as session:
        house.intake.submit(session, CheckQueue(), by="test")
    dispatcher.go_round()
    assert api.get("/v1/events").json()["pruned"] is None
    assert Pruner(house.database, house.clock, KeepSettings(keep_days=400)).run_once() == 10  # each job and its event

    for after in (0, 3):
        gone = api.get("/v1/events", params={"after": after})
        assert (gone.status_code, gone.json()["type"]) == (410, "urn:vzq:problem:pruned")
        assert "after=5" in gone.json()["detail"]
        page = api.get("/v1/events", params={"after": after, "gaps": True}).json()
        assert (page["pruned"], [event["number"] for event in page["items"]]) == (5, [6])
    page = api.get("/v1/events", params={"after": 5}).json()
    assert (page["pruned"], page["last"]) == (None, 6)
    with api.stream("GET", "/v1/events", headers={"Accept": "text/event-stream", "Last-Event-ID": "3"}) as stream:
        lines = [line for line, _ in zip(stream.iter_lines(), range(6), strict=False)]
    assert lines[2:4] == ["event: pruned", f"data: {json.dumps({'after': 3, 'pruned': 5})}"]
    assert lines[5] == "id: 6"
