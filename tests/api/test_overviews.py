"""What lists and sums tell is what the single answers tell: reasons of many jobs, the depth of the queue, a month by customer."""

from datetime import UTC, datetime
from typing import Any

from models.house import Worker
from models.outages import Outage
from producers.api.outages import Shares
from tests.api.conftest import Api

MARCH = datetime(2026, 3, 31, 23, 59, tzinfo=UTC)


def test_a_list_tells_what_holds_each_job_as_its_own_page_does(api: Api) -> None:
    first = api.order().json()
    second = api.order(kind="stop-container", ctid=first["ctid"]).json()["id"]
    cancelled = api.order(hostname="web2.example.net").json()["id"]
    api.post(f"/v1/jobs/{cancelled}:cancel")
    listed = {job["id"]: job["why"] for job in api.get("/v1/jobs", params={"why": "true"}).json()["items"]}
    assert listed.keys() == {first["id"], second, cancelled}
    for job_id, reasons in listed.items():
        alone = api.get(f"/v1/jobs/{job_id}").json()["why"]
        assert [(one["code"], one["holder"]) for one in reasons] == [(one["code"], one["holder"]) for one in alone]
    assert ("container", first["id"]) in [(one["code"], one["holder"]) for one in listed[second]]
    assert "why" not in api.get("/v1/jobs").json()["items"][0]


def test_the_queue_counts_what_has_not_ended_and_the_slots_of_workers_that_are_alive(api: Api) -> None:
    job = api.order().json()["id"]
    api.order(hostname="web2.example.net")
    with api.house.database.write() as session:
        now = api.house.database.now(session)
        session.add(Worker(name="w", site="main", host="h", slots={"provision": 32}, started_at=now, seen_at=now))
        session.add(Worker(name="gone", site="far", host="h", slots={"provision": 32}, started_at=MARCH, seen_at=MARCH))
    told = api.get("/v1/queue").json()
    assert [(one["site"], one["kind"], one["state"], one["count"]) for one in told["jobs"]] == [("main", "create-container", "queued", 2)]
    assert told["workers"] == [{"site": "main", "family": "provision", "slots": 32}]
    api.post(f"/v1/jobs/{job}:cancel")
    assert api.get("/v1/queue").json()["jobs"][0]["count"] == 1


def outage(customer: str | None, ctid: int, gap_s: float | None, **given: Any) -> Outage:
    fields: dict[str, Any] = {"node": "n1", "site": "main", "cause": "restart-container", "began_at": MARCH}
    return Outage(customer=customer, ctid=ctid, gap_s=gap_s, **(fields | given))


def test_a_month_is_summed_up_by_customer_and_what_was_not_measured_is_counted_not_added(api: Api) -> None:
    with api.house.database.write() as session:
        session.add_all([
            outage("acme", 1001, 1.5), outage("acme", 1001, 2.25), outage("acme", 1002, None), outage("acme", 1003, 0.0),
            outage("blue", 1004, 7.0), outage(None, 1005, 0.5), outage("acme", 1001, 99.0, began_at=datetime(2026, 4, 1, tzinfo=UTC)),
        ])  # fmt: skip
    told = api.get("/v1/downtime", params={"month": "2026-03"}).json()
    Shares.model_validate(told)
    assert [
        (one["customer"], one["outages"], one["containers"], one["measured_s"], one["longest_s"], one["unmeasured"]) for one in told["items"]
    ] == [
        ("blue", 1, 1, 7.0, 7.0, 0),
        ("acme", 3, 2, 3.75, 2.25, 1),
        (None, 1, 1, 0.5, 0.5, 0),
    ]
    assert [one["customer"] for one in api.get("/v1/downtime", params={"month": "2026-03"}, token="acme").json()["items"]] == ["acme"]
    assert api.get("/v1/downtime", params={"month": "2026-13"}).status_code == 422
