"""The document says what the API does: schemathesis tries it, and every answer has the fields it names."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from models.access import Audit, Scope, Token
from models.findings import Finding
from models.house import Beat
from models.jobs import Begun, Event
from models.lifecycle import Cause, State
from models.outages import Outage
from producers import shapes
from producers.api import answers, fleet_answers, house_answers
from producers.downtime import outage_shape
from producers.findings import finding_shape
from tests.api.conftest import NEW, Api
from tests.factories import make_job, make_node, make_plan, make_pool
from tests.stand_ins import NOON

ROOT = Path(__file__).parents[2]
CONFIG = """
[checks]
# A well-formed order may name a plan that there is not: 422, field by field.
positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "422"]

[parameters]
wait = 0  # nobody carries these orders out, so nobody need wait for them
"""


def keys(form: type[BaseModel]) -> set[str]:
    return set(form.model_fields)


@pytest.mark.quick
def test_every_shape_has_the_fields_of_its_answer() -> None:
    event = Event(id=1, job_id="j", at=NOON, cause=Cause.ACCEPTED, state=State.QUEUED)
    begun = Begun(job_id="j", step="s", direction="do", attempt=1, node="n", token=1, at=NOON)
    assert shapes.job_shape(make_job()).keys() == keys(answers.Job)
    assert shapes.event_shape(event).keys() == keys(answers.Event)
    assert shapes.begun_shape(begun).keys() == keys(answers.Try)
    assert shapes.node_shape(make_node(), containers=0, memory_taken=0, disk_taken=0).keys() == keys(fleet_answers.Node)
    assert shapes.plan_shape(make_plan()).keys() == keys(fleet_answers.Plan)
    assert shapes.pool_shape(make_pool(), used=0, size=1).keys() == keys(fleet_answers.Pool)
    assert shapes.token_shape(Token(name="t", hash="h", scope=Scope.READ, created_at=NOON, created_by="b")).keys() == keys(house_answers.Token)
    assert shapes.audit_shape(Audit(at=NOON, by="b", action="a")).keys() == keys(house_answers.AuditEntry)
    assert outage_shape(Outage(ctid=1, node="n", site="s", cause="c", began_at=NOON)).keys() == keys(fleet_answers.Outage)
    assert finding_shape(Finding(kind="k", node="n", subject="s", first_seen=NOON, last_seen=NOON)).keys() == keys(fleet_answers.Finding)


def test_a_container_has_the_fields_of_its_answer(lite: Api) -> None:
    ctid = lite.order().json()["ctid"]
    assert lite.get(f"/v1/containers/{ctid}").json().keys() == keys(fleet_answers.ContainerStory)
    assert lite.get("/v1/containers").json()["items"][0].keys() == keys(fleet_answers.Container)


def test_the_document_is_whole(lite: Api) -> None:
    document: dict[str, Any] = lite.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert bool(operation.get("security")) is path.startswith("/v1"), path
            assert {"400", "422", "503"} <= operation["responses"].keys(), path
            assert any(code.startswith("2") for code in operation["responses"])
    schemas = document["components"]["schemas"]
    assert set(schemas) >= {"CreateContainer", "SetPassword", "Problem", "Job", "JobStory", "Container"}
    assert "HTTPValidationError" not in schemas
    request = document["paths"]["/v1/orders"]["post"]["requestBody"]["content"]["application/json"]
    assert request["schema"]["discriminator"]["propertyName"] == "kind"
    assert NEW["kind"] in request["schema"]["discriminator"]["mapping"]


def test_the_document_is_printed_without_a_house() -> None:
    printed = subprocess.run([sys.executable, "-m", "producers.api"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert '"openapi": "3.1' in printed.stdout
    assert printed.stderr == ""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("share", ["--exclude-path-regex", "--include-path-regex"], ids=["most", "campaigns"])
def test_schemathesis_finds_nothing(lite: Api, tmp_path: Path, share: str) -> None:
    with lite.house.database.write() as session:
        session.merge(Beat(name="dispatcher", at=lite.house.clock.now().replace(year=2100)))  # else /readyz is right to say 503
    (tmp_path / "st.toml").write_text(CONFIG)
    program = Path(__file__).with_name("roomy_schemathesis.py")
    examples = os.environ.get("VZQ_TEST_EXAMPLES", "4")
    argv = [
        sys.executable, program, "--config-file", "st.toml", "run", f"{lite.url}/openapi.json", "--url", lite.url, "--checks", "all", "--no-color",
        "--max-examples", examples, "--seed", "1", "--phases", "examples,coverage,fuzzing,stateful", "--continue-on-failure",
        "-H", f"Authorization: Bearer {lite.secrets['admin']}", share, "^/v1/(rollouts|campaigns|schedules)",
    ]  # fmt: skip
    ran = subprocess.run([str(word) for word in argv], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=290)
    assert ran.returncode == 0, ran.stdout[-12000:]
    assert "Failures:" not in ran.stdout
