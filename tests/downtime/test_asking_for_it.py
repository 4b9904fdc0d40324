"""`vzq downtime`, `vzq container show` and `/v1/outages` tell the same of the same rows."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from models.fleet import Container, ContainerState
from models.lifecycle import State
from models.outages import UNKNOWN, Outage
from producers.cli import app
from producers.downtime import downtime_s, month_span
from producers.refusals import BadOrder
from tests.api.conftest import Api, api, house, lite, lite_house  # noqa: F401 - fixtures
from tests.factories import make_job

NOW = datetime.now(UTC)
MARCH = datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC)
Vzq = Callable[..., Result]


def outage(ctid: int = 1001, *, began_at: datetime = MARCH, **given: Any) -> Outage:
    """A measured second of a restart."""
    fields: dict[str, Any] = {
        "node": "n1", "site": "main", "customer": "acme", "cause": "restart-container", "ended_at": began_at + timedelta(seconds=1),
        "gap_s": 1.0, "resolution_s": 0.04, "brownout_s": 0.0, "how": "tcp:22",
    }  # fmt: skip
    return Outage(ctid=ctid, began_at=began_at, **(fields | given))


def unmeasured(ctid: int = 1001, *, began_at: datetime = MARCH, **given: Any) -> Outage:
    why = {
        "gap_s": None,
        "ended_at": None,
        "resolution_s": None,
        "brownout_s": None,
        "not_measured": "nobody could ask",
        "parts": {"at_least_s": 2.5},
    }
    return outage(ctid, began_at=began_at, **(why | given))


def furnish(opened: Api) -> dict[str, str]:
    """Two containers with a past; the jobs by name."""
    jobs = {name: make_job(kind, state=state, ctid=ctid) for name, kind, state, ctid in [
        ("restart", "restart-container", State.DONE, 1001), ("broken", "reinstall-container", State.STUCK, 1001),
        ("other", "restart-container", State.DONE, 1002), ("stop", "stop-container", State.DONE, 1001),
        ("open", "resize-container", State.RUNNING, 1001),
    ]}  # fmt: skip
    with opened.house.database.write() as session:
        session.add_all(jobs.values())
        session.add(Container(ctid=1001, node="n1", site="main", state=ContainerState.PRESENT, customer="acme", since=NOW))
        session.flush()
        for row in (
            outage(job_id=jobs["restart"].id, began_at=NOW, suspended_s=0.4),
            outage(job_id=jobs["restart"].id, began_at=NOW, gap_s=0.5),
            outage(job_id=jobs["restart"].id, began_at=NOW, cause=UNKNOWN, gap_s=7.0),
            unmeasured(job_id=jobs["broken"].id, cause="reinstall-container"),
            outage(1002, job_id=jobs["other"].id, node="n2", customer="other", gap_s=3.25),
        ):
            session.add(row)
            session.flush()
    return {name: job.id for name, job in jobs.items()}


@pytest.fixture
def jobs(lite: Api) -> dict[str, str]:  # noqa: F811 - the fixture
    return furnish(lite)


@pytest.fixture(params=["here", "elsewhere"])
def vzq(request: pytest.FixtureRequest, lite: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vzq:  # noqa: F811
    """On the house itself, and over its API."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("VZQ_STATE", str(tmp_path if request.param == "here" else tmp_path / "nothing"))
    if request.param == "elsewhere":
        monkeypatch.setenv("VZQ_URL", lite.url)
        monkeypatch.setenv("VZQ_TOKEN", lite.secrets["admin"])
    return lambda *words: CliRunner().invoke(app, list(words), prog_name="vzq")


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_jobs_figures_are_its_own_outages_together(vzq: Vzq, jobs: dict[str, str]) -> None:
    answer = told(vzq("downtime", "--job", jobs["restart"], "--json"))
    assert {name: answer[name] for name in ("gap_s", "suspended_s", "resolution_s", "brownout_s", "not_measured")} == {
        "gap_s": 1.5, "suspended_s": 0.4, "resolution_s": 0.08, "brownout_s": 0.0, "not_measured": {},
    }  # fmt: skip
    assert len(answer["outages"]) == 3


def test_what_was_not_measured_is_null_and_says_why(vzq: Vzq, jobs: dict[str, str]) -> None:
    answer = told(vzq("downtime", "--job", jobs["broken"], "--json"))
    assert answer["gap_s"] is None
    assert answer["not_measured"]["gap_s"] == "nobody could ask"
    assert "nobody could ask" in vzq("downtime", "--job", jobs["broken"]).stdout


