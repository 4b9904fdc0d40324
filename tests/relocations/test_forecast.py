"""What a relocation is expected to cost, and how far that was from what it cost."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlmodel import col, select

from models.campaign_states import CampaignCause, CampaignState, Outcome
from models.campaigns import Campaign, CampaignKind, Target
from models.database import Database
from models.fleet import Container, Node, NodeState
from models.jobs import Job
from models.lifecycle import Cause
from models.orders import MigrateContainer
from models.outages import Outage
from models.relocations import RelocationSpec
from producers.fleet import turn
from producers.metrics import FromDatabase
from producers.refusals import Refusal
from producers.relocations import start as relocations
from producers.relocations.history import gaps_of_jobs, history
from tests.factories import GIB
from tests.migration.conftest import Fleet
from tests.stand_ins import NOON, ManualClock

pytestmark = pytest.mark.quick


@pytest.fixture
def books(database: Database, clock: ManualClock, tmp_path: Path) -> Fleet:
    return Fleet(database, clock, tmp_path)


def spec(*nodes: str, **given: Any) -> RelocationSpec:
    return RelocationSpec(nodes=nodes, **given)


def moved(books: Fleet, ctid: int, *, took: timedelta, gaps_s: list[float | None], to: str = "n2") -> str:
    """A move that was done, with what was measured of it."""
    job_id = books.submit(MigrateContainer(ctid=ctid, to=to)).job.id
    let_go(books, job_id)
    books.clock.pass_(took)
    return ended(books, job_id, gaps_s)


def let_go(books: Fleet, job_id: str) -> None:
    with books.database.write() as session:
        job = session.get_one(Job, job_id)
        for cause in (Cause.DISPATCHED, Cause.CLAIMED):
            session.add(job.move(cause, now=books.clock.now()))
        session.add(job)


def ended(books: Fleet, job_id: str, gaps_s: list[float | None]) -> str:
    with books.database.write() as session:
        job, now = session.get_one(Job, job_id), books.clock.now()
        session.add(job.move(Cause.FINISHED, now=now))
        session.add(job)
        for gap in gaps_s:
            session.add(Outage(ctid=job.ctid or 0, node="n1", site="main", job_id=job_id, cause=job.kind, began_at=now, gap_s=gap))
    return job_id


def told(books: Fleet, **given: Any) -> relocations.Relocation:
    with books.database.read() as session:
        return relocations.evacuation(books.database, session, spec("n1", **given))


def test_without_a_past_the_figures_are_a_guess(books: Fleet) -> None:
    books.container(101)
    assert told(books).history.guessed
    assert told(books).gaps_s == {101: 2.0}


def test_a_containers_own_past_counts_before_the_fleets(books: Fleet) -> None:
    for ctid in (101, 102, 103):
        books.container(ctid)
    moved(books, 101, took=timedelta(seconds=40), gaps_s=[0.5])
    moved(books, 102, took=timedelta(seconds=20), gaps_s=[1.5, 0.5])
    with books.database.read() as session:
        past = history(session)
    assert (past.gap_s(101), past.gap_s(102), past.gap_s(103)) == (0.5, 2.0, 1.25)
    assert (past.length(101), past.length(103)) == (timedelta(seconds=40), timedelta(seconds=30))
    assert not past.guessed


def test_a_job_of_which_one_interval_was_not_measured_tells_no_gap() -> None:
    def row(job_id: str, gap: float | None) -> Outage:
        return Outage(ctid=101, node="n1", site="main", job_id=job_id, cause="migrate-container", gap_s=gap)

    assert gaps_of_jobs([row("a", 0.5), row("a", None), row("b", 0.25), row("b", 0.5)]) == {"b": 0.75}


def test_the_longest_interruption_goes_first_and_what_is_too_long_stays(books: Fleet) -> None:
    for ctid in (101, 102, 103):
        books.container(ctid, node="n2")
    for ctid, gap in ((101, 0.5), (102, 3.0), (103, 1.0)):
        moved(books, ctid, took=timedelta(seconds=10), gaps_s=[gap], to="n1")
        with books.database.write() as session:
            row = books.row(ctid)
            row.node = "n1"
            session.add(row)
    assert [target.ctid for target in told(books).targets] == [102, 103, 101]
    kept = told(books, longest_gap_s=2.0)
    assert [target.ctid for target in kept.targets] == [103, 101]
    assert kept.staying == {102: "its move is expected to interrupt it for 3.0 s, 2 s are allowed"}


@pytest.mark.parametrize(("failures", "seconds"), [(0, 240), (1, 120), (9, 60)])
def test_the_predicted_end_goes_by_the_guard_that_will_run_it(books: Fleet, failures: int, seconds: int) -> None:
    for ctid in range(101, 105):
        books.container(ctid)
    ends_at = told(books, failures=failures).forecast.ends_at
    assert ends_at is not None
    assert ends_at - books.clock.now() == timedelta(seconds=seconds)


def test_what_a_move_waited_for_others_is_no_part_of_its_length(books: Fleet) -> None:
    books.container(101)
    job_id = books.submit(MigrateContainer(ctid=101, to="n2")).job.id
    books.clock.pass_(timedelta(minutes=10))
    let_go(books, job_id)
    books.clock.pass_(timedelta(seconds=30))
    ended(books, job_id, [0.5])
    with books.database.read() as session:
        assert history(session).length(101) == timedelta(seconds=30)


def test_the_error_of_the_last_ended_forecast_is_a_metric(books: Fleet) -> None:
    for ctid in (101, 102):
        books.container(ctid)
    with books.database.write() as session:
        relocation = relocations.evacuation(books.database, session, spec("n1", failures=1))
        begun = relocations.start(books.database, books.intake, session, relocation, by="me")
        assert begun is not None
        campaign_id = begun.campaign.id
    assert errors(books) == {}
    with books.database.read() as session:
        targets = list(session.exec(select(Target).where(Target.campaign_id == campaign_id).order_by(col(Target.place))).all())
    jobs = {target.place: moved(books, target.ctid or 0, took=timedelta(seconds=45), gaps_s=[2.5]) for target in targets}
    with books.database.write() as session:
        campaign = session.get_one(Campaign, campaign_id)
        for target in session.exec(select(Target).where(Target.campaign_id == campaign_id)).all():
            target.job_id, target.outcome = jobs[target.place], Outcome.OK
            session.add(target)
        session.add(campaign.move(CampaignCause.FINISHED, now=books.clock.now()))
        session.add(campaign)
    found = errors(books)
    assert found.pop("vzq_campaign_forecast_error_ratio") == pytest.approx(90 / 60 - 1)
    assert found == {"vzq_campaign_forecast_gap_error_seconds": pytest.approx(0.5)}


def errors(books: Fleet) -> dict[str, float]:
    """The two meters of evacuations, as they are scraped."""
    registry = CollectorRegistry()
    registry.register(FromDatabase(books.database))
    names = ("vzq_campaign_forecast_error_ratio", "vzq_campaign_forecast_gap_error_seconds")
    values = {name: registry.get_sample_value(name, {"kind": "evacuation"}) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def test_a_node_of_an_open_campaign_is_refused_to_a_second(books: Fleet) -> None:
    books.container(101)
    with books.database.write() as session:
        relocation = relocations.evacuation(books.database, session, spec("n1"))
        assert relocations.start(books.database, books.intake, session, relocation, by="me") is not None
    with books.database.write() as session:
        again = relocations.rolling_reboot(books.database, session, spec("n1"))
        with pytest.raises(Refusal, match="wait for its end or abort it"):
            relocations.start(books.database, books.intake, session, again, by="me")


def test_nothing_comes_back_to_a_node_that_was_never_evacuated(books: Fleet) -> None:
    with books.database.read() as session, pytest.raises(Refusal, match="n1 was never evacuated"):
        relocations.homecoming(books.database, session, spec("n1"))


def evacuated(books: Fleet, ctid: int) -> None:
    """An evacuation of n1 that moved this container to n2."""
    books.container(ctid)
    books.clock.pass_(timedelta(minutes=1))
    with books.database.write() as session:
        relocation = relocations.evacuation(books.database, session, spec("n1"))
        begun = relocations.start(books.database, books.intake, session, relocation, by="me")
        assert begun is not None
        begun.campaign.state = CampaignState.DONE
        session.add(begun.campaign)
        session.flush()
        for target in session.exec(select(Target).where(Target.campaign_id == begun.campaign.id)).all():
            target.outcome = Outcome.OK
            session.get_one(Container, target.ctid).node = "n2"
    books.clock.pass_(timedelta(minutes=1))


def test_what_several_evacuations_in_a_row_took_away_comes_back_together_and_nothing_from_before_the_node_was_active(books: Fleet) -> None:
    def coming() -> list[int | None]:
        with books.database.read() as session:
            return sorted(target.ctid or 0 for target in relocations.homecoming(books.database, session, spec("n1")).targets)

    evacuated(books, 101)
    evacuated(books, 102)
    assert coming() == [101, 102]
    with books.database.write() as session:
        turn(session, session.get_one(Node, "n1"), NodeState.ACTIVE, by="me", because="", now=books.clock.now())
    evacuated(books, 103)
    assert coming() == [103]


def test_a_rolling_reboot_takes_its_groups_one_after_the_other(books: Fleet) -> None:
    books.container(101, node="n1")
    books.container(102, node="n2")
    with books.database.read() as session:
        waves = relocations.rolling_reboot(books.database, session, spec("n1", "n2")).targets
    assert [(one.wave, one.ctid, one.node, one.labels.get("to")) for one in waves] == [
        (0, 101, "n1", None), (1, None, "n1", None), (2, 101, "n1", "n1"),
        (3, 102, "n2", None), (4, None, "n2", None), (5, 102, "n2", "n2"),
    ]  # fmt: skip


def crowded(books: Fleet) -> None:
    """One container of ours on n1, which others fill to the half."""
    books.container(101, ram_bytes=12 * GIB)
    with books.database.write() as session:
        session.get_one(Node, "n1").foreign_ram_bytes = 30 * GIB


def stands(books: Fleet, ctid: int, node: str) -> None:
    with books.database.write() as session:
        session.get_one(Container, ctid).node = node


def evened(books: Fleet) -> relocations.Relocation:
    with books.database.read() as session:
        return relocations.rebalancing(books.database, session, spec("n1", "n2"))


def test_a_rebalancing_leaves_alone_what_came_by_a_move_within_a_day_and_says_so(books: Fleet) -> None:
    crowded(books)
    assert [target.ctid for target in evened(books).targets] == [101]
    books.container(102, node="n3")
    moved(books, 102, took=timedelta(minutes=1), gaps_s=[1.0])  # another one's move holds nothing back
    assert [target.ctid for target in evened(books).targets] == [101]
    stands(books, 101, "n2")
    moved(books, 101, took=timedelta(minutes=1), gaps_s=[1.0], to="n1")
    stands(books, 101, "n1")
    assert evened(books).staying == {101: "it was moved within a day"}
    with books.database.write() as session, pytest.raises(Refusal, match=r"1 that could go stay, e\.g\. container 101: it was moved within a day"):
        relocations.start(books.database, books.intake, session, evened(books), by="me")
    books.clock.pass_(relocations.COOL_DOWN)
    assert [target.ctid for target in evened(books).targets] == [101]


def test_a_roll_out_over_all_containers_keeps_none_of_them_where_it_is(books: Fleet) -> None:
    crowded(books)
    with books.database.write() as session:
        campaign = Campaign(
            id="01ROLLOUT",
            kind=CampaignKind.ROLLOUT,
            name="r",
            version=1,
            spec={},
            key="k",
            digest="d",
            started_at=NOON,
            running_since=NOON,
            look_at=NOON,
            producer="me",
        )
        session.add(campaign)
        session.flush()
        session.add(Target(campaign_id=campaign.id, place=0, wave=0, ctid=101, outcome=Outcome.OK, ended_at=books.clock.now()))
    assert [target.ctid for target in evened(books).targets] == [101]
