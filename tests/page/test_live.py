"""Pages that keep themselves fresh: what changed goes out, nothing else does, and only to whoever may still see it."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlmodel import col, select

from models.campaign_states import CampaignCause, Outcome
from models.campaigns import Campaign, Target
from producers import tokens
from producers.page.live import out_of_band
from producers.rollouts.start import start
from tests.api.conftest import serve
from tests.api.test_rollouts import containers
from tests.page.conftest import Page, opened
from tests.rollouts.specs import make_spec

CONNECT = re.compile(r'sse-connect="([^"]+)"')


def stream_of(client: httpx.Client, path: str) -> str:
    found = CONNECT.search(client.get(path).text)
    assert found is not None, path
    return found[1].replace("&amp;", "&")


def messages(response: httpx.Response) -> Iterator[str]:
    """The html of each, without the words that keep the line open."""
    block: list[str] = []
    for line in response.iter_lines():
        if line:
            block.append(line)
            continue
        html = "\n".join(part.removeprefix("data: ") for part in block if part.startswith("data: "))
        if html:
            yield html
        block = []


def rollout(page: Page) -> str:
    containers(page.api, 12)
    with page.house.database.write() as session:
        return start(page.house.database, page.house.intake, session, make_spec(), by="test").campaign.id


def turn(page: Page, campaign: str, place: int, outcome: Outcome) -> None:
    with page.house.database.write() as session:
        target = session.exec(select(Target).where(Target.campaign_id == campaign, col(Target.place) == place)).one()
        target.outcome = outcome
        session.add(target)


def test_only_the_squares_that_changed_are_sent(page: Page) -> None:
    campaign = rollout(page)
    with page.enter("read") as client:
        where = stream_of(client, f"/campaigns/{campaign}")
        with client.stream("GET", where, headers={"Accept": "text/event-stream"}) as response:
            told = messages(response)
            turn(page, campaign, 7, Outcome.FAILED)
            html = next(told)
            while 'id="c-7"' not in html:  # the page may be a moment older than the stream: then all of it comes first
                html = next(told)
            assert re.search(r'id="c-7" class="cell o-failed"', html)
            turn(page, campaign, 3, Outcome.OK)
            html = next(told)
            assert re.findall(r'id="(c-\d+)"', html) == ["c-3"]
            assert 'id="campaign-counts"' in html
            with page.house.database.write() as session:
                row = session.get_one(Campaign, campaign)
                session.add_all([row, row.move(CampaignCause.FINISHED, now=page.house.clock.now())])
            assert list(told)[-1] == "over"


def test_a_page_that_is_still_right_is_not_sent_again(page: Page) -> None:
    campaign = rollout(page)
    with page.enter("read") as client:
        where = stream_of(client, f"/campaigns/{campaign}")
        with client.stream("GET", where, headers={"Accept": "text/event-stream"}) as response:
            told = messages(response)
            turn(page, campaign, 0, Outcome.OK)
            turned = next(told)
        with client.stream("GET", where.partition("?")[0], headers={"Accept": "text/event-stream"}) as response:
            whole = next(messages(response))
    assert len(re.findall(r'id="c-\d+"', whole)) == 12
    assert len(turned) <= len(whole)


def test_a_list_of_jobs_follows_what_happens(page: Page) -> None:
    job = page.api.order("order").json()["id"]
    with page.enter("read") as client:
        where = stream_of(client, "/jobs")
        with client.stream("GET", where, headers={"Accept": "text/event-stream"}) as response:
            told = messages(response)
            page.api.post(f"/v1/jobs/{job}:cancel", token="order")
            html = next(told)
            while "cancelled" not in html:
                html = next(told)
            assert f'<tr hx-swap-oob="true" id="job-{job}"' in html
            second = page.api.order("order", hostname="web2.example.net").json()["id"]
            html = next(told)
            assert '<tbody hx-swap-oob="true" id="jobs"' in html
            assert second in html


def test_the_stream_of_a_job_ends_with_it(page: Page) -> None:
    job = page.api.order("order").json()["id"]
    with page.enter("read") as client:
        where = stream_of(client, f"/jobs/{job}")
        page.api.post(f"/v1/jobs/{job}:cancel", token="order")
        with client.stream("GET", where, headers={"Accept": "text/event-stream"}) as response:
            told = list(messages(response))
        assert "chip cancelled" in told[0]
        assert told[-1] == "over"
        assert "sse-connect" not in client.get(f"/jobs/{job}").text


def test_a_revoked_token_is_told_so_and_sees_nothing_more(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VZQ_PAGE_RECHECK_S", "0")
    house = opened(tmp_path, sqlite_template)
    for api in serve(house):
        with Page(api).enter("read") as client:
            where = stream_of(client, "/")
            with client.stream("GET", where, headers={"Accept": "text/event-stream"}) as response:
                with house.database.write() as session:
                    tokens.revoke(session, "read", now=house.clock.now(), by="test")
                assert "You are logged out" in list(messages(response))[-1]
            again = client.get(where, headers={"Accept": "text/event-stream"})
            assert (again.status_code, again.headers["hx-redirect"]) == (401, "/login")
    house.close()


def test_a_stream_shows_a_customer_no_other_customers_jobs(page: Page) -> None:
    page.api.order("order", customer="other")
    mine = page.api.order("acme", hostname="web2.example.net").json()["id"]
    with page.enter("acme") as client, client.stream("GET", "/jobs/live", headers={"Accept": "text/event-stream"}) as response:
        html = next(messages(response))
    assert set(re.findall(r'id="job-(\w+)"', html)) == {mine}


@pytest.mark.parametrize(
    ("html", "sent"),
    [
        ('\n<div id="a">x</div>', '\n<div hx-swap-oob="true" id="a">x</div>'),
        ('<tr id="a"></tr>', '<template><tr hx-swap-oob="true" id="a"></tr></template>'),
    ],
)
def test_a_piece_goes_to_the_place_of_the_old_one(html: str, sent: str) -> None:
    assert out_of_band(html) == sent


def test_what_is_no_element_is_not_sent() -> None:
    with pytest.raises(ValueError, match="not an element"):
        out_of_band("words")