@pytest.mark.parametrize(("job", "why"), [("stop", "interrupts nothing"), ("open", "has not ended")])
def test_a_job_without_outages_says_why_there_are_none(vzq: Vzq, jobs: dict[str, str], job: str, why: str) -> None:
    answer = told(vzq("downtime", "--job", jobs[job], "--json"))
    assert (answer["gap_s"], answer["outages"]) == (None, [])
    assert why in answer["not_measured"]["gap_s"]


@pytest.mark.parametrize(
    ("words", "measured", "without"),
    [
        ((), 11.75, 1),
        (("--container", "1001"), 8.5, 1),
        (("--node", "n2"), 3.25, 0),
        (("--customer", "other"), 3.25, 0),
        (("--month", "2026-03"), 3.25, 1),
        (("--month", "2026-04"), 0.0, 0),
        (("--cause", "unknown"), 7.0, 0),
    ],
)
def test_the_sum_counts_what_was_measured_and_how_often_it_was_not(
    vzq: Vzq, jobs: dict[str, str], words: tuple[str, ...], measured: float, without: int
) -> None:
    answer = told(vzq("downtime", *words, "--json"))
    assert (answer["measured_s"], answer["unmeasured"]) == (measured, without)


def test_the_sum_is_of_all_however_few_are_listed(vzq: Vzq, jobs: dict[str, str]) -> None:
    answer = told(vzq("downtime", "--limit", "1", "--json"))
    assert (answer["measured_s"], len(answer["outages"])) == (11.75, 1)


def test_the_table_names_cause_and_job(vzq: Vzq, jobs: dict[str, str]) -> None:
    shown = vzq("downtime", "--container", "1002")
    assert "restart-container" in shown.stdout
    assert jobs["other"][-8:] in shown.stdout
    assert "measured: 3.250 s" in shown.stdout


def test_a_month_that_is_none_is_refused(vzq: Vzq) -> None:
    assert vzq("downtime", "--month", "2026-13").exit_code == 2


def test_a_container_tells_of_this_month_and_of_its_last_outages(vzq: Vzq, jobs: dict[str, str]) -> None:
    shown = vzq("container", "show", "1001").stdout
    assert "8.500 s measured" in shown
    assert "not measured: nobody could ask (at least 2.500 s)" in shown
    down = told(vzq("container", "show", "1001", "--json"))["downtime"]
    assert (down["measured_s"], down["unmeasured"], len(down["last"])) == (8.5, 0, 3)


def test_a_list_goes_on_page_after_page(lite: Api, jobs: dict[str, str]) -> None:  # noqa: F811
    first = lite.get("/v1/outages", params={"limit": 3}).json()
    second = lite.get(first["next"]).json()
    assert [one["gap_s"] for one in first["items"] + second["items"]] == [3.25, None, 7.0, 0.5, 1.0]
    assert second["next"] is None


def test_a_customers_token_sees_its_own_outages_only(lite: Api, jobs: dict[str, str]) -> None:  # noqa: F811
    assert {one["customer"] for one in lite.get("/v1/outages", token="acme").json()["items"]} == {"acme"}
    assert lite.get("/v1/outages", token="acme", params={"customer": "other"}).json()["items"] == []
    assert lite.get("/v1/outages", token="acme", params={"job": jobs["other"]}).json()["items"] == []


def test_outages_of_unknown_length_can_be_asked_for(lite: Api, jobs: dict[str, str]) -> None:  # noqa: F811
    assert [one["cause"] for one in lite.get("/v1/outages", params={"measured": "false"}).json()["items"]] == ["reinstall-container"]


def test_a_filter_that_is_none_is_named(lite: Api) -> None:  # noqa: F811
    answer = lite.get("/v1/outages", params={"month": "March"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "month"


def test_a_month_belongs_to_what_began_in_it_on_both_databases(api: Api) -> None:  # noqa: F811
    with api.house.database.write() as session:
        session.add_all([outage(began_at=at) for at in (MARCH, MARCH + timedelta(seconds=1), month_span("2026-03")[0])])
        session.add(unmeasured())
    with api.house.database.read() as session:
        assert downtime_s(session, 1001, "2026-03") == (2.0, 1)
        assert downtime_s(session, 1001, "2026-04") == (1.0, 0)
        assert downtime_s(session, 1001, "2025-12") == (0.0, 0)
        assert downtime_s(session, 1002, "2026-03") == (0.0, 0)


@pytest.mark.quick
@pytest.mark.parametrize("month", ["2026-00", "2026-13", "26-03", "2026-3", "0000-01", "9999-12", "2026-03-01", ""])
def test_what_is_no_month_is_named_so(month: str) -> None:
    with pytest.raises(BadOrder, match="YYYY-MM"):
        month_span(month)
