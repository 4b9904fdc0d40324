"""A campaign's course on either database, step by step, on a clock of the test's own."""

from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry
from sqlmodel import select

from models.campaign_states import CampaignState, Outcome
from models.fleet import Container, ContainerState, Node, NodeState
from models.house import Worker
from models.jobs import Job
from models.lifecycle import State
from models.pauses import Reach
from models.standing import Standing
from producers.campaigns import control
from producers.campaigns.campaigner import Campaigner
from producers.dispatcher import Dispatcher
from producers.jobs import cancel
from producers.metrics import FromDatabase
from producers.pauses import pause as rest
from producers.pauses import resume as go_on
from producers.refusals import BadOrder, KeyReused, Refusal
from producers.rollouts.start import left_over, retry, start
from producers.why import why
from tests.engine.conftest import SilentBell
from tests.rollouts.conftest import House
from tests.rollouts.specs import make_spec

ROOMY = {"failures": 100, "rate": None}


def test_a_roll_out_goes_wave_by_wave_to_its_end(house: House) -> None:
    house.containers(9)
    rollout = house.start(waves={"sizes": [1, 3]}, at_once={"all": 9, "per_node": 9}, budget=ROOMY)
    sizes = []
    while not house.campaign(rollout).over:
        house.step()
        sizes.append(len(house.flying(rollout)))
        house.end(*house.flying(rollout))
        house.step()
    assert [size for size in sizes if size][:1] == [1]
    assert house.counts(rollout) == {Outcome.OK: 9}
    assert house.campaign(rollout).state == CampaignState.DONE
    assert house.events(rollout) == ["started", "wave", "wave", "wave", "finished"]


def test_a_bad_canary_stops_it_and_the_counts_add_up(house: House) -> None:
    house.containers(10)
    rollout = house.start(waves={"canaries": [1005]})
    house.step()
    assert [target.ctid for target in house.targets(rollout) if target.outcome is Outcome.IN_FLIGHT] == [1005]
    house.end(*house.flying(rollout), outcome="failed")
    house.step()
    assert house.campaign(rollout).state == CampaignState.STOPPED
    assert "1 of the canaries failed, none may" in house.campaign(rollout).why
    assert house.counts(rollout) == {Outcome.FAILED: 1, Outcome.NOT_STARTED: 9}


def test_the_guard_takes_back_what_has_not_begun_and_lets_the_rest_end(house: House) -> None:
    house.containers(9)
    rollout = house.start(at_once={"all": 9, "per_node": 9}, budget={"failures": 2, "rate": None})
    house.step()
    first, second, third = house.flying(rollout)
    house.end(first, outcome="ok")
    house.step()
    house.end(second, third, outcome="failed")
    house.step()
    flying = house.flying(rollout)
    assert len(flying) == 1  # one more failure would use the budget up
    house.end(*flying, outcome="regressed")
    house.step(2)
    assert house.campaign(rollout).state == CampaignState.STOPPED
    assert house.counts(rollout) == {Outcome.OK: 1, Outcome.FAILED: 2, Outcome.REGRESSED: 1, Outcome.NOT_STARTED: 5}


def paused_by_its_guard(house: House, containers: int) -> str:
    """A roll-out whose first target has failed, which none may."""
    house.containers(containers)
    rollout = house.start(at_once={"all": 1}, budget={"failures": 0, "rate": None, "then": "pause"})
    house.step()
    house.end(*house.flying(rollout), outcome="failed")
    house.step()
    assert house.campaign(rollout).state == CampaignState.PAUSED
    return rollout


def test_a_budget_that_pauses_goes_on_when_a_person_allows_more(house: House) -> None:
    rollout = paused_by_its_guard(house, 4)
    with pytest.raises(Refusal, match="1 of the first 1 failed, none may"), house.database.write() as session:
        control.resume(session, control.find(session, rollout, writing=True), by="operator", because="", now=house.clock.now())
    assert house.campaign(rollout).state == CampaignState.PAUSED
    with house.database.write() as session:
        campaign = control.find(session, rollout[-6:], writing=True)
        control.resume(session, campaign, more_failures=1, by="operator", because="known", now=house.clock.now())
    house.run(rollout)
    assert house.campaign(rollout).state == CampaignState.DONE
    assert house.counts(rollout) == {Outcome.OK: 3, Outcome.FAILED: 1}


