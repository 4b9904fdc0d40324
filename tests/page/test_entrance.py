"""Coming in, staying in, going out; and that no form of another site is taken."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from models.access import Audit, Scope, Token
from models.logins import Login
from producers import tokens
from producers.page import logins
from tests.api.conftest import serve
from tests.page.conftest import FORM_KEY, Page, form_key, opened, send

DIRECTIVES = ("default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'")


@pytest.fixture
def page(database_url: str, tmp_path: Path) -> Iterator[Page]:
    """On either database."""
    house = opened(tmp_path, None, database_url)
    for api in serve(house):
        yield Page(api)
    house.close()


def test_a_stranger_is_led_to_the_login_and_back(page: Page) -> None:
    with page.stranger() as client:
        away = client.get("/jobs?state=stuck")
        assert (away.status_code, away.headers["location"]) == (303, "/login?next=%2Fjobs%3Fstate%3Dstuck")
        form = client.get(away.headers["location"])
        key = FORM_KEY.search(form.text)
        assert key is not None
        sent = client.post("/login", data={"token": page.api.secrets["read"], "form_key": key[1], "next": "/jobs?state=stuck"})
        assert (sent.status_code, sent.headers["location"]) == (303, "/jobs?state=stuck")
        cookie = next(line for line in sent.headers.get_list("set-cookie") if line.startswith("vzq="))
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert page.api.secrets["read"] not in cookie
        assert client.get("/jobs").status_code == 200


@pytest.mark.parametrize("where", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_the_login_leads_to_no_other_site(page: Page, where: str) -> None:
    with page.stranger() as client:
        key = FORM_KEY.search(client.get("/login").text)
        assert key is not None
        sent = client.post("/login", data={"token": page.api.secrets["read"], "form_key": key[1], "next": where})
    assert sent.headers["location"] == "/"


def test_a_token_that_shows_nothing_opens_nothing(page: Page) -> None:
    with page.house.database.write() as session:
        _, secret = tokens.create(session, name="pager", scope=Scope.ALERT, customer=None, expires_at=None, now=page.house.clock.now(), by="test")
    with page.stranger() as client:
        key = FORM_KEY.search(client.get("/login").text)
        assert key is not None
        answer = client.post("/login", data={"token": secret, "form_key": key[1]})
    assert answer.status_code == 401
    assert "scope alert" in answer.text


def test_a_wrong_token_says_why_and_many_are_slowed_down(page: Page) -> None:
    statuses = []
    with page.stranger() as client:
        for _ in range(12):
            key = FORM_KEY.search(client.get("/login").text)
            assert key is not None
            answer = client.post("/login", data={"token": "vzq_" + "a" * 43, "form_key": key[1]})
            statuses.append(answer.status_code)
            assert "not known" in answer.text or answer.status_code == 429
    assert statuses[0] == 401
    assert statuses[-1] == 429


def test_whoever_logs_out_is_out_and_both_are_audited(page: Page) -> None:
    with page.enter("operate") as client:
        cookie = client.cookies["vzq"]
        assert send(client, "/logout").headers["location"] == "/login"
        client.cookies.set("vzq", cookie)
        assert client.get("/jobs").status_code == 303
    with page.house.database.read() as session:
        actions = [entry.action for entry in session.exec(select(Audit).where(Audit.by == "operate"))]
    assert actions == ["page login", "page logout"]


def test_a_login_is_worth_what_its_token_is_worth(page: Page) -> None:
    with page.enter("read") as read, page.enter("order") as order, page.enter("operate") as operate, page.enter("admin") as admin:
        with page.house.database.write() as session:
            now = page.house.clock.now()
            tokens.revoke(session, "read", now=now, by="test")
            tokens.renew(session, "order", expires_at=None, now=now, by="test")
            expired = session.get_one(Token, "operate")
            expired.expires_at = now
            session.add(expired)
        assert [client.get("/jobs").status_code for client in (read, order, operate, admin)] == [303, 303, 303, 200]


@pytest.mark.parametrize(("field", "past"), [("until", timedelta(seconds=1)), ("seen_at", logins.IDLE)])
def test_a_login_ends_after_a_shift_and_when_nobody_looks(page: Page, field: str, past: timedelta) -> None:
    with page.enter("read") as client:
        with page.house.database.write() as session:
            login = session.exec(select(Login)).one()
            setattr(login, field, page.house.clock.now() - past)
            session.add(login)
        assert client.get("/jobs").status_code == 303


def test_the_database_gives_no_cookie_away(page: Page) -> None:
    with page.enter("read") as client, page.house.database.read() as session:
        row = session.exec(select(Login)).one()
        assert client.cookies["vzq"] not in row.model_dump_json()


def test_a_form_is_taken_from_this_page_alone(page: Page) -> None:
    pause = {"reach": "everything", "name": "", "because": "why not"}
    with page.enter("operate") as client, page.enter("operate") as other:
        key = form_key(client)
        refused = [
            client.post("/pauses", data=pause),
            client.post("/pauses", data=pause | {"form_key": form_key(other)}),
            client.post("/pauses", data=pause | {"form_key": key}, headers={"Origin": "https://evil.example"}),
            client.post("/pauses", data=pause | {"form_key": key}, headers={"Origin": "null"}),
            client.post("/pauses", data=pause | {"form_key": key}, headers={"Sec-Fetch-Site": "cross-site"}),
            client.post("/pauses", json=pause | {"form_key": key}),
        ]
        assert [answer.status_code for answer in refused] == [403] * 6
        assert page.api.get("/v1/pauses").json()["items"] == []
        assert client.post("/pauses", data=pause | {"form_key": key}, headers={"Origin": page.url}).status_code == 303
        assert len(page.api.get("/v1/pauses").json()["items"]) == 1


def test_a_cookie_opens_no_api_and_a_bearer_no_page(page: Page) -> None:
    with page.enter("admin") as client:
        assert client.get("/v1/jobs").status_code == 401
    with page.api.client("admin") as program:
        assert program.get("/jobs").status_code == 303


@pytest.mark.parametrize("path", ["/login", "/jobs", "/jobs/nobody", "/jobs/no/such", "/static/vzq.css", "/static/none.css"])
def test_every_answer_carries_the_policy(page: Page, path: str) -> None:
    with page.enter("read") as client:
        answer = client.get(path)
    policy = answer.headers["content-security-policy"]
    assert [part for part in DIRECTIVES if part not in policy] == []
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
