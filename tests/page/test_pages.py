"""Every page in an empty and in a full house: it is there, it means what it says, and no name becomes markup."""

import re
from html import unescape

import httpx
import pytest

from models.access import Scope
from tests.page.conftest import Page
from tests.page.full_house import EVIL, PAGES

pytestmark = pytest.mark.quick
INLINE = re.compile(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE)


def sound(answer: httpx.Response) -> str:
    """A whole page of ours, without anything inline."""
    html = answer.text
    assert answer.status_code == 200, (answer.url, html[:2000])
    assert html.count("<h1") == 1, answer.url
    assert html.count('<main id="main"') == 1
    quoted = html.replace("onerror=alert(1)", "")  # within text, where it means nothing
    assert INLINE.search(quoted) is None, (answer.url, INLINE.search(quoted))
    return html


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_there_in_an_empty_house(page: Page, path: str) -> None:
    with page.enter("admin") as client:
        sound(client.get(path))


def test_every_page_is_there_in_a_full_house_and_no_name_becomes_markup(full: Page) -> None:
    told = 0
    with full.enter("admin") as client:
        for path in full.made.pages():
            html = sound(client.get(path))
            assert "<img src=x" not in html, path
            assert EVIL not in html, path
            told += "&lt;img src=x" in html
    assert told >= 15


def test_ids_are_there_once(full: Page) -> None:
    with full.enter("admin") as client:
        for path in full.made.pages():
            ids = re.findall(r'\sid="([^"]+)"', client.get(path).text)
            assert sorted(ids) == sorted(set(ids)), path


SEEN = {  # page → the least scope that sees it, and whether a token of one customer does
    "/": ("read", False),
    "/jobs": ("read", True),
    "/stuck": ("read", True),
    "/rollouts": ("read", False),
    "/moves": ("read", False),
    "/containers": ("read", True),
    "/downtime": ("read", True),
    "/findings": ("read", False),
    "/schedules": ("read", False),
    "/pauses": ("read", False),
    "/webhooks": ("admin", False),
    "/audit": ("admin", False),
}


def test_each_scope_sees_its_pages_and_the_menu_names_no_other(full: Page) -> None:
    scopes = [str(scope) for scope in (Scope.READ, Scope.ORDER, Scope.OPERATE, Scope.ADMIN)]
    for token in [*scopes, "acme"]:
        with full.enter(token) as client:
            menu = client.get("/jobs").text
            for path, (least, bound) in SEEN.items():
                scope = "order" if token == "acme" else token
                allowed = scopes.index(scope) >= scopes.index(least) and (bound or token != "acme")
                status = client.get(path).status_code
                assert (status == 200) is allowed or (path, token) == ("/", "acme"), (path, token, status)
                if path != "/stuck":
                    assert (f'<a href="{path}"' in menu.replace('class="brand" ', "").split("</nav>")[0].split("<nav")[1]) is allowed, (path, token)


def test_a_customers_token_sees_that_customers_alone(full: Page) -> None:
    with full.enter("acme") as client:
        listed = client.get("/containers").text
        assert "ct1003" in listed
        assert "ct1005" not in listed
        assert client.get("/containers/1005").status_code == 404
        assert client.get("/containers/1003").status_code == 200
        assert client.get("/containers/1001").status_code == 404  # it is somebody else's by now
        assert "nobody in particular" not in client.get("/downtime").text


def test_no_link_that_a_customer_sees_is_closed_to_them(full: Page) -> None:
    with full.enter("acme") as client:
        new, seen = {"/jobs", "/containers", "/downtime"}, {"/logout"}
        while new - seen:
            path = (new - seen).pop()
            answer = client.get(path, follow_redirects=True)
            assert answer.status_code in (200, 404), path  # 404: what old jobs and outages name may be gone, or somebody else's by now
            seen.add(path)
            new |= {unescape(link) for link in re.findall(r'href="(/(?!static)[^"#?]*)"', answer.text)}
        assert any(path.startswith("/nodes/") for path in seen)


def test_only_who_may_act_is_offered_to(full: Page) -> None:
    job = (full.made.jobs or {})["queued"]
    stuck = (full.made.jobs or {})["stuck"]
    with full.enter("read") as reader, full.enter("operate") as operator:
        assert "Cancel this job" not in reader.get(f"/jobs/{job}").text
        assert "Cancel this job" in operator.get(f"/jobs/{job}").text
        assert "a person must decide" not in reader.get(f"/jobs/{stuck}").text
        assert "a person must decide" in operator.get(f"/jobs/{stuck}").text
        assert reader.get("/rollouts/new").status_code == 403
        assert reader.get("/relocations/new").status_code == 403
        assert reader.get("/console/1001").status_code == 403


def test_a_move_is_drawn_with_what_was_measured(full: Page) -> None:
    with full.enter("read") as client:
        html = client.get(f"/jobs/{full.made.move}").text
    assert "No answer for 1.250 s; frozen for 0.900 s by the node&#39;s own figure; slow for 0.300 s." in html
    for sort in ("gap", "freeze", "brown", "unsure", "well"):
        assert f'<rect class="{sort}"' in html


def test_the_counts_of_a_roll_out_add_up_to_its_squares(full: Page) -> None:
    with full.enter("read") as client:
        html = client.get(f"/campaigns/{full.made.rollout}").text
    counts = [int(number) for number in re.findall(r"<b>(\d+)</b> (?!target)", html.split('<ul class="counts">')[1].split("</ul>")[0])]
    assert sum(counts) == html.count('class="cell ') == 24
    assert "together 24" in html


def test_a_container_is_found_by_whatever_is_at_hand(full: Page) -> None:
    with full.enter("read") as client:
        assert client.get("/containers", params={"text": "1007"}).headers["location"] == "/containers/1007"
        assert "1001" in client.get("/containers", params={"text": "192.0.2.17"}).text
        found = client.get("/containers", params={"text": "CT1010.EX"}).text
        assert "ct1010" in found
        assert "ct1011" not in found
        for nothing in ("%", "0" * 20 + "7", "9" * 10):
            assert "No container fits" in client.get("/containers", params={"text": nothing}).text


def test_assets_are_kept_by_browsers_and_change_their_address_with_their_content(full: Page) -> None:
    with full.enter("read") as client:
        for address in re.findall(r'(?:href|src)="(/static/[^"]+)"', client.get("/jobs").text):
            answer = client.get(address)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
            assert re.fullmatch(r"/static/[a-z.0-9-]+\?v=[0-9a-f]{12}", address)
