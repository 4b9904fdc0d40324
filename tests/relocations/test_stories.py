"""Evacuation, return, rebalancing and rolling reboot as an operator meets them: real processes, and the nodes have the last word."""

import json

import pytest

from models.campaign_states import CampaignState, Outcome
from models.fleet import NodeState
from tests.relocations.conftest import Fleet

pytestmark = pytest.mark.timeout(300)  # several moves, each of some seconds on a busy machine


def test_a_node_is_emptied_stays_drained_and_gets_exactly_those_back(fleet: Fleet) -> None:
    there, elsewhere = fleet.put(3, "n1"), fleet.put(1, "n2")
    gone = fleet.vzq("node", "evacuate", "n1", "--wait")
    assert (gone.returncode, gone.stdout.splitlines()[-1]) == (0, "n1: 0 containers, drained"), gone
    assert fleet.on("n1") == set()
    assert fleet.node("n1").state is NodeState.DRAINING
    assert fleet.once(there | elsewhere)

    again = fleet.vzq("node", "evacuate", "n1", "--wait")
    assert (again.returncode, again.stdout.splitlines()) == (0, ["nothing has to move", "n1: 0 containers, drained"]), again

    back = fleet.vzq("node", "return", "n1", "--wait")
    assert back.returncode == 0, back
    assert fleet.on("n1") == there
    assert fleet.once(there | elsewhere)
    assert fleet.node("n1").state is NodeState.ACTIVE
    fleet.empty()


def test_without_room_elsewhere_nothing_moves_and_the_reason_is_told(fleet: Fleet) -> None:
    there = fleet.put(1, "n1")
    for other in ("n2", "n3"):
        assert fleet.vzq("node", "drain", other).returncode == 0
    refused = fleet.vzq("node", "evacuate", "n1", "--wait")
    assert refused.returncode == 4, refused
    assert refused.stdout.splitlines()[-1] == "n1: 1 containers, drained"
    assert "failed: no node can take it" in refused.stdout or "draining" in refused.stdout, refused
    assert fleet.on("n1") == there
    fleet.empty()


def test_an_evacuation_waits_for_what_is_on_its_way_already_and_counts_no_failure(fleet: Fleet) -> None:
    there = fleet.put(2, "n1")
    leaving = min(there)
    fleet.ctl("n1", "fault", command="vzmigrate", action="hold", phase="first-rsync", ctid=leaving)
    assert fleet.vzq("migrate", str(leaving), "n2", "--online").returncode == 0
    assert fleet.ctl("n1", "held", phase="first-rsync", wait_s=60)
    assert fleet.vzq("node", "evacuate", "n1", "--failures", "0").returncode == 0
    fleet.until(lambda: any(target.outcome == Outcome.OK for target in fleet.targets()), "the other one to leave")
    fleet.ctl("n1", "release")
    fleet.until(lambda: fleet.campaign().over, "the end of it")
    assert fleet.campaign().state is CampaignState.DONE
    assert {target.ctid: target.outcome for target in fleet.targets()} == {ctid: Outcome.SKIPPED if ctid == leaving else Outcome.OK for ctid in there}
    assert fleet.on("n1") == set()
    assert fleet.once(there)
    fleet.empty()


def test_a_second_evacuation_of_a_node_is_refused_while_the_first_goes_on(fleet: Fleet) -> None:
    there = fleet.put(1, "n1")
    fleet.ctl("n1", "fault", command="vzmigrate", action="hold", phase="first-rsync")
    assert fleet.vzq("node", "evacuate", "n1").returncode == 0
    assert fleet.ctl("n1", "held", phase="first-rsync", wait_s=60)
    second = fleet.vzq("node", "evacuate", "n1", "--wait")
    assert second.returncode == 3, second
    assert "wait for its end or abort it" in second.stderr
    fleet.ctl("n1", "release")
    fleet.until(lambda: fleet.campaign().over, "the end of the first")
    assert fleet.campaign().state is CampaignState.DONE
    assert fleet.once(there)
    fleet.empty()


def test_service_and_worker_killed_in_the_middle_change_nothing(fleet: Fleet) -> None:
    there = fleet.put(3, "n1")
    fleet.ctl("n1", "fault", command="vzmigrate", action="hold", phase="first-rsync")
    assert fleet.vzq("node", "evacuate", "n1").returncode == 0
    assert fleet.ctl("n1", "held", phase="first-rsync", wait_s=60)
    for name in ("worker", "service"):
        fleet.restart(name)
    fleet.ctl("n1", "release")
    fleet.until(lambda: fleet.campaign().over, "the end of the evacuation")
    assert [target.outcome for target in fleet.targets()] == [Outcome.OK] * 3
    assert fleet.on("n1") == set()
    assert fleet.once(there)
    fleet.empty()


