"""Alertmanager's webhook: off unless rules say what an alert does, once for each firing, never more than they allow."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from models.access import Audit
from models.campaign_states import CampaignState
from models.campaigns import Campaign, CampaignKind
from models.fleet import Node, NodeState
from producers.api.settings import ApiSettings
from producers.house import House
from tests.api.conftest import Api, serve
from tests.factories import make_container

RULES = """
Slow: {do: hold}
OneSlow: {do: hold, campaign: rollout, match: {severity: page}}
Hot: {do: drain}
Dying: {do: evacuate, node: host, options: {mode: offline}}
Trial: {do: drain, dry_run: true}
"""
SPEC = {"name": "security", "selector": {"all": True}, "action": {"do": "script", "interpreter": "sh", "text": "exit 0"}}
MORNING, EVENING = "2026-03-02T08:00:00.123Z", "2026-03-02T18:00:00Z"


@pytest.fixture
def ruled(lite_house: House, tmp_path: Path) -> Iterator[Api]:
    """An API whose alerts do what RULES say; two nodes, one container on n1."""
    (tmp_path / "alerts.yml").write_text(RULES)
    for api in serve(lite_house, alert_rules=tmp_path / "alerts.yml"):
        with lite_house.database.write() as session:
            session.add(make_container(1001, node="n1"))
        yield api


def alert(name: str, *, since: str = MORNING, status: str = "firing", fingerprint: str = "00112233445566aa", **labels: str) -> dict[str, Any]:
    """As Alertmanager sends it, with much that is not read."""
    one = {
        "status": status, "labels": {"alertname": name} | labels, "annotations": {"summary": "it is\nbad"}, "startsAt": since,
        "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://prometheus/graph", "fingerprint": fingerprint,
    }  # fmt: skip
    return {"version": "4", "groupKey": "{}:{}", "status": status, "receiver": "vzq", "alerts": [one], "truncatedAlerts": 0}


def told(api: Api, body: dict[str, Any], **params: Any) -> tuple[str, str]:
    answer = api.post("/v1/alerts", body, token="alert", params=params)
    assert answer.status_code == 200, answer.text
    (one,) = answer.json()["alerts"]
    return one["verdict"], one["what"]


def activate(api: Api, node: str) -> None:
    with api.client() as client:
        assert client.patch(f"/v1/nodes/{node}", json={"state": "active"}).status_code == 200


def state_of(api: Api, node: str) -> NodeState:
    with api.house.database.read() as session:
        return session.get_one(Node, node).state


def audited(api: Api) -> list[Audit]:
    with api.house.database.read() as session:
        return list(session.exec(select(Audit).where(col(Audit.action).startswith("alert ")).order_by(col(Audit.id))).all())


def test_alerts_do_nothing_unless_rules_are_named(lite: Api) -> None:
    answer = lite.post("/v1/alerts", alert("Hot", node="n1"), token="alert")
    assert answer.status_code == 409
    assert "VZQ_ALERT_RULES" in answer.json()["detail"]
    assert state_of(lite, "n1") is NodeState.ACTIVE
    assert ApiSettings().alert_rules is None


def test_a_node_is_drained_once_for_each_firing(ruled: Api) -> None:
    assert told(ruled, alert("Hot", node="n1")) == ("done", "node n1 gets nothing new")
    assert state_of(ruled, "n1") is NodeState.DRAINING
    activate(ruled, "n1")
    assert told(ruled, alert("Hot", node="n1"))[0] == "before"  # Alertmanager repeats itself: the person who let it go on is right
    assert state_of(ruled, "n1") is NodeState.ACTIVE
    assert told(ruled, alert("Hot", node="n1", since=EVENING))[0] == "done"
    (first, second) = audited(ruled)
    assert (first.by, first.action, first.subject, first.because) == ("alert", "alert drain", "node:n1", "alert Hot: it is bad")
    assert second.data["starts_at"] > first.data["starts_at"]


def test_a_storm_of_alerts_does_not_empty_the_fleet(ruled: Api) -> None:
    assert told(ruled, alert("Hot", node="n1"))[0] == "done"
    verdict, what = told(ruled, alert("Hot", node="n2", fingerprint="00112233445566bb"))
    assert verdict == "refused"
    assert "n1 already take nothing new" in what
    assert state_of(ruled, "n2") is NodeState.ACTIVE
    activate(ruled, "n1")
    assert told(ruled, alert("Hot", node="n2", fingerprint="00112233445566bb"))[0] == "done"  # a refusal is no act


def test_running_rollouts_are_held_and_resumed_by_people_alone(ruled: Api) -> None:
    assert told(ruled, alert("Slow"))[0] == "ignored"  # nothing runs
    begun = ruled.post("/v1/rollouts", SPEC).json()["id"]
    verdict, what = told(ruled, alert("Slow"))
    assert (verdict, what) == ("done", f"paused rollout security ({begun[-8:]})")
    with ruled.house.database.read() as session:
        campaign = session.get_one(Campaign, begun)
    assert campaign.state is CampaignState.PAUSED
    assert "alert Slow: it is bad" in campaign.why
    assert ruled.post(f"/v1/campaigns/{begun}:resume").status_code == 200
    assert told(ruled, alert("Slow"))[0] == "before"
    assert told(ruled, alert("Slow", status="resolved", since=EVENING))[0] == "ignored"
    assert ruled.get(f"/v1/campaigns/{begun}").json()["state"] == "running"


def test_a_rule_may_be_about_one_campaign_and_some_labels(ruled: Api) -> None:
    begun = ruled.post("/v1/rollouts", SPEC).json()["id"]
    assert told(ruled, alert("OneSlow", severity="ticket", rollout="security"))[0] == "ignored"
    assert told(ruled, alert("OneSlow", severity="page"))[0] == "refused"  # no label that names it
    assert told(ruled, alert("OneSlow", severity="page", rollout="other"))[0] == "refused"
    assert told(ruled, alert("OneSlow", severity="page", rollout="security"))[0] == "done"
    assert ruled.get(f"/v1/campaigns/{begun}").json()["state"] == "paused"


def test_a_node_is_evacuated_by_a_campaign_of_its_own(ruled: Api) -> None:
    verdict, what = told(ruled, alert("Dying", host="n1"))
    assert (verdict, what.partition(" of ")[2]) == ("done", "node n1: 1 moves")
    with ruled.house.database.read() as session:
        (campaign,) = session.exec(select(Campaign)).all()
    assert (campaign.kind, campaign.spec["mode"], campaign.producer) == (CampaignKind.EVACUATION, "offline", "alert")
    assert state_of(ruled, "n1") is NodeState.DRAINING
    assert audited(ruled)[0].action == "alert evacuate"


def test_a_dry_run_tells_and_changes_nothing(ruled: Api) -> None:
    assert told(ruled, alert("Trial", node="n1")) == ("would", "node n1 gets nothing new")
    verdict, what = told(ruled, alert("Dying", host="n1"), dry_run=True)
    assert (verdict, "node n1: 1 moves" in what) == ("would", True)
    assert state_of(ruled, "n1") is NodeState.ACTIVE
    assert audited(ruled) == []
    with ruled.house.database.read() as session:
        assert session.exec(select(Campaign)).all() == []
    assert told(ruled, alert("Dying", host="n1"))[0] == "done"


@pytest.mark.parametrize("labels", [{"node": "n9"}, {}, {"node": "n1; reboot"}])
def test_what_names_no_node_is_refused(ruled: Api, labels: dict[str, str]) -> None:
    assert told(ruled, alert("Hot", **labels))[0] == "refused"


def test_an_alert_without_a_rule_is_ignored(ruled: Api) -> None:
    assert told(ruled, alert("Other", node="n1")) == ("ignored", "no rule is about it")


@pytest.mark.parametrize(
    "text", ["Hot: {do: explode}", "Hot: [", "Hot: {do: drain, at_most: 0}", "Dying: {do: evacuate, options: {speed: 9}}", "- a"]
)
def test_broken_rules_refuse_every_alert_and_say_why(ruled: Api, tmp_path: Path, text: str) -> None:
    (tmp_path / "alerts.yml").write_text(text)
    answer = ruled.post("/v1/alerts", alert("Hot", node="n1"), token="alert")
    assert answer.status_code == 503
    assert "alerts.yml" in answer.json()["detail"]


def test_what_is_no_notification_is_refused(ruled: Api) -> None:
    for body in ({"version": "3", "alerts": []}, {"version": "4"}, alert("Hot", fingerprint="x; y"), alert("Hot", since="yesterday")):
        assert ruled.post("/v1/alerts", body, token="alert").status_code == 422
