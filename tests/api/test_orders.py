"""Placing orders: once, whatever the client does."""

import asyncio
import threading
import time
from datetime import timedelta

import httpx
from sqlmodel import select

from models.fleet import Address, Container
from models.jobs import Event, Job
from models.lifecycle import Cause
from tests.api.conftest import NEW, Api


def jobs(api: Api) -> list[Job]:
    with api.house.database.read() as session:
        return list(session.exec(select(Job).order_by(Job.id)).all())


def end(api: Api, job_id: str) -> None:
    """As if a worker had carried it out."""
    with api.house.database.write() as session:
        job = session.get_one(Job, job_id)
        now = api.house.database.now(session)
        session.add_all(job.move(cause, now=now) for cause in (Cause.DISPATCHED, Cause.CLAIMED, Cause.FINISHED))
        session.add(job)


def test_an_accepted_order_names_its_job_and_place(api: Api) -> None:
    answer = api.order(key="invoice-1", customer="acme")
    job = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"/v1/jobs/{job['id']}")
    assert (job["state"], job["ctid"], job["key"], job["by"], job["customer"]) == ("queued", 1001, "invoice-1", "admin", "acme")
    story = api.get(answer.headers["location"]).json()
    assert story["events"][0]["cause"] == "accepted"
    assert story["addresses"] == ["127.64.0.1"]
    assert {reason["code"] for reason in story["why"]} == {"service", "worker"}


def test_a_hundred_identical_posts_at_once_make_one_container(api: Api) -> None:
    async def storm() -> list[httpx.Response]:
        headers = {"Authorization": f"Bearer {api.secrets['order']}", "Idempotency-Key": "impatient"}
        async with httpx.AsyncClient(base_url=api.url, timeout=60, limits=httpx.Limits(max_connections=100), trust_env=False) as client:
            return await asyncio.gather(*(client.post("/v1/orders", json=NEW, headers=headers) for _ in range(100)))

    answers = asyncio.run(storm())
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    with api.house.database.read() as session:
        assert len(session.exec(select(Container)).all()) == len(session.exec(select(Address)).all()) == 1


def test_different_orders_at_once_get_different_places(api: Api) -> None:
    async def storm() -> list[httpx.Response]:
        headers = {"Authorization": f"Bearer {api.secrets['order']}"}
        async with httpx.AsyncClient(base_url=api.url, timeout=60, headers=headers, trust_env=False) as client:
            return await asyncio.gather(*(client.post("/v1/orders", json=NEW | {"hostname": f"h{n}.example.net"}) for n in range(40)))

    assert {answer.status_code for answer in asyncio.run(storm())} == {202}
    with api.house.database.read() as session:
        assert len(set(session.exec(select(Container.ctid)).all())) == len(set(session.exec(select(Address.address)).all())) == 40


def test_one_name_wanted_by_many_at_once_goes_to_one(api: Api) -> None:
    statuses: list[int] = []

    def ask(number: int) -> None:
        statuses.append(api.order(name="web", hostname=f"h{number}.example.net").status_code)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [202] + [422] * 11


def test_a_key_with_another_order_is_refused_field_by_field(api: Api) -> None:
    first = api.order(key="k").json()
    answer = api.order(key="k", hostname="other.example.net", plan="large")
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert (problem["type"], problem["job"]) == ("urn:vzq:problem:key-reused", first["id"])
    assert {error["field"] for error in problem["errors"]} == {"hostname", "plan"}
    assert len(jobs(api)) == 1


def test_two_clients_may_use_the_same_key(lite: Api) -> None:
    first, second = lite.order("order", key="7"), lite.order("other", key="7", hostname="two.example.net")
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["key"] == second.json()["key"] == "7"


def test_a_replay_says_so_and_tells_how_the_job_stands_now(lite: Api) -> None:
    job = lite.order(key="k").json()
    end(lite, job["id"])
    again = lite.order(key="k")
    assert (again.status_code, again.headers["idempotency-replayed"], again.json()["state"]) == (202, "true", "done")


