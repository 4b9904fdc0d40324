"""Jobs that interrupt a container on a simulated node, and what their customers saw of it."""

from models.lifecycle import State
from tests.downtime.conftest import outages, silences
from tests.verbs.house import VerbHouse


async def test_a_restart_is_measured_as_the_node_itself_notes_it(watched: VerbHouse) -> None:
    ctid = await watched.create()
    job = await watched.order("restart-container", ctid)
    assert job.state == State.DONE, job.error
    (row,) = outages(watched, job.id)
    ((down, up),) = silences(watched, ctid)
    true_s = (up - down).total_seconds()
    print(row, true_s)
    assert row.gap_s is not None
    assert row.resolution_s is not None
    assert row.resolution_s < 0.3
    assert row.gap_s - row.resolution_s <= true_s <= row.gap_s + 0.01
    assert (row.cause, row.ctid, row.node, row.how, row.not_measured) == ("restart-container", ctid, "n1", "tcp:7000", "")