def test_a_rolling_reboot_empties_nodes_together_reboots_them_into_their_kernel_and_fills_them_again(fleet: Fleet) -> None:
    first, second = fleet.put(2, "n1"), fleet.put(1, "n2")
    before = {name: fleet.boot(name) for name in ("n1", "n2", "n3")}
    kernel = fleet.node("n1").abilities["kernel"]
    went = fleet.vzq("fleet", "reboot", "n1", "n2", "--together", "2", "--kernel", kernel, "--wait")
    assert went.returncode == 0, went
    assert {name for name, boot in before.items() if fleet.boot(name) != boot} == {"n1", "n2"}
    assert (fleet.on("n1"), fleet.on("n2"), fleet.on("n3")) == (first, second, set())
    assert fleet.once(first | second)
    assert [fleet.node(name).state for name in ("n1", "n2")] == [NodeState.ACTIVE] * 2
    fleet.empty()


def test_after_a_node_that_comes_up_with_another_kernel_no_other_is_touched(fleet: Fleet) -> None:
    before = {name: fleet.boot(name) for name in ("n1", "n2")}
    went = fleet.vzq("fleet", "reboot", "n1", "n2", "--kernel", "9.9.9-newer", "--wait")
    assert went.returncode == 4, went
    assert "n1 is back with kernel" in went.stdout
    assert {name for name, boot in before.items() if fleet.boot(name) != boot} == {"n1"}
    assert (fleet.node("n1").state, fleet.node("n2").state) == (NodeState.DRAINING, NodeState.ACTIVE)
    fleet.empty()


def test_a_fleet_is_evened_out_as_its_plan_said(fleet: Fleet) -> None:
    there = fleet.put(4, "n1", plan="large")
    plan = fleet.vzq("fleet", "rebalance", "n1", "n2", "--margin", "4", "--plan", "--json")
    assert plan.returncode == 0, plan
    assert fleet.on("n1") == there
    went = fleet.vzq("fleet", "rebalance", "n1", "n2", "--margin", "4", "--wait")
    assert went.returncode == 0, went
    assert (len(fleet.on("n1")), len(fleet.on("n2"))) == (2, 2)
    assert fleet.once(there)
    level = fleet.vzq("fleet", "rebalance", "n1", "n2", "--margin", "4", "--wait")
    assert level.returncode == 3
    assert "within the margin" in level.stderr
    fleet.empty()


def test_a_reboot_that_would_find_containers_left_stops_before_it(fleet: Fleet) -> None:
    there, before = fleet.put(1, "n1"), fleet.boot("n1")
    for other in ("n2", "n3"):
        assert fleet.vzq("node", "drain", other).returncode == 0
    went = fleet.vzq("fleet", "reboot", "n1", "--wait")
    assert went.returncode == 4, went
    assert "1 containers are still on it" in went.stdout
    assert fleet.boot("n1") == before
    assert fleet.on("n1") == there
    fleet.empty()


# The last ones: what they leave on a node is nobody's, and stays.


def test_placement_sends_nothing_where_something_of_its_id_was_found(fleet: Fleet) -> None:
    [ctid] = fleet.put(1, "n2")
    fleet.ctl("n3", "stranger", ctid=ctid, name="x", hostname="x.example", running=False)
    fleet.put(1, "n1")  # so n3, which has none, would be chosen
    assert fleet.vzq("node", "observe", "n3", "--wait").returncode == 0
    assert fleet.vzq("node", "evacuate", "n2", "--wait").returncode == 0
    assert ctid in fleet.on("n1")
    fleet.empty()


def test_a_node_on_which_somebody_elses_container_runs_is_not_called_empty(fleet: Fleet) -> None:
    fleet.ctl("n1", "stranger", ctid=500, name="foo", hostname="foo.example", address="127.93.225.9", running=True)
    assert fleet.vzq("node", "observe", "n1", "--wait").returncode == 0
    gone = fleet.vzq("node", "evacuate", "n1", "--wait")
    assert (gone.returncode, gone.stdout.splitlines()[-1]) == (4, "n1: 0 containers and 1 unknown ones, drained"), gone
    [told] = [json.loads(line) for line in fleet.vzq("node", "evacuate", "n1", "--wait", "--json").stdout.splitlines()]
    assert told == {"node": "n1", "state": "draining", "containers": 0, "unknown": 1, "making": []}
    fleet.vzq("node", "activate", "n1")
