"""Who may what: scopes, customers, tokens, audit, rates."""

from datetime import timedelta

import pytest
from sqlmodel import select

from models.access import Audit, Token
from models.jobs import Job
from models.lifecycle import Cause
from tests.api.conftest import NEW, Api, serve
from tests.api.test_orders import end

SCOPES = ("read", "order", "operate", "admin", "alert")
JOB = "/v1/jobs/01JD8QF3Z5X0RQ2M8B7C4E6N9T"
ENROL = {"kind": "enrol-node", "node": "n9", "host": "192.0.2.9", "fingerprint": "SHA256:" + "A" * 43}
POOL = {"cidr": "192.0.2.0/24"}
PLAN = {"ram_bytes": 1 << 28, "disk_bytes": 1 << 30}
LEAST = [  # method, path, body, the least scope that is let through
    ("GET", "/v1/jobs", None, "read"),
    ("GET", JOB, None, "read"),
    ("GET", "/v1/containers", None, "read"),
    ("GET", "/v1/containers/1001", None, "read"),
    ("GET", "/v1/nodes", None, "read"),
    ("GET", "/v1/nodes/n1", None, "read"),
    ("GET", "/v1/templates", None, "read"),
    ("GET", "/v1/plans", None, "read"),
    ("GET", "/v1/pools", None, "read"),
    ("GET", "/v1/findings", None, "read"),
    ("GET", "/v1/queue", None, "read"),
    ("GET", "/v1/downtime?month=2026-03", None, "read"),
    ("GET", "/v1/events", None, "read"),
    ("POST", "/v1/orders", NEW, "order"),
    ("POST", "/v1/orders", {"kind": "check-queue"}, "order"),
    ("POST", "/v1/orders", {"kind": "suspend-container", "ctid": 1001}, "order"),
    ("POST", "/v1/orders:bulk", {"items": [{"key": "k", "order": {}}]}, "order"),
    ("POST", f"{JOB}:cancel", None, "order"),
    ("POST", f"{JOB}:retry", None, "order"),
    ("POST", f"{JOB}:password", None, "order"),
    ("POST", "/v1/orders", {"kind": "observe-node", "node": "n1"}, "operate"),
    ("POST", "/v1/orders", {"kind": "adopt-container", "node": "n1", "ctid": 500}, "operate"),
    ("POST", "/v1/orders", {"kind": "clear-debris", "node": "n1", "ctid": 500}, "operate"),
    ("POST", f"{JOB}:resolve", {"choice": "accept"}, "operate"),
    ("PATCH", "/v1/nodes/n1", {"state": "draining"}, "operate"),
    ("PUT", "/v1/plans/new", PLAN, "operate"),
    ("DELETE", "/v1/plans/new", None, "operate"),
    ("PUT", "/v1/pools/new", POOL, "operate"),
    ("POST", "/v1/findings/1:repair", None, "operate"),
    ("POST", "/v1/orders", {"kind": "scan-host-key", "host": "192.0.2.9"}, "admin"),
    ("POST", "/v1/orders", ENROL, "admin"),
    ("GET", "/v1/tokens", None, "admin"),
    ("POST", "/v1/tokens", {"name": "new", "scope": "read"}, "admin"),
    ("POST", "/v1/tokens/read:renew", {}, "admin"),
    ("DELETE", "/v1/tokens/read", None, "admin"),
    ("GET", "/v1/audit", None, "admin"),
    ("POST", "/v1/alerts", {"version": "4", "alerts": []}, "alert"),
]


@pytest.mark.parametrize(("method", "path", "body", "least"), LEAST, ids=[f"{case[0]} {case[1]} {(case[2] or {}).get('kind', '')}" for case in LEAST])
def test_each_address_opens_to_its_scope_and_those_above(lite: Api, method: str, path: str, body: object, least: str) -> None:
    for scope in SCOPES:
        with lite.client(scope) as client:
            status = client.request(method, path, json=body).status_code
        allowed = scope == least if "alert" in {scope, least} else SCOPES.index(scope) >= SCOPES.index(least)
        assert (status != 403) is allowed, (scope, status)
        assert status not in {401, 405, 500}


