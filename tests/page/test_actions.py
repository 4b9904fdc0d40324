"""What is done on the page is done by the API, under the name of whoever is logged in, with the reason that was given."""

import pytest
from sqlmodel import select

from models.access import Audit
from models.campaigns import Campaign
from models.fleet import Node
from models.jobs import Job
from models.lifecycle import State
from models.logins import Ticket
from tests.api.test_rollouts import containers
from tests.factories import make_job
from tests.page.conftest import Page, send

SPEC = """name = "monday"
[selector]
all = true
[action]
do = "script"
interpreter = "sh"
text = "exit 0"
[waves]
canaries = [1001]
"""


def add(page: Page, kind: str, **given: object) -> str:
    with page.house.database.write() as session:
        job = make_job(kind, now=page.house.clock.now(), node="n1", **given)
        session.add(job)
        return job.id


def test_a_job_is_cancelled_and_placed_again(page: Page) -> None:
    job = page.api.order("order").json()["id"]
    with page.enter("order") as client:
        done = send(client, f"/jobs/{job}/cancel")
        assert (done.status_code, done.headers["location"]) == (303, f"/jobs/{job}")
        shown = client.get(done.headers["location"]).text
        assert "cancelled, nothing had begun" in shown
        assert "cancelled, nothing had begun" not in client.get(f"/jobs/{job}").text  # said once
        again = send(client, f"/jobs/{job}/retry").headers["location"]
        assert again != f"/jobs/{job}"
        assert send(client, f"/jobs/{job}/cancel").status_code == 409
    with page.house.database.read() as session:
        entry = session.exec(select(Audit).where(Audit.action == "job cancel")).one()
        assert (entry.by, entry.because) == ("order", "ticket 4711")
        assert session.get_one(Job, again.rpartition("/")[2]).retry_of == job


def test_a_stuck_job_tells_its_choices_and_is_resolved(page: Page) -> None:
    job = add(
        page,
        "start-container",
        state=State.STUCK,
        ctid=1001,
        error="vzctl said 77",
        error_class="Unexpected",
        order={"kind": "start-container", "ctid": 1001},
    )
    with page.enter("operate") as client:
        assert "vzctl said 77" in client.get("/stuck").text
        shown = client.get(f"/jobs/{job}").text
        assert "counts as done, nothing is done on the node" in shown
        done = send(client, f"/jobs/{job}/resolve", choice="accept")
        assert done.headers["location"] == f"/jobs/{job}"
    with page.house.database.read() as session:
        assert session.get_one(Job, job).state is State.DONE


def test_a_node_is_drained_and_activated(page: Page) -> None:
    with page.enter("operate") as client:
        assert send(client, "/nodes/n1/state", state="draining").status_code == 303
        assert "node n1 is draining now" in client.get("/nodes/n1").text
        assert send(client, "/nodes/n1/state", state="nonsense").status_code == 422
        assert send(client, "/nodes/nobody/state", state="draining").status_code == 404
    with page.house.database.read() as session:
        assert session.get_one(Node, "n1").state == "draining"


def test_a_roll_out_is_written_looked_at_begun_and_held(page: Page) -> None:
    containers(page.api)
    with page.enter("operate") as client:
        wrong = send(client, "/rollouts/plan", spec="[selector]\nall = 7\n")
        assert wrong.status_code == 422
        assert "selector.all" in wrong.text
        assert "names a file" in send(client, "/rollouts/plan", spec='[action]\nfile = "/etc/passwd"\n').text
        sheet = send(client, "/rollouts/plan", spec=SPEC)
        assert sheet.status_code == 200
        assert "1 of 1 canary" in sheet.text
        key = sheet.text.split('name="key" value="')[1].split('"')[0]
        begun = [send(client, "/rollouts/start", spec=SPEC, key=key).headers["location"] for _ in range(2)]
        assert begun[0] == begun[1]
        assert send(client, f"{begun[0]}/pause").status_code == 303
        assert send(client, f"{begun[0]}/resume", more_failures="2").status_code == 303
        assert send(client, f"{begun[0]}/speed", at_once="3", per_node="").status_code == 303
        assert send(client, f"{begun[0]}/abort").status_code == 303
        assert send(client, f"{begun[0]}/pause").status_code == 409
    with page.house.database.read() as session:
        (row,) = session.exec(select(Campaign)).all()
        assert (row.producer, row.more_failures, row.speed, row.state) == ("operate", 2, 3, "aborting")