def test_what_no_allowance_mends_is_not_resumed_but_told_to_be_aborted(house: House) -> None:
    rollout = paused_by_its_guard(house, 2)
    with house.database.write() as session:
        failed = next(target for target in house.targets(rollout) if target.outcome is Outcome.FAILED)
        failed.ctid = None  # a node itself, as in a rolling reboot
        session.merge(failed)
    with pytest.raises(Refusal, match=r"cannot go on .*abort this"), house.database.write() as session:
        control.resume(session, control.find(session, rollout, writing=True), more_failures=9, by="operator", because="", now=house.clock.now())


def test_one_that_another_version_wrote_can_be_paused_and_resumed(house: House) -> None:
    house.containers(1)
    rollout = house.start()
    for act in (control.pause, control.resume):
        with house.database.write() as session:
            campaign = control.find(session, rollout, writing=True)
            campaign.spec = {"version": 99}
            act(session, campaign, by="operator", because="", now=house.clock.now())
    assert house.campaign(rollout).state == CampaignState.RUNNING


def test_a_paused_roll_out_holds_what_has_not_begun_and_says_so(house: House) -> None:
    house.containers(3)
    rollout = house.start(at_once={"all": 3, "per_node": 3}, budget=ROOMY)
    house.step()
    with house.database.write() as session:
        control.pause(session, control.find(session, rollout, writing=True), by="operator", because="lunch", now=house.clock.now())
        session.add(Worker(name="w", site="main", host="h", slots={"update": 9}, started_at=house.clock.now(), seen_at=house.clock.now()))
    dispatcher = Dispatcher(house.database, SilentBell(), house.clock, name="test")  # type: ignore[arg-type]
    assert dispatcher.go_round().dispatched == 0
    with house.database.read() as session:
        reasons = why(house.database, session, session.get_one(Job, house.flying(rollout)[0]))
    assert [reason.code for reason in reasons] == ["campaign"]
    assert "lunch" in reasons[0].text
    house.clock.pass_(timedelta(days=3))
    assert dispatcher.go_round().dispatched == 0
    assert {house.job(job_id).state for job_id in house.flying(rollout)} == {State.QUEUED}  # their deadlines wait with them
    with house.database.write() as session:
        control.resume(session, control.find(session, rollout, writing=True), by="operator", because="", now=house.clock.now())
        session.merge(Worker(name="w", site="main", host="h", slots={"update": 9}, started_at=house.clock.now(), seen_at=house.clock.now()))
    assert dispatcher.go_round().dispatched == 3


def test_a_window_that_ends_in_the_middle_pauses_it_until_the_next_one(house: House) -> None:
    house.containers(6)
    rollout = house.start(at_once={"all": 2}, windows=["12:00-13:00"], budget=ROOMY, deadline="2h")
    house.step()
    house.end(*house.flying(rollout), after=timedelta(minutes=20))
    house.step()
    house.clock.pass_(timedelta(minutes=41))
    house.step()
    campaign = house.campaign(rollout)
    assert (campaign.state, campaign.resumes_at) == (CampaignState.WAITING, house.clock.now().replace(hour=12, minute=0) + timedelta(days=1))
    assert len(house.flying(rollout)) == 2
    house.end(house.flying(rollout)[0])  # it had begun before the window closed
    house.step(3)
    assert house.counts(rollout) == {Outcome.OK: 3, Outcome.IN_FLIGHT: 1, Outcome.NOT_STARTED: 2}
    house.clock.pass_(campaign.resumes_at - house.clock.now())
    house.run(rollout)
    assert house.campaign(rollout).state == CampaignState.DONE
    assert house.events(rollout) == ["started", "wave", "window_closed", "window_opened", "finished"]


def test_a_deadline_is_extended_by_real_progress_only(house: House) -> None:
    house.containers(4)
    rollout = house.start(at_once={"all": 1}, budget=ROOMY, deadline="1h")
    for _ in range(2):
        house.step()
        house.end(*house.flying(rollout), after=timedelta(minutes=50))
    house.step()
    house.end(*house.flying(rollout), outcome="failed", after=timedelta(minutes=50))
    house.step()
    house.clock.pass_(timedelta(minutes=11))
    house.step(2)
    assert house.campaign(rollout).state == CampaignState.STOPPED
    assert "no target ended well for 60 min" in house.campaign(rollout).why
    assert house.counts(rollout) == {Outcome.OK: 2, Outcome.FAILED: 1, Outcome.NOT_STARTED: 1}