def test_every_address_of_the_document_is_closed_to_strangers(lite: Api) -> None:
    for path, operations in lite.get("/openapi.json").json()["paths"].items():
        for method in operations:
            with lite.client() as client:
                client.headers.pop("authorization")
                answer = client.request(method, path.replace("{job_id}", "0" * 26).replace("{hook_id}", "0" * 26), content=b"not json")
            if path.startswith("/v1"):
                assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="vzq"'), path
            else:
                assert path in {"/healthz", "/readyz"}


LIKE = "vzq_" + "a" * 43


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic dXNlcjpwYXNz", f"Bearer {LIKE}", f"Bearer {LIKE * 200}", LIKE])
def test_what_is_no_token_opens_nothing(lite: Api, header: str) -> None:
    answer = lite.get("/v1/plans", headers={"Authorization": header})
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")


def test_a_token_is_kept_as_a_hash_and_opens_until_it_is_revoked_or_expires(api: Api) -> None:
    until = (api.house.clock.now() + timedelta(days=1)).isoformat()
    made = api.post("/v1/tokens", {"name": "whmcs", "scope": "order", "expires_at": until}).json()
    api.secrets["whmcs"] = made["secret"]
    assert made["secret"].startswith("vzq_")
    assert api.get("/v1/plans", token="whmcs").status_code == 200
    with api.house.database.read() as session:
        row = session.get_one(Token, "whmcs")
    assert made["secret"] not in row.model_dump_json()
    assert row.used_at is not None
    assert "secret" not in api.get("/v1/tokens").text
    renewed = api.post("/v1/tokens/whmcs:renew", {}).json()["secret"]
    assert api.get("/v1/plans", token="whmcs").status_code == 401
    api.secrets["whmcs"] = renewed
    assert api.get("/v1/plans", token="whmcs").status_code == 200
    with api.house.database.write() as session:
        row = session.get_one(Token, "whmcs")
        row.expires_at = api.house.clock.now()
        session.add(row)
    assert "expired" in api.get("/v1/plans", token="whmcs").json()["detail"]
    api.post("/v1/tokens/whmcs:renew", {})
    with api.client() as client:
        assert client.delete("/v1/tokens/whmcs").status_code == 204
        assert client.delete("/v1/tokens/whmcs").status_code == 204
        assert client.delete("/v1/tokens/nobody").status_code == 404
        assert client.delete("/v1/tokens/admin").status_code == 409


def test_order_keys_outlive_the_secret(lite: Api) -> None:
    first = lite.order("order", key="k").json()["id"]
    lite.secrets["order"] = lite.post("/v1/tokens/order:renew", {}).json()["secret"]
    assert lite.order("order", key="k").json()["id"] == first


def test_a_customers_token_sees_and_orders_only_its_own(api: Api) -> None:
    theirs = api.order(customer="globex", hostname="g.example.net").json()
    mine = api.order("acme", key="k").json()
    assert mine["customer"] == "acme"
    assert api.order("acme", customer="globex").status_code == 403
    assert [job["id"] for job in api.get("/v1/jobs", token="acme").json()["items"]] == [mine["id"]]
    assert api.get("/v1/jobs", token="acme", params={"customer": "globex"}).json()["items"] == []
    assert [one["ctid"] for one in api.get("/v1/containers", token="acme").json()["items"]] == [mine["ctid"]]
    for path in (f"/v1/jobs/{theirs['id']}", f"/v1/containers/{theirs['ctid']}"):
        assert api.get(path, token="acme").status_code == 404
    for action in ("cancel", "retry", "password"):
        assert api.post(f"/v1/jobs/{theirs['id']}:{action}", token="acme").status_code == 404
    foreign = api.order("acme", kind="suspend-container", ctid=theirs["ctid"])
    nobodys = api.order("acme", kind="suspend-container", ctid=99999)
    assert (foreign.status_code, nobodys.status_code) == (422, 422)
    assert foreign.json()["errors"][0]["what"] == nobodys.json()["errors"][0]["what"].replace("99999", str(theirs["ctid"]))
    assert api.order("acme", kind="suspend-container", ctid=mine["ctid"]).status_code == 202
    for path in ("/v1/nodes", "/v1/pools", "/v1/findings"):
        assert api.get(path, token="acme").status_code == 403
    assert api.get("/v1/templates", token="acme").json()["items"][0]["nodes"] == []
    bulk = api.post("/v1/orders:bulk", {"items": [{"key": "b", "order": NEW | {"customer": "globex"}}]}, token="acme").json()
    assert bulk["items"][0]["status"] == 403