def test_a_node_is_emptied_only_after_its_moves_were_shown(page: Page) -> None:
    containers(page.api)
    form = {"kind": "evacuation", "nodes": "n1", "mode": "online", "at_once": "2", "failures": "0"}
    with page.enter("operate") as client:
        assert 'value="n1"' in client.get("/relocations/new?kind=evacuation&nodes=n1").text
        plan = send(client, "/relocations/plan", **form)
        assert "longest interruption" in plan.text
        key = plan.text.split('name="key" value="')[1].split('"')[0]
        with page.house.database.read() as session:
            assert (session.get_one(Node, "n1").state, session.exec(select(Campaign)).all()) == ("active", [])
        begun = [send(client, "/relocations/start", **form, key=key).headers["location"] for _ in range(2)]
        assert begun[0] == begun[1]
        again = send(client, "/relocations/start", **form, key="another")
        assert (again.status_code, "abort it" in again.text) == (409, True)
    with page.house.database.read() as session:
        (row,) = session.exec(select(Campaign)).all()
        assert (row.kind, row.producer, row.because, row.spec["mode"], row.spec["failures"]) == ("evacuation", "operate", "ticket 4711", "online", 0)


def test_a_relocation_that_cannot_be_is_refused_field_by_field(page: Page) -> None:
    with page.enter("operate") as client:
        for fields, what in [
            ({"kind": "evacuation", "nodes": "nobody"}, "there is no node"),
            ({"kind": "evacuation", "nodes": ""}, "nodes"),
            ({"kind": "evacuation", "nodes": "n1", "at_once": "many"}, "at_once"),
            ({"kind": "explode", "nodes": "n1"}, "kind"),
            ({"kind": "reboot", "nodes": "n1 n2 n1"}, "n1 is named more than once"),
            ({"kind": "rebalance", "nodes": "n1 n2", "window": "always"}, "windows"),
        ]:
            answer = send(client, "/relocations/plan", **fields)
            assert (answer.status_code, what in answer.text) == (422, True), (fields, answer.text)
        refused = send(client, "/relocations/start", kind="return", nodes="n1")
        assert (refused.status_code, "never evacuated" in refused.text) == (409, True)


def test_a_pause_has_an_owner_and_a_reason_and_ends(page: Page) -> None:
    with page.enter("operate") as client:
        assert send(client, "/pauses", reach="node", name="n1").status_code == 303
        assert "ticket 4711" in client.get("/pauses").text
        assert send(client, "/pauses", reach="node", name="nobody").status_code == 422
        assert send(client, "/pauses", reach="node", name="n1", because=" ").status_code == 422
        assert send(client, "/pauses/resume", reach="node", name="n1").status_code == 303
        assert send(client, "/pauses/resume", reach="node", name="n1").status_code == 409


ACTS = [  # form, its fields, the least scope
    ("/jobs/{job}/cancel", {}, "order"),
    ("/jobs/{job}/retry", {}, "order"),
    ("/jobs/{job}/resolve", {"choice": "accept"}, "operate"),
    ("/jobs/{job}/look", {}, "operate"),
    ("/jobs/{job}/node-lost", {}, "operate"),
    ("/nodes/n1/state", {"state": "draining"}, "operate"),
    ("/nodes/n1/observe", {}, "operate"),
    ("/rollouts/start", {"spec": SPEC}, "operate"),
    ("/relocations/start", {"kind": "evacuation", "nodes": "n1"}, "operate"),
    ("/campaigns/{job}/abort", {}, "operate"),
    ("/findings/1/repair", {}, "operate"),
    ("/pauses", {"reach": "everything"}, "operate"),
    ("/schedules/nightly/pause", {}, "operate"),
    ("/console/1001", {}, "operate"),
    ("/webhooks/{job}/ping", {}, "admin"),
]


def test_each_form_is_taken_from_its_scope_and_those_above(page: Page) -> None:
    scopes = ("read", "order", "operate", "admin")
    job = "01JD8QF3Z5X0RQ2M8B7C4E6N9T"
    for scope in scopes:
        with page.enter(scope) as client:
            for path, fields, least in ACTS:
                status = send(client, path.format(job=job), **fields).status_code
                assert (status == 403) is (scopes.index(scope) < scopes.index(least)), (scope, path, status)
                assert status < 500, (scope, path)


def test_no_ticket_for_a_console_is_given_where_there_is_none(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.page.console.offered", lambda _: False)
    containers(page.api)
    with page.enter("operate") as client:
        answer = send(client, "/console/1001")
    assert answer.status_code == 409
    assert "management host" in answer.text
    with page.house.database.read() as session:
        assert session.exec(select(Ticket)).all() == []
