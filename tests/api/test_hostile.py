"""What nobody should send: told apart, answered in kind, and nothing of it is kept."""

import socket
from typing import Any

import pytest
from sqlmodel import select

from models.jobs import Job
from tests.api.conftest import NEW, Api

SECRET = "tr0ub4dor-and-3"


def refused(api: Api, status: int, content: bytes, kind: str = "application/json", path: str = "/v1/orders", **headers: str) -> dict[str, Any]:
    with api.client() as client:
        answer = client.post(path, content=content, headers={"Content-Type": kind} | headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert answer.headers["x-request-id"] == answer.json()["request"]
    with api.house.database.read() as session:
        assert session.exec(select(Job)).first() is None
    told: dict[str, Any] = answer.json()
    return told


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422), (b"{", 400), (b"nonsense", 400), (b"\xff\xfe", 400), (b"[" * 100_000, 400), (b"null", 422), (b"[]", 422), (b"1", 422),
        (b'{"kind": "create-container"}', 422), (b'{"kind": "nope"}', 422), (b'{"kind": 7}', 422), (b"1" * 10_000, 400),
        (b'{"kind": "check-queue", "site": "\\ud800"}', 422), (b'{"kind": "check-queue", "\\ud800": 1}', 422),
        (b'{"kind": "check-queue", "site": "a\\u0000"}', 422),
        (b'{"kind": "terminate-container", "ctid": 1001, "grace_hours": NaN}', 422), (b'{"kind": "start-container", "ctid": 1e999}', 422),
        (b'{"kind": "start-container", "ctid": "1001"}', 422), (b'{"kind": "start-container", "ctid": true}', 422),
        (b'{"kind": "start-container", "ctid": 99999999999999999999999}', 422), (b'{"kind": "stop-container", "ctid": 1001, "fast": "yes"}', 422),
    ],
)  # fmt: skip
def test_malformed_and_wrong_bodies_are_told_apart(lite: Api, content: bytes, status: int) -> None:
    refused(lite, status, content)


def test_every_wrong_field_is_named(lite: Api) -> None:
    body = NEW | {"hostname": "a" * 300, "plan": "$(reboot)", "labels": {"a b": "c"}, "colour": "red", "nameservers": ["not an address"]}
    answer = lite.post("/v1/orders", body)
    assert {error["field"].split(".")[0] for error in answer.json()["errors"]} == {"hostname", "plan", "labels", "colour", "nameservers"}


def test_no_answer_repeats_a_password(lite: Api) -> None:
    ctid = lite.order().json()["ctid"]
    bodies: list[Any] = [
        NEW | {"password": SECRET + " with blanks"},
        NEW | {"password": [SECRET]},
        NEW | {"password": {"is": SECRET}},
        NEW | {"password": SECRET * 20},
        NEW | {"plan": "huge", "password": SECRET},
        {"kind": "set-password", "ctid": ctid, "password": SECRET + "\n"},
        {"kind": "set-password", "ctid": "x", "password": SECRET},
        {"kind": "nope", "password": SECRET},
        [SECRET],
        SECRET,
    ]
    for body in bodies:
        answer = lite.post("/v1/orders", body)
        assert (answer.status_code, SECRET in answer.text) == (422, False), answer.text
        assert SECRET not in lite.post("/v1/orders:bulk", {"items": [{"key": "k", "order": body}]}).text


def test_too_much_is_refused_before_it_is_read(lite: Api) -> None:
    problem = refused(lite, 413, b'{"kind": "check-queue", "site": "' + b"a" * (1 << 20) + b'"}')
    assert "1048576" in problem["detail"]

    def drip() -> Any:
        for _ in range(20):
            yield b" " * 100_000

    with lite.client() as client:
        assert client.post("/v1/orders", content=drip(), headers={"Content-Type": "application/json"}).status_code == 413


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx"])
def test_other_media_types_are_refused(lite: Api, kind: str) -> None:
    refused(lite, 415, b'{"kind": "check-queue"}', kind=kind)


def test_json_by_another_name_is_taken(lite: Api) -> None:
    for kind in ("application/json; charset=utf-8", "application/vnd.api+json", "Application/JSON"):
        with lite.client() as client:
            assert client.post("/v1/orders", content=b'{"kind": "check-queue"}', headers={"Content-Type": kind}).status_code == 202


@pytest.mark.parametrize("key", ["", "a b", "é", "a" * 181, "\x7f"])
def test_keys_are_short_and_plain(lite: Api, key: str) -> None:
    with lite.client() as client:
        answer = client.post("/v1/orders", json=NEW, headers=[("Idempotency-Key", key.encode())])
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Idempotency-Key")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=501", "limit=x", "cursor=%00", "cursor=AAAA", "cursor=!", "state=lost", "kind=nope", "container=1", "since=yesterday",
        "since=2026-03-02", "since=2026-03-02T12:00:00", "since=0001-01-01T00:00:00%2B14:00", "colour=red", "node=a%00b", "producer=%F0%9F%92%A9",
    ],
)  # fmt: skip
def test_wrong_filters_are_named(api: Api, query: str) -> None:
    answer = api.get(f"/v1/jobs?{query}")
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"].split(".")[0] == query.split("=", maxsplit=1)[0]


def test_cursors_of_other_lists_do_no_harm(api: Api) -> None:
    api.order()
    api.order(hostname="b.example.net")
    cursor = api.get("/v1/jobs?limit=1").json()["next_cursor"]
    for path in ("/v1/containers", "/v1/nodes", "/v1/audit", "/v1/findings"):
        assert api.get(f"{path}?cursor={cursor}").status_code in {200, 422}
    huge = "OTk5OTk5OTk5OTk5OTk5OTk5"  # 999999999999999999
    for path in ("/v1/containers", "/v1/audit", "/v1/findings", "/v1/jobs"):
        assert api.get(f"{path}?cursor={huge}").status_code == 200


def test_unknown_addresses_and_methods(lite: Api) -> None:
    for path in ("/v1", "/v1/", "/v1/nothing", "/v1/jobs/", "/v1/jobs/short", "/v1/containers/abc", "/docs", "/../etc/passwd"):
        assert lite.get(path).status_code == 404, path
    with lite.client() as client:
        answer = client.request("DELETE", "/v1/jobs")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
        assert client.request("GET", f"/v1/jobs/{'0' * 26}:cancel").headers["allow"] == "POST"
        assert client.put("/v1/tokens", json={}).headers["allow"] == "GET, POST"
        assert client.get("/v1/containers/99999999999999999999").status_code == 422


def test_a_client_that_goes_away_halfway_leaves_nothing(lite: Api) -> None:
    host, port = lite.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as half:
        head = f"POST /v1/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {lite.secrets['admin']}\r\n"
        half.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 500\r\n\r\n".encode() + b'{"kind": "check-queue"}')
    assert lite.get("/v1/jobs").json()["items"] == []


def test_what_is_no_url_is_no_webhook(lite: Api) -> None:
    for url in ("http://6UW]QM&h^js", "http://[::1", "http://host:99999/", "https://a:b@example.net/"):
        answer = lite.post("/v1/webhooks", {"url": url})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "url")