def test_what_cannot_be_had_is_told_with_reasons(lite: Api) -> None:
    unknown = lite.order(plan="huge", template="plan9").json()
    assert {error["field"] for error in unknown["errors"]} == {"plan", "template"}
    full = lite.order(require={"disk": "tape"})
    assert (full.status_code, full.json()["type"]) == (409, "urn:vzq:problem:no-room")
    assert full.json()["reasons"].keys() == {"n1", "n2"}
    gone = lite.order(kind="start-container", ctid=4711)
    assert (gone.status_code, gone.json()["errors"][0]["field"]) == (422, "ctid")
    assert jobs(lite) == []


def test_a_suspended_container_cannot_be_started(lite: Api) -> None:
    ctid = lite.order(key="a").json()["ctid"]
    assert lite.order(kind="suspend-container", ctid=ctid).status_code == 202
    refused = lite.order(kind="start-container", ctid=ctid)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:vzq:problem:refused")
    assert "unsuspend it first" in refused.json()["detail"]


def test_wait_answers_when_the_job_has_ended(api: Api) -> None:
    job = api.order(key="k").json()["id"]
    threading.Timer(0.5, end, (api, job)).start()
    begun = time.monotonic()
    answer = api.post("/v1/orders", NEW, key="k", params={"wait": 20})
    assert (answer.status_code, answer.json()["state"]) == (200, "done")
    assert 0.3 < time.monotonic() - begun < 10


def test_wait_gives_up_in_time(lite: Api) -> None:
    begun = time.monotonic()
    answer = lite.post("/v1/orders", NEW, params={"wait": 0.4})
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert time.monotonic() - begun >= 0.4


def test_many_may_wait_and_others_are_answered_meanwhile(lite: Api) -> None:
    job = lite.order().json()["id"]
    waiting = [threading.Thread(target=lite.get, args=(f"/v1/jobs/{job}",), kwargs={"params": {"wait": 30}}) for _ in range(40)]
    for thread in waiting:
        thread.start()
    time.sleep(0.3)
    begun = time.monotonic()
    assert lite.get("/v1/plans").status_code == 200
    assert time.monotonic() - begun < 5
    end(lite, job)
    for thread in waiting:
        thread.join(20)
    assert not any(thread.is_alive() for thread in waiting)


def test_bulk_answers_item_by_item(api: Api) -> None:
    good = [{"key": f"k{n}", "order": NEW | {"hostname": f"h{n}.example.net"}} for n in range(60)]
    bad = [
        {"key": "bad", "order": {"kind": "create-container", "hostname": "a_b", "password": "hunter2 hunter2"}},
        {"key": "k1", "order": NEW | {"hostname": "other.example.net"}},
        {"key": "admin", "order": {"kind": "enrol-node", "node": "n9", "host": "192.0.2.9", "fingerprint": "SHA256:" + "A" * 43}},
    ]
    answer = api.post("/v1/orders:bulk", {"items": [*good, *bad, good[0]]}, token="order")
    items = answer.json()["items"]
    assert answer.status_code == 207
    assert [item["status"] for item in items] == [202] * 60 + [422, 422, 403, 202]
    assert [item["key"] for item in items] == [f"k{n}" for n in range(60)] + ["bad", "k1", "admin", "k0"]
    assert items[-1]["replayed"]
    assert {error["field"] for error in items[60]["problem"]["errors"]} >= {"hostname", "password", "plan"}
    assert "hunter2" not in answer.text
    assert len(jobs(api)) == 60


def test_bulk_takes_a_thousand_and_no_more(lite: Api) -> None:
    item = {"order": {"kind": "check-queue"}}
    assert lite.post("/v1/orders:bulk", {"items": [item | {"key": f"k{n}"} for n in range(1001)]}).status_code == 422
    assert lite.post("/v1/orders:bulk", {"items": []}).status_code == 422
    answer = lite.post("/v1/orders:bulk", {"items": [item | {"key": f"k{n}"} for n in range(1000)]})
    assert {item["status"] for item in answer.json()["items"]} == {202}


