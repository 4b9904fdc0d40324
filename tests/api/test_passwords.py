"""Generated root passwords: handed out once, sealed until then, found nowhere else."""

from datetime import timedelta
from pathlib import Path

from sqlmodel import select

from models.house import Secret, erase_secrets
from models.jobs import Job
from producers.passwords import Unfetched
from tests.api.conftest import Api
from tests.api.test_orders import end


def secrets_of(api: Api, job: str) -> dict[str, str]:
    with api.house.database.read() as session:
        return {secret.name: secret.sealed for secret in session.exec(select(Secret).where(Secret.job_id == job)).all()}


def finish(api: Api, job: str) -> None:
    """As a worker ends it."""
    end(api, job)
    with api.house.database.write() as session:
        erase_secrets(session, job, but="handout")


def test_it_is_handed_out_once_and_only_when_the_job_is_done(api: Api) -> None:
    job = api.order(generate_password=True, customer="acme").json()
    assert job["order"]["password"] == "(sealed)"
    assert secrets_of(api, job["id"]).keys() == {"password", "handout"}
    assert api.post(f"/v1/jobs/{job['id']}:password").status_code == 409
    finish(api, job["id"])
    assert api.post(f"/v1/jobs/{job['id']}:password", token="read").status_code == 403
    given = api.post(f"/v1/jobs/{job['id']}:password", token="acme")
    assert (given.status_code, len(given.json()["password"]), given.headers["cache-control"]) == (200, 20, "no-store")
    assert secrets_of(api, job["id"]) == {}
    again = api.post(f"/v1/jobs/{job['id']}:password")
    assert (again.status_code, "set-password" in again.json()["detail"]) == (409, True)


def test_it_is_what_the_worker_sets(lite: Api) -> None:
    job = lite.order(generate_password=True).json()["id"]
    worker = lite.house.vault.open(secrets_of(lite, job)["password"])
    finish(lite, job)
    assert lite.post(f"/v1/jobs/{job}:password").json()["password"] == worker


def test_the_same_key_makes_one_password(lite: Api) -> None:
    job = lite.order(generate_password=True, key="k").json()["id"]
    sealed = secrets_of(lite, job)
    again = lite.order(generate_password=True, key="k")
    assert (again.json()["id"], again.headers["idempotency-replayed"], secrets_of(lite, job)) == (job, "true", sealed)
    assert {error["field"] for error in lite.order(key="k").json()["errors"]} == {"generate_password", "password"}


def test_a_retry_makes_another_one(lite: Api) -> None:
    job = lite.order(generate_password=True).json()["id"]
    lite.post(f"/v1/jobs/{job}:cancel")
    assert secrets_of(lite, job) == {}
    again = lite.post(f"/v1/jobs/{job}:retry").json()["id"]
    assert secrets_of(lite, again).keys() == {"password", "handout"}


def test_either_given_or_generated(lite: Api) -> None:
    both = lite.order(generate_password=True, password="hunter2hunter2")
    assert (both.status_code, both.json()["errors"][0]["field"]) == (422, "generate_password")
    ctid = lite.order().json()["ctid"]
    neither = lite.order(kind="set-password", ctid=ctid)
    assert (neither.status_code, neither.json()["errors"][0]["field"]) == (422, "password")
    assert lite.order(kind="set-password", ctid=ctid, generate_password=True).status_code == 202
    assert lite.order(kind="reinstall-container", ctid=ctid, generate_password=True).status_code == 202


def test_one_that_nobody_fetches_is_erased(api: Api) -> None:
    job = api.order(generate_password=True).json()["id"]
    finish(api, job)
    unfetched = Unfetched(api.house.database, kept=timedelta(hours=24))
    assert unfetched.run_once() == 0
    with api.house.database.write() as session:
        row = session.get_one(Job, job)
        assert row.ended_at is not None
        row.ended_at -= timedelta(hours=25)
        session.add(row)
    assert (unfetched.run_once(), secrets_of(api, job)) == (1, {})


def test_it_is_found_nowhere(lite: Api, tmp_path: Path) -> None:
    job = lite.order(generate_password=True, customer="acme").json()
    given = lite.order(hostname="b.example.net", password="S3cret-and-long").json()
    made = lite.house.vault.open(secrets_of(lite, job["id"])["password"])
    finish(lite, job["id"])
    paths = ["/v1/jobs", "/v1/containers", "/v1/events", "/v1/audit", f"/v1/jobs/{job['id']}", f"/v1/jobs/{given['id']}"]
    told = "".join(lite.get(path).text for path in paths)
    for password in (made, "S3cret-and-long"):
        assert password not in told
        for file in tmp_path.rglob("*"):
            assert not file.is_file() or password.encode() not in file.read_bytes(), file
