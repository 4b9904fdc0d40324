"""The page as people have it before them: in a real browser, with a mouse or without, on a desk or in a hand."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlmodel import col, select

from models.campaign_states import CampaignCause, Outcome
from models.campaigns import Campaign, Target
from models.fleet import Container, ContainerState
from models.jobs import Job
from models.lifecycle import State
from producers.rollouts.start import start
from tests.page.browser import Seat
from tests.page.conftest import Page
from tests.rollouts.specs import make_spec

MANY = 300
BAD = (17, 130, 271)


@pytest.fixture
def context(chromium: Any) -> Iterator[Any]:
    opened = chromium.new_context(viewport={"width": 1280, "height": 900})
    yield opened
    opened.close()


def seat(page: Page, context: Any, token: str = "operate") -> Seat:
    made = Seat(context.new_page(), page.url)
    made.listen()
    made.enter(page.api.secrets[token])
    return made


def rollout(page: Page) -> str:
    """Three hundred containers on ten nodes, canaries first."""
    with page.house.database.write() as session:
        for ctid in range(1001, 1001 + MANY):
            fields: dict[str, Any] = {"node": f"n{ctid % 10}", "site": "main", "state": ContainerState.PRESENT, "hostname": f"web{ctid}.example.net"}
            session.add(Container(ctid=ctid, since=page.house.clock.now(), job_id=f"{ctid:026}", **fields))
    with page.house.database.write() as session:
        spec = make_spec(waves={"canaries": [1001, 1002, 1003], "sizes": [30, "50%"]})
        return start(page.house.database, page.house.intake, session, spec, by="alice", because="CVE-2026-1").campaign.id


def carried(page: Page, campaign: str, places: range, outcome: Outcome) -> None:
    """What workers would have made of these targets by now."""
    with page.house.database.write() as session:
        now = page.house.clock.now()
        for target in session.exec(select(Target).where(Target.campaign_id == campaign, col(Target.place).in_(list(places)))):
            target.outcome = Outcome.FAILED if target.place in BAD and outcome is Outcome.OK else outcome
            target.reason = "exit code 100" if target.outcome is Outcome.FAILED else ""
            target.begun_at, target.ended_at = now, now if outcome is Outcome.OK else None
            session.add(target)


def test_a_roll_out_over_300_containers_changes_its_colours_while_it_runs(page: Page, context: Any) -> None:
    campaign = rollout(page)
    before = seat(page, context)
    before.tab.goto(f"{page.url}/rollouts")
    before.tab.get_by_role("link", name="rollout", exact=True).click()
    cells = before.tab.locator(".cell")
    assert cells.count() == MANY
    assert before.tab.locator(".cell.o-not-started").count() == MANY
    before.tab.evaluate("window.here = document.querySelector('h1')")
    for first in range(0, MANY, 60):
        places = range(first, first + 60)
        carried(page, campaign, places, Outcome.IN_FLIGHT)
        before.tab.wait_for_function("n => document.querySelectorAll('.cell.o-in-flight').length === n", arg=60)
        carried(page, campaign, places, Outcome.OK)
        before.tab.wait_for_function("n => document.querySelectorAll('.cell.o-ok, .cell.o-failed').length === n", arg=first + 60)
    with page.house.database.write() as session:
        row = session.get_one(Campaign, campaign)
        session.add_all([row, row.move(CampaignCause.FINISHED, now=page.house.clock.now())])
    before.tab.locator("#campaign-head .chip.done").wait_for()
    assert before.tab.locator(".cell.o-failed").count() == len(BAD)
    assert "297 ok" in before.tab.locator("#campaign-counts").inner_text()
    assert "3 failed" in before.tab.locator("#campaign-counts").inner_text()
    assert before.tab.evaluate("here === document.querySelector('h1')"), "the whole page was loaded again"
    assert before.said == []


def test_a_job_is_cancelled_with_the_keyboard_alone(page: Page, context: Any) -> None:
    job = page.api.order("order", hostname="web1.example.net").json()["id"]
    before = seat(page, context)
    before.tab.goto(f"{page.url}/jobs")
    before.tab.get_by_role("link", name=job[-8:]).focus()
    before.tab.keyboard.press("Enter")
    before.tab.wait_for_url(f"{page.url}/jobs/{job}")
    for _ in range(40):
        before.tab.keyboard.press("Tab")
        if before.tab.evaluate("document.activeElement.textContent").startswith("Cancel"):
            break
    before.tab.keyboard.press("Enter")
    before.tab.keyboard.press("Tab")
    before.tab.keyboard.type("the customer changed their mind")
    before.tab.keyboard.press("Enter")
    before.tab.locator(".said").wait_for()
    assert before.tab.locator("#job-head .chip").first.inner_text() == "cancelled"
    with page.house.database.read() as session:
        assert session.get_one(Job, job).state is State.CANCELLED
    assert before.said == []


def test_a_list_of_jobs_is_renewed_under_the_readers_eyes(page: Page, context: Any) -> None:
    before = seat(page, context)
    before.tab.goto(f"{page.url}/jobs")
    job = page.api.order("order").json()["id"]
    before.tab.locator(f"#job-{job}").wait_for()
    page.api.post(f"/v1/jobs/{job}:cancel", token="order")
    before.tab.locator(f"#job-{job} .chip.cancelled").wait_for()
    assert before.said == []


def test_nothing_serious_is_in_the_way_of_anybody(full: Page, chromium: Any) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    before = seat(full, context, "admin")
    faults = []
    for path in full.made.pages():
        before.look_at(path)
        faults += before.faults()
    context.close()
    assert faults == []
    assert before.said == []


def test_every_page_fits_a_phone_and_can_be_read_in_the_dark(full: Page, chromium: Any) -> None:
    context = chromium.new_context(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True, color_scheme="dark")
    before = seat(full, context, "admin")
    faults, wide = [], []
    for path in full.made.pages():
        before.look_at(path)
        width = before.tab.evaluate("document.documentElement.scrollWidth")
        wide += [(path, width)] if width > 360 else []
        faults += before.faults("color-contrast")
    context.close()
    assert wide == []
    assert faults == []