def test_a_customers_token_cannot_have_the_whole_house(lite: Api) -> None:
    assert lite.post("/v1/tokens", {"name": "t", "scope": "operate", "customer": "acme"}).status_code == 422


def test_every_action_is_in_the_audit(lite: Api) -> None:
    job = lite.post("/v1/orders", NEW | {"generate_password": True}, params={"because": "invoice 9"}, headers={"X-Request-Id": "r1"}).json()["id"]
    end(lite, job)
    lite.post(f"/v1/jobs/{job}:password")
    other = lite.order(hostname="b.example.net").json()["id"]
    lite.post(f"/v1/jobs/{other}:cancel", params={"because": "mistake"})
    lite.post(f"/v1/jobs/{other}:retry")
    stuck = lite.order(hostname="c.example.net").json()["id"]
    with lite.house.database.write() as session:
        row = session.get_one(Job, stuck)
        session.add_all(row.move(cause, now=lite.house.clock.now()) for cause in (Cause.DISPATCHED, Cause.CLAIMED, Cause.UNEXPECTED))
        session.add(row)
    lite.post(f"/v1/jobs/{stuck}:resolve", {"choice": "give-up"})
    with lite.client("operate") as client:
        client.patch("/v1/nodes/n1", json={"state": "draining"}, params={"because": "disk"})
        client.patch("/v1/nodes/n1", json={"state": "active", "labels": {"disk": "nvme"}})
        client.put("/v1/plans/new", json=PLAN)
        client.delete("/v1/plans/new")
        client.put("/v1/pools/new", json=POOL)
    lite.post("/v1/tokens", {"name": "t", "scope": "read"})
    lite.post("/v1/tokens/t:renew", {})
    with lite.client() as client:
        client.delete("/v1/tokens/t")
    entries = lite.get("/v1/audit", params={"limit": 100}).json()["items"]
    told = [(entry["by"], entry["action"], entry["subject"]) for entry in entries[::-1] if entry["by"] != "test"]
    assert [one[1] for one in told] == [
        "order create-container", "job password", "order create-container", "job cancel", "order create-container", "order create-container",
        "job give-up", "node draining", "node active", "node describe", "plan put", "plan delete", "pool put", "token create", "token renew",
        "token revoke",
    ]  # fmt: skip
    assert told[0] == ("admin", "order create-container", f"job:{job}")
    assert told[7] == ("operate", "node draining", "node:n1")
    first = next(entry for entry in entries if entry["subject"] == f"job:{job}" and entry["action"].startswith("order"))
    assert (first["because"], first["data"]["request"], first["data"]["container"]) == ("invoice 9", "r1", 1001)
    assert [entry["subject"] for entry in lite.get("/v1/audit", params={"action": "job cancel"}).json()["items"]] == [f"job:{other}"]


def test_a_refused_order_leaves_no_audit(lite: Api) -> None:
    lite.order(plan="huge")
    with lite.house.database.read() as session:
        assert [entry.action for entry in session.exec(select(Audit)).all() if entry.by == "admin"] == []


def test_who_asks_too_often_is_told_when_to_go_on(lite_house: object) -> None:
    for api in serve(lite_house, api_rate=1, api_burst=5):  # type: ignore[arg-type]
        with api.client() as client:
            statuses = [client.get("/v1/plans").status_code for _ in range(8)]
            limited = client.get("/v1/plans")
        assert statuses[:5] == [200] * 5
        assert 429 in statuses
        assert (limited.status_code, limited.headers["retry-after"]) == (429, "1")
        assert api.get("/v1/plans", token="read").status_code == 200
