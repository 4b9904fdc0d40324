"""Roll-outs, campaigns and schedules over HTTP, and that their answers have the fields that the document names."""

import json
from typing import Any

import pytest

from models.fleet import Container, ContainerState
from producers.api import campaign_answers as answers
from producers.campaigns.campaigner import Campaigner
from tests.api.conftest import Api
from tests.stand_ins import NOON

SPEC: dict[str, Any] = {"selector": {"all": True}, "action": {"do": "script", "interpreter": "sh", "text": "exit 0"}, "waves": {"canaries": [1001]}}
SCHEDULE: dict[str, Any] = {"name": "nightly", "spec": SPEC, "cron": "0 3 * * *", "timezone": "Europe/Berlin"}


def containers(api: Api, count: int = 4) -> None:
    with api.house.database.write() as session:
        for ctid in range(1001, 1001 + count):
            fields: dict[str, Any] = {"node": f"n{ctid % 2 + 1}", "site": "main", "state": ContainerState.PRESENT, "hostname": f"ct{ctid}"}
            session.add(Container(ctid=ctid, since=NOON, job_id=f"{ctid:026}", **fields))


def keys(form: Any) -> set[str]:
    return set(form.model_fields)


def test_a_roll_out_is_planned_begun_followed_and_ended(api: Api) -> None:
    containers(api)
    sheet = api.post("/v1/rollouts:plan", SPEC, token="read").json()
    assert sheet.keys() == keys(answers.Sheet)
    assert (sheet["population"], sheet["waves"], sheet["stops"][0]) == (4, [1, 3], {"failures": 1, "of": 1, "canaries": True})
    begun = api.post("/v1/rollouts", SPEC, key="monday", params={"because": "CVE-2026-1"})
    assert begun.status_code == 202
    campaign = begun.json()
    assert campaign.keys() == keys(answers.Campaign)
    assert api.get(begun.headers["Location"]).json()["id"] == campaign["id"]
    Campaigner(api.house.database, api.house.intake).run_once()
    counts = api.get(f"/v1/campaigns/{campaign['id']}").json()["counts"]
    assert sum(counts.values()) == 4
    assert {outcome: count for outcome, count in counts.items() if count} == {"in-flight": 1, "not-started": 3}
    (target,) = api.get(f"/v1/campaigns/{campaign['id']}/targets", params={"outcome": "in-flight"}).json()["items"]
    assert target.keys() == keys(answers.Target)
    assert api.get(f"/v1/jobs/{target['job']}").json()["campaign"] == campaign["id"]
    events = api.get(f"/v1/campaigns/{campaign['id']}/events").json()["items"]
    assert [event["cause"] for event in events] == ["started", "wave"]
    assert all(event.keys() == keys(answers.CampaignEvent) for event in events)
    assert api.post(f"/v1/campaigns/{campaign['id']}:pause", params={"because": "lunch"}).json()["state"] == "paused"
    assert api.post(f"/v1/campaigns/{campaign['id']}:pause").status_code == 409
    assert api.post(f"/v1/campaigns/{campaign['id']}:speed", params={"at_once": 3}).json()["speed"] == 3
    assert api.post(f"/v1/campaigns/{campaign['id']}:resume", params={"more_failures": 2}).json()["more_failures"] == 2
    assert api.post(f"/v1/rollouts/{campaign['id']}:retry").status_code == 409
    assert api.post(f"/v1/campaigns/{campaign['id']}:abort").json()["state"] == "aborting"
    Campaigner(api.house.database, api.house.intake).run_once()
    report = api.get(f"/v1/rollouts/{campaign['id']}/report").json()
    assert report.keys() == keys(answers.Report)
    assert (report["state"], report["nodes"]["n1"]["not-started"]) == ("aborted", 2)
    left = api.post(f"/v1/rollouts/{campaign['id']}:retry", params={"dry_run": True})
    assert (left.status_code, left.json()["population"]) == (200, 4)
    again = api.post(f"/v1/rollouts/{campaign['id']}:retry")
    assert (again.status_code, again.json()["retry_of"]) == (202, campaign["id"])
    assert api.post(f"/v1/rollouts/{campaign['id']}:retry").headers["Idempotency-Replayed"] == "true"
    assert {row["id"] for row in api.get("/v1/campaigns", params={"open": True}).json()["items"]} == {again.json()["id"]}


