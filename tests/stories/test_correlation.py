"""One id leads from a request to the commands on the node and back, in one real house."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from models.access import Audit, Scope
from models.campaigns import Campaign
from models.jobs import Event, Job
from producers import tokens
from producers.api.server import ApiServer
from producers.api.settings import ApiSettings
from tests.stories.place import Place

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("correlation")]
TICKET, OTHER = "ticket-4711", "ticket-4712"
ORDER = {"kind": "create-container", "plan": "small", "template": "busybox-mini-x86_64", "hostname": "ct1.example.net"}


@pytest.fixture(scope="module")
def api(one_place: Place) -> Iterator[httpx.Client]:
    """The house's API, with an operator's token; its worker says all it knows."""
    one_place.environment["VZQ_LOG_LEVEL"] = "debug"
    one_place.restart("worker")
    server = ApiServer(one_place.house, ApiSettings(api="127.0.0.1:0"))
    with one_place.house.database.write() as session:
        now = one_place.house.database.now(session)
        _, secret = tokens.create(session, name="ops", scope=Scope.OPERATE, customer=None, expires_at=None, now=now, by="test")
    server.start()
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {secret}"}, timeout=70, trust_env=False) as client:
        yield client
    server.stop()


def logged(place: Place, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (place.folder / f"{name}.log").read_text().splitlines() if line.startswith("{")]


def test_one_id_leads_from_the_request_to_the_commands_on_the_node(one_place: Place, api: httpx.Client) -> None:
    answer = api.post("/v1/orders", json=ORDER, params={"wait": 60, "because": "sold"}, headers={"X-Request-ID": TICKET})
    assert answer.headers["X-Request-ID"] == TICKET
    job = answer.json()
    assert (job["state"], job["request"]) == ("done", TICKET), job

    with one_place.house.database.read() as session:
        first = session.exec(select(Event).where(Event.job_id == job["id"]).order_by(col(Event.id))).first()
        act = session.exec(select(Audit).where(Audit.subject == f"job:{job['id']}")).one()
    assert first is not None
    assert (first.data["request"], act.data["request"]) == (TICKET, TICKET)

    lines = [line for line in logged(one_place, "worker") if line.get("request") == TICKET]
    assert {line["job"] for line in lines} == {job["id"]}
    steps = {line["step"] for line in lines if line["event"] == "step_begun"}
    commands = [line["command"] for line in lines if line["event"] == "node_asked"]
    begun = [command for command in commands if "begin" in command]
    assert {"plant", "make", "hand-over"} <= steps
    assert begun
    assert all(job["id"] in command for command in begun)  # vzq-run is told the job, its step and its try
    assert [line["state"] for line in lines if line["event"] == "run_ended"] == ["done"]

    node = next(node for node in one_place.nodes if node.name == job["node"])
    runs = {path.name.split(".")[1] for path in (one_place.folder / "lab").glob(f"**/{node.name}/**/var/lib/vzq/runs/{job['id']}/*")}
    assert runs
    assert runs <= steps

    shown = one_place.vzq("job", "show", job["id"]).stdout
    for word in (TICKET, "sold", "done", "hand-over", f"/var/lib/vzq/runs/{job['id']}", job["node"], "claimed", "finished"):
        assert word in shown
    assert len(shown.splitlines()) < 60  # one screen
    assert [one["id"] for one in json.loads(one_place.vzq("job", "list", "--request", TICKET, "--json").stdout)] == [job["id"]]


def test_the_jobs_of_a_campaign_carry_the_request_that_began_it(one_place: Place, api: httpx.Client) -> None:
    one_place.ended(*one_place.containers(1))
    spec = {"name": "c", "selector": {"all": True}, "action": {"do": "script", "interpreter": "sh", "text": "exit 0"}}
    begun = api.post("/v1/rollouts", json=spec, headers={"X-Request-ID": OTHER})
    assert begun.status_code == 202, begun.text

    def over() -> list[Job]:
        with one_place.house.database.read() as session:
            if not session.get_one(Campaign, begun.json()["id"]).over:
                return []
            return list(session.exec(select(Job).where(Job.campaign == begun.json()["id"])).all())

    one_place.until(over, "the roll-out's end")
    assert {job.request for job in over()} == {OTHER}
    listed = api.get("/v1/jobs", params={"request": OTHER}).json()["items"]
    assert {one["id"] for one in listed} == {job.id for job in over()}
