"""Jobs that interrupt a container on a simulated node, and what their customers saw of it."""

import os
import signal
from pathlib import Path

import pytest

from models.lifecycle import State
from models.outages import Outage
from tests.downtime.conftest import Stalls, longest, outages, probes_in, silences
from tests.verbs.house import VerbHouse
from workers.probe.outages import ELSEWHERE


def fits(row: Outage, house: VerbHouse, stalls: Stalls) -> bool:
    """The row's gap holds the longest silence that the node itself noted, longer by its resolution at most, give or take a stall at either end."""
    true_s = max((up - down).total_seconds() for down, up in silences(house, row.ctid))
    stall_s = 2 * stalls.longest_s
    return row.gap_s is not None and row.resolution_s is not None and row.gap_s - row.resolution_s - stall_s <= true_s <= row.gap_s + stall_s


async def test_a_restart_is_measured_as_the_node_itself_notes_it(watched: VerbHouse, stalls: Stalls) -> None:
    ctid = await watched.create()
    job = await watched.order("restart-container", ctid)
    assert job.state == State.DONE, job.error
    row = longest(watched, job.id)
    assert fits(row, watched, stalls), row
    assert row.resolution_s < 0.5
    assert (row.cause, row.ctid, row.node, row.how, row.not_measured) == ("restart-container", ctid, "n1", "tcp:7000", "")


async def test_what_was_collected_is_not_kept_and_the_probe_ends(watched: VerbHouse, tmp_path: Path) -> None:
    ctid = await watched.create()
    await watched.order("restart-container", ctid)
    assert list((tmp_path / "probes").iterdir()) == []
    assert await probes_in(tmp_path, none=True) == []


async def test_a_reinstall_is_measured_from_the_old_systems_last_answer_to_the_new_ones_first(watched: VerbHouse, stalls: Stalls) -> None:
    ctid = await watched.create()
    job = await watched.order("reinstall-container", ctid)
    assert job.state == State.DONE, job.error
    row = longest(watched, job.id)
    assert fits(row, watched, stalls), row


async def test_a_resize_that_costs_nothing_says_so(watched: VerbHouse) -> None:
    ctid = await watched.create()
    job = await watched.order("resize-container", ctid, plan="large")
    assert job.state == State.DONE, job.error
    row = longest(watched, job.id)
    assert (row.gap_s, row.not_measured) == (0.0, "")
    assert row.resolution_s is not None
    assert row.resolution_s >= 0.1


@pytest.mark.parametrize("kind", ["stop-container", "suspend-container", "terminate-container"])
async def test_an_end_that_was_ordered_is_no_outage(watched: VerbHouse, kind: str) -> None:
    ctid = await watched.create()
    job = await watched.order(kind, ctid)
    assert job.state == State.DONE, job.error
    assert outages(watched, job.id) == []


async def test_a_container_that_is_meant_to_be_down_is_not_watched(watched: VerbHouse, tmp_path: Path) -> None:
    ctid = await watched.create()
    await watched.order("stop-container", ctid)
    job = await watched.order("restart-container", ctid)
    assert job.state == State.DONE, job.error
    assert outages(watched, job.id) == []


async def test_a_probe_that_cannot_be_started_costs_the_job_nothing_but_its_figure(watched: VerbHouse, tmp_path: Path) -> None:
    (tmp_path / "probes").write_text("in the way")
    ctid = await watched.create()
    job = await watched.order("restart-container", ctid)
    assert job.state == State.DONE, job.error
    row = longest(watched, job.id)
    assert row.gap_s is None
    assert "could not be started" in row.not_measured


async def test_a_job_that_stands_still_says_how_long_the_container_was_silent_at_least(watched: VerbHouse) -> None:
    ctid = await watched.create()
    await watched.ctl("fault", command="start", action="exit", code=99, ctid=ctid, times=0)
    job = await watched.order("restart-container", ctid)
    assert job.state == State.STUCK
    row = longest(watched, job.id)
    assert (row.gap_s, row.ended_at) == (None, None)
    assert "had not answered again" in row.not_measured
    assert row.parts["at_least_s"] >= 0


async def test_the_next_run_of_a_job_goes_on_with_the_same_probe(watched: VerbHouse, stalls: Stalls, tmp_path: Path) -> None:
    ctid = await watched.create()
    await watched.ctl("fault", command="start", action="hang", ctid=ctid)
    job_id = watched.place("restart-container", ctid)
    await watched.step(job_id, "start")
    before = await probes_in(tmp_path)
    watched.lose_leases()
    await watched.ctl("clear")
    job = await watched.ended(job_id)
    assert job.state == State.DONE, job.error
    assert len(before) == 1
    row = longest(watched, job_id)
    assert fits(row, watched, stalls), row


async def test_a_worker_that_finds_no_record_of_the_beginning_claims_no_gap(watched: VerbHouse, tmp_path: Path) -> None:
    ctid = await watched.create()
    await watched.ctl("fault", command="start", action="hang", ctid=ctid)
    job_id = watched.place("restart-container", ctid)
    await watched.step(job_id, "start")
    for pid in await probes_in(tmp_path):
        os.kill(pid, signal.SIGKILL)
    for path in (tmp_path / "probes").iterdir():
        path.unlink()
    watched.lose_leases()
    await watched.ctl("clear")
    job = await watched.ended(job_id)
    assert job.state == State.DONE, job.error
    row = longest(watched, job_id)
    assert (row.gap_s, row.not_measured) == (None, ELSEWHERE)
    ((down, up),) = silences(watched, ctid)
    assert row.parts["at_most_s"] >= (up - down).total_seconds() - 0.5