@pytest.mark.parametrize(
    ("reach", "name"), [(Reach.EVERYTHING, ""), (Reach.KIND, "update-container"), (Reach.SITE, "main"), (Reach.PRODUCER, "operator")]
)
def test_while_all_that_it_has_left_is_paused_neither_its_deadline_nor_its_patience_runs(house: House, reach: Reach, name: str) -> None:
    house.containers(3)
    rollout = house.start(at_once={"all": 1}, budget=ROOMY, deadline="2h")
    house.step()
    with house.database.write() as session:
        rest(session, reach, name, by="alice", because="new disks", now=house.clock.now())
    for _ in range(5):
        house.clock.pass_(timedelta(hours=1))
        house.step()
    campaign = house.campaign(rollout)
    assert (campaign.state, f"{campaign.why}.") == (CampaignState.RUNNING, f"{f'{reach} {name}'.strip()} is paused by alice: new disks.")
    with house.database.write() as session:
        go_on(session, reach, name, by="alice", because="", now=house.clock.now())
    house.clock.pass_(timedelta(minutes=119))
    house.step()
    assert house.campaign(rollout).state == CampaignState.RUNNING
    house.clock.pass_(timedelta(minutes=2))
    house.step()
    assert "stalled" in house.events(rollout)


def test_a_pause_of_a_part_of_it_is_no_excuse(house: House) -> None:
    house.containers(3)
    rollout = house.start(at_once={"all": 1}, budget=ROOMY, deadline="2h")
    house.step()
    with house.database.write() as session:
        rest(session, Reach.NODE, "n1", by="alice", because="new disks", now=house.clock.now())
    house.clock.pass_(timedelta(hours=3))
    house.step()
    assert "stalled" in house.events(rollout)


def test_a_container_that_vanishes_in_the_middle_is_skipped_and_the_counts_add_up(house: House) -> None:
    house.containers(3)
    rollout = house.start(at_once={"all": 1}, budget=ROOMY)
    house.step()
    gone, foreign = [target.ctid for target in house.targets(rollout) if target.outcome is Outcome.NOT_STARTED]
    with house.database.write() as session:
        session.delete(session.get_one(Container, gone))
        session.get_one(Container, foreign).state = ContainerState.FOREIGN  # its id is somebody else's now
    house.run(rollout)
    assert house.campaign(rollout).state == CampaignState.DONE
    assert house.counts(rollout) == {Outcome.OK: 1, Outcome.SKIPPED: 2}
    reasons = {target.reason for target in house.targets(rollout) if target.ctid in (gone, foreign)}
    assert reasons == {"it is gone: there is no such container any more"}


def test_containers_that_are_stopped_suspended_or_gone_are_skipped_with_the_reason(house: House) -> None:
    house.containers(5)
    rollout = house.start(budget=ROOMY, at_once={"all": 1})
    with house.database.write() as session:
        session.get_one(Container, 1002).standing = Standing.STOPPED
        session.get_one(Container, 1003).standing = Standing.SUSPENDED
        session.delete(session.get_one(Container, 1004))
    house.run(rollout)
    assert house.counts(rollout) == {Outcome.OK: 2, Outcome.SKIPPED: 3}
    reasons = {target.ctid: target.reason for target in house.targets(rollout) if target.reason}
    assert reasons == {1002: "it is stopped", 1003: "it is suspended", 1004: "it is gone: there is no such container any more"}


def test_a_stopped_container_is_waited_for_where_the_specification_says_so(house: House) -> None:
    house.containers(3)
    with house.database.write() as session:
        session.get_one(Container, 1002).standing = Standing.STOPPED
    rollout = house.start(budget=ROOMY, unready={"stopped": "wait"})
    house.step()
    house.end(*house.flying(rollout))
    house.step()
    assert house.counts(rollout) == {Outcome.OK: 2, Outcome.NOT_STARTED: 1}
    assert house.campaign(rollout).why == "1 of wave 0 wait: it is stopped"
    with house.database.write() as session:
        session.get_one(Container, 1002).standing = Standing.RUNNING
    house.clock.pass_(timedelta(seconds=6))
    house.run(rollout)
    assert house.counts(rollout) == {Outcome.OK: 3}


def test_what_is_on_a_draining_node_waits_until_it_is_elsewhere(house: House) -> None:
    house.containers(3)
    with house.database.write() as session:
        session.get_one(Node, "n1").state = NodeState.DRAINING
    rollout = house.start(budget=ROOMY)
    house.step()
    house.end(*house.flying(rollout))
    house.step()
    assert house.counts(rollout) == {Outcome.OK: 2, Outcome.NOT_STARTED: 1}
    assert house.campaign(rollout).why == "1 of wave 0 wait: node n1 is draining"
    with house.database.write() as session:
        moved = next(target.ctid for target in house.targets(rollout) if target.node == "n1")
        session.get_one(Container, moved).node = "n2"
    house.clock.pass_(timedelta(seconds=6))
    house.run(rollout)
    assert house.counts(rollout) == {Outcome.OK: 3}
    assert {target.node for target in house.targets(rollout)} == {"n2", "n3"}


