"""A worker killed in the middle of an outage: the probe goes on, and the next worker writes what it saw."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from sqlmodel import select

from models.lifecycle import State
from models.orders import ORDER
from models.outages import Outage
from tests.stories.conftest import one_place  # noqa: F401 - the fixture
from tests.stories.place import Place
from workers.probe.record import read

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("killed")]


@pytest.fixture
def container(one_place: Place) -> Iterator[int]:  # noqa: F811 - the fixture
    """A running one on n1, whose next start takes three seconds longer."""
    (made,) = one_place.ended(*one_place.containers(1, node="n1"))
    assert (made.state, made.node) == (State.DONE, "n1")
    assert made.ctid is not None
    one_place.ctl("n1", "fault", command="start", action="slow", seconds=3, phase="mounted", ctid=made.ctid)
    yield made.ctid
    one_place.ctl("n1", "clear")


def silence(place: Place, ctid: int) -> float:
    """The longest one, by the node's own notes."""
    lines = [json.loads(line) for line in (place.folder / "lab" / "n1" / "answers.jsonl").read_text().splitlines()]
    mine = [line for line in lines if line["ctid"] == ctid]
    return max(float(up["at"] - down["at"]) for down, up in pairwise(mine) if up["answers"] and not down["answers"])


def test_killing_the_worker_does_not_stop_the_measurement(one_place: Place, container: int) -> None:  # noqa: F811
    (job_id,) = one_place.order(ORDER.validate_python({"kind": "restart-container", "ctid": container}))
    record = one_place.folder / "probes" / f"{job_id}.log"
    one_place.until(lambda: any("start" in call["argv"] for call in one_place.ctl("n1", "ps")["commands"]), "the container to be on its way up")
    one_place.kill("worker")
    killed = datetime.now(UTC)
    before = read(record)
    one_place.until(lambda: any(one.sent > max(two.sent for two in before.answers) + 1 and one.after for one in read(record).answers), "an answer")
    assert record.read_text().count("\n= ") == 0  # the same probe all the time
    one_place.start("worker")
    (job,) = one_place.ended(job_id)
    assert job.state == State.DONE, job.error
    with one_place.house.database.read() as session:
        rows = session.exec(select(Outage).where(Outage.job_id == job_id)).all()
    row = max(rows, key=lambda one: one.gap_s or 0.0)
    true_s = silence(one_place, container)
    assert row.gap_s is not None, row
    assert row.resolution_s is not None
    assert row.began_at < killed < (row.ended_at or killed)
    assert true_s > 3
    assert row.gap_s - row.resolution_s - 0.1 <= true_s <= row.gap_s + 0.1
    one_place.until(lambda: not list(Path(record.parent).iterdir()), "the record to be collected")
