"""`/v1/signatures`, `/v1/pauses` and the choices of a stuck job, as a program meets them."""

from models.lifecycle import State
from models.signatures import met
from tests.api.conftest import Api
from tests.factories import make_job
from tests.stand_ins import NOON


def test_a_signature_is_listed_told_and_settled(lite: Api) -> None:
    job = make_job("create-container", state=State.STUCK, node="n1", step="make")
    with lite.house.database.write() as session:
        session.add(job)
        met(session, "create 99 odd", job, now=NOON, why="create ended with 99")
    (one,) = lite.get("/v1/signatures").json()["items"]
    assert (one["text"], one["count"], one["examples"][0]["job"]) == ("create 99 odd", 1, job.id)
    path = f"/v1/signatures/{one['id']}"
    assert lite.get(path).json()["stuck"] == []
    assert lite.post(f"{path}:settle").status_code == 422
    assert lite.post(f"{path}:settle", token="order", params={"because": "x"}).status_code == 403
    assert lite.post(f"{path}:settle", params={"because": "an old vzctl"}).json()["note"] == "an old vzctl"
    assert lite.get("/v1/signatures").json()["items"] == []
    assert lite.get("/v1/signatures/99").status_code == 404


def test_a_pause_is_made_once_and_ended_once(lite: Api) -> None:
    body = {"reach": "node", "name": "n1"}
    assert lite.post("/v1/pauses", body).status_code == 422  # why?
    assert lite.post("/v1/pauses", body, params={"because": "disks"}).status_code == 201
    assert lite.post("/v1/pauses", body, params={"because": "again"}).json()["because"] == "disks"
    assert lite.post("/v1/pauses", body, token="order", params={"because": "x"}).status_code == 403
    assert lite.post("/v1/pauses:resume", body).status_code == 200
    assert lite.post("/v1/pauses:resume", body).status_code == 409


def test_only_an_operator_may_call_a_node_lost_or_have_a_worker_look(lite: Api) -> None:
    job = lite.order().json()["id"]
    for verb in ("look", "node-lost"):
        assert lite.post(f"/v1/jobs/{job}:{verb}", token="order").status_code == 403
    assert lite.post(f"/v1/jobs/{job}:look").status_code == 202
    assert lite.post(f"/v1/jobs/{job}:node-lost", params={"because": "burnt down"}).status_code == 200
    node = lite.get(f"/v1/jobs/{job}").json()["node"]
    assert lite.get(f"/v1/nodes/{node}").json()["state"] == "lost"