def test_a_node_that_does_not_answer_makes_its_targets_unreachable(house: House) -> None:
    house.containers(6)
    rollout = house.start(at_once={"all": 6, "per_node": 6}, budget=ROOMY, patience="10m")
    house.step()
    with house.database.write() as session:
        node = session.get_one(Node, "n1")
        node.faults, node.broken_until, node.finding_why = 5, house.clock.now() + timedelta(hours=1), "n1 does not answer"
    lost = [target.ctid for target in house.targets(rollout) if target.node == "n1"]
    house.end(*[target.job_id for target in house.targets(rollout) if target.node != "n1" and target.job_id])
    house.step()
    assert house.counts(rollout) == {Outcome.OK: 4, Outcome.IN_FLIGHT: 2}
    house.clock.pass_(timedelta(minutes=11))
    house.step(2)
    assert house.counts(rollout) == {Outcome.OK: 4, Outcome.UNREACHABLE: 2}
    assert house.campaign(rollout).state == CampaignState.DONE
    given_up = [target for target in house.targets(rollout) if target.ctid in lost]
    assert {house.job(target.job_id or "").state for target in given_up} == {State.CANCELLED}
    assert all("n1 does not answer" in target.reason for target in given_up)


def test_a_target_whose_job_may_still_come_to_a_good_end_is_not_retried(house: House) -> None:
    house.containers(1)
    rollout = house.start(budget=ROOMY, patience="10m")
    house.step()
    (job_id,) = house.flying(rollout)
    with house.database.write() as session:
        session.get_one(Job, job_id).begun = True  # and then its node went away
        node = session.get_one(Node, house.targets(rollout)[0].node)
        node.faults, node.broken_until, node.finding_why = 5, house.clock.now() + timedelta(hours=1), "it does not answer"
    house.clock.pass_(timedelta(minutes=11))
    house.step(3)
    assert house.counts(rollout) == {Outcome.UNREACHABLE: 1}
    with house.database.read() as session, pytest.raises(Refusal, match="is still queued: it would be updated twice"):
        left_over(session, control.find(session, rollout))
    house.end(job_id)
    with house.database.read() as session:
        assert len(left_over(session, control.find(session, rollout))) == 1


@pytest.mark.parametrize(
    ("outcome", "error_class", "counted"),
    [
        ("failed", "Concluded", Outcome.FAILED),
        ("regressed", "Concluded", Outcome.REGRESSED),
        ("skipped", "Concluded", Outcome.SKIPPED),
        ("up-to-date", "", Outcome.UP_TO_DATE),
        ("", "Unreachable", Outcome.UNREACHABLE),
        ("", "Permanent", Outcome.FAILED),
    ],
)
def test_each_end_of_a_job_has_its_outcome(house: House, outcome: str, error_class: str, counted: Outcome) -> None:
    house.containers(1)
    rollout = house.start(budget=ROOMY)
    house.step()
    house.end(*house.flying(rollout), outcome=outcome, error_class=error_class)
    house.step()
    assert house.counts(rollout) == {counted: 1}


def test_a_job_that_somebody_cancels_is_skipped(house: House) -> None:
    house.containers(1)
    rollout = house.start(budget=ROOMY)
    house.step()
    with house.database.write() as session:
        cancel(house.database, session, session.get_one(Job, house.flying(rollout)[0]), by="operator", because="not that one")
    house.step()
    assert house.counts(rollout) == {Outcome.SKIPPED: 1}


def test_an_aborted_one_counts_what_was_taken_back_as_not_started(house: House) -> None:
    house.containers(6)
    rollout = house.start(at_once={"all": 2}, budget=ROOMY)
    house.step()
    house.end(house.flying(rollout)[0])
    with house.database.write() as session:
        control.abort(session, control.find(session, rollout, writing=True), by="operator", because="", now=house.clock.now())
    house.step(2)
    assert house.campaign(rollout).state == CampaignState.ABORTED
    assert house.counts(rollout) == {Outcome.OK: 1, Outcome.NOT_STARTED: 5}
    with house.database.write() as session, pytest.raises(Refusal, match="is aborted; it cannot be told to pause"):
        control.pause(session, control.find(session, rollout, writing=True), by="operator", because="", now=house.clock.now())


