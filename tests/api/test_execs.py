"""A command for many containers over HTTP."""

from typing import Any

from sqlmodel import select

from models.fleet import Container, ContainerState
from models.inside import ExecResult
from models.jobs import Job
from models.lifecycle import Cause
from models.standing import Standing
from tests.api.conftest import Api


def inhabit(api: Api, count: int = 4) -> None:
    with api.house.database.write() as session:
        session.add_all(
            Container(
                ctid=101 + n, node=f"n{n % 2 + 1}", site="main", state=ContainerState.PRESENT, labels={"env": "prod"}, since=api.house.clock.now()
            )
            for n in range(count)
        )


def command(**given: Any) -> dict[str, Any]:
    return {"selector": {"labels": {"env": "prod"}}, "script": "true"} | given


def test_a_command_becomes_one_job_a_node_and_the_same_key_brings_the_same_jobs(api: Api) -> None:
    inhabit(api)
    first, again = (api.post("/v1/exec", command(), token="operate", key="date-1") for _ in range(2))
    assert (first.status_code, first.json()["containers"], len(first.json()["jobs"])) == (202, 4, 2)
    assert again.json()["jobs"] == first.json()["jobs"]
    with api.house.database.read() as session:
        orders = [job.order for job in session.exec(select(Job).order_by(Job.id))]
    assert [(order["node"], order["ctids"]) for order in orders] == [("n1", [101, 103]), ("n2", [102, 104])]


def test_nobody_below_operate_runs_anything_inside(lite: Api) -> None:
    inhabit(lite)
    assert lite.post("/v1/exec", command(), token="order").status_code == 403
    batch = {"kind": "exec-batch", "node": "n1", "ctids": [101], "script": "true"}
    assert lite.post("/v1/orders", batch, token="order").status_code == 403


def test_a_selector_that_fits_nothing_is_told_and_nothing_is_ordered(lite: Api) -> None:
    answer = lite.post("/v1/exec", command(selector={"labels": {"env": "test"}}))
    assert (answer.status_code, answer.json()["errors"]) == (422, [{"field": "selector", "what": "no container fits; see `vzq container list`"}])
    assert lite.get("/v1/jobs").json()["items"] == []


def test_results_come_in_pages_by_container(api: Api) -> None:
    inhabit(api)
    job_id = api.post("/v1/exec", command(selector={"nodes": ["n1"]})).json()["jobs"][0]
    with api.house.database.write() as session:
        job, now = session.get_one(Job, job_id), api.house.database.now(session)
        session.add_all(job.move(cause, now=now) for cause in (Cause.DISPATCHED, Cause.CLAIMED, Cause.FINISHED))
        session.add_all(ExecResult(job_id=job_id, ctid=ctid, outcome="ok", code=0, output="hi\n", at=now) for ctid in (101, 103))
    first = api.get(f"/v1/jobs/{job_id}/results", params={"limit": 1}).json()
    second = api.get(first["next"]).json()
    assert [one["ctid"] for one in first["items"] + second["items"]] == [101, 103]
    assert second["next"] is None


def test_what_is_terminated_is_asked_only_where_it_is_named_and_then_left_out_with_the_reason(lite: Api) -> None:
    inhabit(lite)
    with lite.house.database.write() as session:
        session.get_one(Container, 101).standing = Standing.TERMINATED
    everywhere = lite.post("/v1/exec", command(selector={"all": True})).json()
    assert (everywhere["containers"], everywhere["skipped"]) == (3, [])
    named = lite.post("/v1/exec", command(selector={"ids": [101, 102]})).json()
    assert (named["containers"], named["skipped"]) == (2, [{"ctid": 101, "why": "it is terminated"}])