def test_a_stream_tells_moves_and_counts_until_the_campaign_is_over(api: Api) -> None:
    containers(api)
    campaign = api.post("/v1/rollouts", SPEC).json()["id"]
    runner = Campaigner(api.house.database, api.house.intake)
    told: list[str] = []
    with api.client() as client, client.stream("GET", f"/v1/campaigns/{campaign}/events", headers={"Accept": "text/event-stream"}) as stream:
        for line in stream.iter_lines():
            if line.startswith("event: "):
                told.append(line.removeprefix("event: "))
            if line.startswith("data: ") and told == ["campaign.started", "counts"]:
                assert json.loads(line.removeprefix("data: "))["not-started"] == 4
                runner.run_once()
            if told[-1:] == ["counts"] and "campaign.wave" in told and "campaign.aborted" not in told:
                api.post(f"/v1/campaigns/{campaign}:abort")
                runner.run_once()
    assert [event for event in told if event != "counts"] == [f"campaign.{cause}" for cause in ("started", "wave", "aborted", "ran_out")]
    with api.client() as client:
        resumed = client.get(f"/v1/campaigns/{campaign}/events", headers={"Accept": "text/event-stream", "Last-Event-ID": "2"}).text
    assert "campaign.started" not in resumed
    assert "campaign.ran_out" in resumed


def test_the_same_key_is_the_same_roll_out(api: Api) -> None:
    containers(api)
    first = api.post("/v1/rollouts", SPEC, key="k")
    again = api.post("/v1/rollouts", SPEC, key="k")
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    other = api.post("/v1/rollouts", SPEC | {"name": "other"}, key="k")
    assert (other.status_code, other.json()["type"]) == (422, "urn:vzq:problem:key-reused")
    assert api.post("/v1/rollouts", SPEC, key="k", token="operate").json()["id"] != first.json()["id"]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (SPEC | {"selector": {}}, "selector"),
        (SPEC | {"selector": {"labels": {"role": "db"}}}, "selector"),
        (SPEC | {"waves": {"canaries": [4711]}}, "waves.canaries"),
        (SPEC | {"windows": ["22:00-22:00"]}, "windows.0"),
        (SPEC | {"action": {"do": "script", "text": "exit 0"}}, "action.script.interpreter"),
    ],
)
def test_what_cannot_be_meant_is_refused_field_by_field(lite: Api, spec: dict[str, Any], field: str) -> None:
    containers(lite)
    answered = lite.post("/v1/rollouts", spec)
    assert answered.status_code == 422
    assert field in [error["field"] for error in answered.json()["errors"]]


@pytest.mark.parametrize(("token", "status"), [("read", 403), ("order", 403), ("operate", 202), ("admin", 202)])
def test_only_operators_begin_roll_outs(lite: Api, token: str, status: int) -> None:
    containers(lite)
    assert lite.post("/v1/rollouts", SPEC, token=token).status_code == status


def test_a_customers_token_sees_no_campaign_and_runs_no_script(lite: Api) -> None:
    containers(lite)
    campaign = lite.post("/v1/rollouts", SPEC).json()
    for path in ("/v1/campaigns", f"/v1/campaigns/{campaign['id']}", f"/v1/rollouts/{campaign['id']}/report", "/v1/schedules"):
        assert lite.get(path, token="acme").status_code == 403, path
    order = {"kind": "update-container", "ctid": 1001, "action": SPEC["action"]}
    assert lite.post("/v1/orders", order, token="acme").status_code == 403
    assert lite.post("/v1/orders", order, token="operate").status_code == 202


def test_a_schedule_is_added_shown_paused_and_removed(lite: Api) -> None:
    made = lite.post("/v1/schedules", SCHEDULE)
    assert made.status_code == 201
    assert made.json().keys() == keys(answers.Schedule)
    assert len(made.json()["next_runs"]) == 5
    assert lite.post("/v1/schedules", SCHEDULE).status_code == 422
    assert lite.post("/v1/schedules/nightly:pause").json()["next_runs"] == []
    assert lite.post("/v1/schedules/nightly:resume").json()["paused"] is False
    assert [row["name"] for row in lite.get("/v1/schedules").json()["items"]] == ["nightly"]
    with lite.client() as client:
        assert client.delete("/v1/schedules/nightly").status_code == 204
        assert client.delete("/v1/schedules/nightly").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "field"), [({"cron": "never"}, "cron"), ({"timezone": "Mars/Olympus"}, "timezone"), ({"windows": ["noon"]}, "windows")]
)
def test_a_schedule_that_never_comes_is_refused_by_name(lite: Api, wrong: dict[str, Any], field: str) -> None:
    answered = lite.post("/v1/schedules", SCHEDULE | wrong)
    assert (answered.status_code, [error["field"] for error in answered.json()["errors"]]) == (422, [field])


def test_what_is_not_there_is_404(lite: Api) -> None:
    nobody = "01JD8QF3Z5X0RQ2M8B7C4E6N9T"
    assert lite.get(f"/v1/campaigns/{nobody}").status_code == 404
    assert lite.post(f"/v1/campaigns/{nobody}:abort").status_code == 404
    assert lite.get(f"/v1/rollouts/{nobody}/report").status_code == 404
    assert lite.get("/v1/schedules/none").status_code == 404