def test_the_request_id_is_kept_with_the_job(lite: Api) -> None:
    answer = lite.post("/v1/orders", NEW, headers={"X-Request-Id": "ticket-4711"})
    assert answer.headers["x-request-id"] == "ticket-4711"
    with lite.house.database.read() as session:
        event = session.exec(select(Event).where(Event.job_id == answer.json()["id"])).one()
    assert event.data["request"] == "ticket-4711"
    assert lite.get("/v1/plans", headers={"X-Request-Id": "no good\x7f"}).headers["x-request-id"] != "no good\x7f"


def test_the_list_of_jobs_stands_still_under_new_orders(api: Api) -> None:
    made = [api.order(key=f"k{n}").json()["id"] for n in range(7)]
    first = api.get("/v1/jobs", params={"limit": 3}).json()
    api.order(key="late")
    second = api.get(first["next"]).json()
    third = api.get("/v1/jobs", params={"limit": 3, "cursor": second["next_cursor"]}).json()
    assert [job["id"] for page in (first, second, third) for job in page["items"]] == made[::-1]
    assert (third["next"], third["next_cursor"]) == (None, None)


def test_jobs_are_filtered(lite: Api) -> None:
    job = lite.order(customer="acme").json()
    lite.order(customer="other", plan="large")
    lite.post("/v1/orders", {"kind": "check-queue"}, token="order")
    later = (lite.house.clock.now() + timedelta(hours=1)).isoformat()

    def found(**filters: object) -> int:
        return len(lite.get("/v1/jobs", params=filters).json()["items"])

    assert [job["id"] for job in lite.get("/v1/jobs", params={"customer": "acme"}).json()["items"]] == [job["id"]]
    assert (found(kind="check-queue"), found(producer="order"), found(container=job["ctid"]), found(node=job["node"])) == (1, 1, 1, 1)
    assert (found(state=["queued", "done"]), found(state="done"), found(open="true"), found(open="false"), found(since=later)) == (3, 0, 3, 0, 0)


def test_polling_costs_a_304(lite: Api) -> None:
    job = lite.order().json()
    for path in (f"/v1/jobs/{job['id']}", "/v1/jobs", f"/v1/containers/{job['ctid']}", "/v1/containers", "/v1/nodes", "/v1/plans"):
        tag = lite.get(path).headers["etag"]
        same = lite.get(path, headers={"If-None-Match": tag})
        assert (same.status_code, same.content) == (304, b""), path
    tag = lite.get(f"/v1/jobs/{job['id']}").headers["etag"]
    lite.post(f"/v1/jobs/{job['id']}:cancel")
    assert lite.get(f"/v1/jobs/{job['id']}", headers={"If-None-Match": tag}).status_code == 200


def test_cancel_and_retry(lite: Api) -> None:
    job = lite.order(key="k").json()["id"]
    cancelled = lite.post(f"/v1/jobs/{job}:cancel", params={"because": "mistake"})
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert lite.post(f"/v1/jobs/{job}:cancel").status_code == 409
    again = lite.post(f"/v1/jobs/{job}:retry")
    assert (again.status_code, again.json()["retry_of"]) == (202, job)
    assert lite.post(f"/v1/jobs/{job}:retry").json()["id"] == again.json()["id"]


def test_a_stuck_job_is_resolved_by_an_operator(lite: Api) -> None:
    job = lite.order().json()["id"]
    with lite.house.database.write() as session:
        row = session.get_one(Job, job)
        now = lite.house.database.now(session)
        session.add_all(row.move(cause, now=now) for cause in (Cause.DISPATCHED, Cause.CLAIMED, Cause.UNEXPECTED))
        session.add(row)
    assert lite.get(f"/v1/jobs/{job}", params={"wait": 30}).json()["state"] == "stuck"
    assert lite.post(f"/v1/jobs/{job}:resolve", {"choice": "accept"}, token="order").status_code == 403
    assert lite.post(f"/v1/jobs/{job}:resolve", {"choice": "dance"}, token="operate").status_code == 422
    assert lite.post(f"/v1/jobs/{job}:resolve", {"choice": "accept"}, token="operate").json()["state"] == "done"


def test_a_job_that_never_was_is_not_found(lite: Api) -> None:
    assert lite.get("/v1/jobs/01JD8QF3Z5X0RQ2M8B7C4E6N9T").status_code == 404