def test_a_retry_takes_up_exactly_what_failed_and_what_was_not_started(house: House) -> None:
    house.containers(8)
    rollout = house.start(waves={"canaries": [1003], "sizes": [2]}, at_once={"all": 2}, budget={"failures": 1, "rate": None, "canaries": 1})
    house.step()
    house.end(*house.flying(rollout))
    house.step()
    house.end(*house.flying(rollout), outcome="failed")
    house.step(2)
    assert house.campaign(rollout).state == CampaignState.STOPPED
    left = {target.ctid for target in house.targets(rollout) if target.outcome in (Outcome.FAILED, Outcome.NOT_STARTED)}
    with house.database.read() as session:
        assert {target.ctid for target in left_over(session, control.find(session, rollout))} == left
    with house.database.write() as session:
        again = retry(house.database, house.intake, session, control.find(session, rollout), by="operator")
        assert not again.replay
    with house.database.write() as session:
        assert retry(house.database, house.intake, session, control.find(session, rollout), by="operator").replay
    assert {target.ctid for target in house.targets(again.campaign.id)} == left
    house.run(again.campaign.id)
    assert house.counts(again.campaign.id) == {Outcome.OK: len(left)}
    assert house.campaign(again.campaign.id).retry_of == rollout
    with house.database.read() as session, pytest.raises(Refusal, match="nothing to retry"):
        left_over(session, control.find(session, again.campaign.id))


def test_two_campaigners_order_each_target_once(house: House) -> None:
    house.containers(6)
    rollout = house.start(at_once={"all": 6, "per_node": 6}, budget=ROOMY)
    other = Campaigner(house.database, house.intake)
    assert house.step() + other.run_once() + house.step() + other.run_once() == 6
    with house.database.read() as session:
        assert len(session.exec(select(Job.id).where(Job.campaign == rollout)).all()) == 6


def test_the_second_roll_out_on_a_container_waits_and_says_for_whom(house: House) -> None:
    house.containers(1)
    first, second = house.start(budget=ROOMY), house.start(budget=ROOMY)
    house.step()
    waiting = house.flying(second)[0]
    with house.database.read() as session:
        reasons = why(house.database, session, session.get_one(Job, waiting))
    assert house.flying(first)[0] in [reason.holder for reason in reasons if reason.code == "container"]


def test_another_speed_holds_from_the_next_start_on(house: House) -> None:
    house.containers(9)
    rollout = house.start(at_once={"all": 1}, budget=ROOMY)
    house.step()
    with house.database.write() as session:
        campaign = control.find(session, rollout, writing=True)
        control.speed(session, campaign, at_once=6, per_node=2, by="operator", because="night", now=house.clock.now())
    house.step()
    assert len(house.flying(rollout)) == 6


def test_the_same_key_is_the_same_roll_out_and_another_one_is_refused(house: House) -> None:
    house.containers(2)
    first = house.start(key="k")
    assert house.start(key="k") == first
    with house.database.write() as session, pytest.raises(KeyReused, match=r"was used for rollout \w+ .*different: action"):
        start(house.database, house.intake, session, make_spec("exit 1"), by="operator", key="k")


def test_an_empty_selection_is_refused(house: House) -> None:
    house.containers(2)
    with house.database.write() as session, pytest.raises(BadOrder, match="no container fits labels role"):
        start(house.database, house.intake, session, make_spec(selector={"labels": {"role": "db"}}), by="operator")


def test_what_cannot_be_read_lays_only_itself_aside(house: House) -> None:
    house.containers(2)
    broken, sound = house.start(budget=ROOMY), house.start(budget=ROOMY, selector={"ids": [1002]})
    with house.database.write() as session:
        control.find(session, broken, writing=True).spec = {"version": 99}
    house.step()
    assert house.campaign(broken).state == CampaignState.PAUSED
    assert len(house.flying(sound)) == 1


def test_the_meters_tell_what_has_not_ended(house: House) -> None:
    house.containers(4)
    rollout = house.start(at_once={"all": 1}, budget=ROOMY)
    house.step()
    registry = CollectorRegistry()
    registry.register(FromDatabase(house.database))
    assert registry.get_sample_value("vzq_campaigns", {"kind": "rollout", "state": "running"}) == 1
    assert registry.get_sample_value("vzq_campaign_targets", {"kind": "rollout", "outcome": "not-started"}) == 3
    house.run(rollout)
    assert registry.get_sample_value("vzq_campaigns", {"kind": "rollout", "state": "running"}) is None
