import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from models.database import Database
from models.house import Beat, Secret, Worker
from models.jobs import Job
from models.lifecycle import Cause, State
from producers.shapes import job_shape
from tests.cli.conftest import Vzq, rows
from tests.factories import make_job

ORDER = ("order", "create", "--plan", "small", "--template", "busybox-mini-x86_64", "--hostname", "web1.example.net")


def now() -> datetime:
    return datetime.now(UTC)


def stored(database: Database, job: Job) -> str:
    with database.write() as session:
        session.add(job)
    return job.id


def moved(database: Database, job_id: str, *causes: Cause, **fields: object) -> None:
    with database.write() as session:
        job = session.get(Job, job_id)
        assert job is not None
        for cause in causes:
            session.add(job.move(cause, now=now(), why=f"because of {cause}"))
        for name, value in fields.items():
            setattr(job, name, value)
        session.add(job)


def meanwhile(act: Callable[[], None]) -> threading.Thread:
    """`act` happens while somebody watches."""

    def later() -> None:
        time.sleep(0.3)
        act()

    thread = threading.Thread(target=later)
    thread.start()
    return thread


def test_an_order_prints_its_job_and_the_same_key_gives_the_same_one(vzq: Vzq, fleet: Database) -> None:
    first = vzq(*ORDER, "--key", "k1", "--by", "shop", "--because", "sold")
    again = vzq(*ORDER, "--key", "k1", "--json")
    assert first.exit_code == 0
    assert rows(again) == {"job": first.stdout.strip(), "replay": True}
    told = rows(vzq("job", "show", first.stdout.strip(), "--json"))
    assert (told["by"], told["because"], told["key"]) == ("shop", "sold", "k1")


def test_every_field_of_the_order_has_its_option(vzq: Vzq, fleet: Database) -> None:
    options = {
        "--pool": "public", "--ctid": "2001", "--node": "n2", "--name": "web1", "--customer": "acme", "--nameserver": "192.0.2.53",
        "--searchdomain": "example.net", "--site": "main",
    }  # fmt: skip
    several = ("--label", "tier=web", "--label", "team=shop", "--spread")
    words = [word for pair in options.items() for word in pair]
    made = rows(vzq(*ORDER, *words, *several, "--wait-for-capacity", "--password-stdin", "--json", given="secret-word\n"))
    order = rows(vzq("job", "show", made["job"], "--json"))["order"]
    assert order == {
        "kind": "create-container", "plan": "small", "template": "busybox-mini-x86_64", "hostname": "web1.example.net", "pool": "public",
        "ctid": 2001, "node": "n2", "name": "web1", "customer": "acme", "nameservers": ["192.0.2.53"], "searchdomain": "example.net", "site": "main",
        "wait_for_capacity": True, "password": "(sealed)", "labels": {"tier": "web", "team": "shop"}, "require": {}, "spread": True,
        "generate_password": False, "pools": [],
    }  # fmt: skip


def test_an_id_of_0_is_a_bad_id_and_not_none(vzq: Vzq, fleet: Database) -> None:
    assert "--ctid: " in vzq(*ORDER, "--ctid", "0").stderr


@pytest.mark.parametrize("label", ["tier", "=web", "tier=", "tier=a b", "$(id)=x"])
def test_what_is_no_label_is_refused(vzq: Vzq, fleet: Database, label: str) -> None:
    assert vzq(*ORDER, "--label", label).exit_code == 2
    assert vzq(*ORDER, "--label", "a=1", "--label", "a=2").exit_code == 2


def test_a_password_is_sealed_and_shown_nowhere(vzq: Vzq, fleet: Database) -> None:
    job = vzq(*ORDER, "--password-stdin", given="correct-horse\n").stdout.strip()
    with fleet.read() as session:
        secret = session.get(Secret, (job, "password"))
    assert secret is not None
    assert "correct-horse" not in secret.sealed
    assert "correct-horse" not in vzq("job", "show", job).stdout + vzq("job", "list", "--json").stdout


@pytest.mark.parametrize("given", ["", "\n", "short\n", "with blank in it\n"])
def test_a_bad_password_is_refused_and_not_repeated(vzq: Vzq, fleet: Database, given: str) -> None:
    result = vzq(*ORDER, "--password-stdin", given=given)
    assert result.exit_code == 2
    assert "--password: " in result.stderr
    assert "blank in it" not in result.stderr


def test_no_room_is_told_node_by_node(vzq: Vzq, fleet: Database) -> None:
    result = vzq(*ORDER, "--node", "n1", "--template", "centos-6-x86_64", "--plan", "large", "--pool", "public", "--site", "main")
    assert result.exit_code == 0
    assert vzq("node", "drain", "n1").exit_code == 0
    full = vzq(*ORDER, "--node", "n1")
    assert full.exit_code == 3
    assert "n1: draining; n2: the order names n1" in full.stderr


def test_the_job_of_an_empty_site_is_refused_with_what_to_do(vzq: Vzq) -> None:
    result = vzq(*ORDER)
    assert result.exit_code == 2
    assert "vzq plan add" in result.stderr


def test_a_job_has_the_same_shape_in_lists_and_alone(vzq: Vzq, fleet: Database) -> None:
    job_id = vzq(*ORDER).stdout.strip()
    (listed,) = rows(vzq("job", "list", "--json"))
    shown = rows(vzq("job", "show", job_id, "--json"))
    assert set(listed) == set(job_shape(make_job()))
    assert set(shown) == set(listed) | {"addresses", "events", "journal", "acts", "outages", "retried_by"}
    assert shown["addresses"] == ["127.64.0.1"]
    assert [event["cause"] for event in shown["events"]] == ["accepted"]
    assert listed["accepted_at"].endswith("Z")


def test_jobs_are_found_by_their_ending(vzq: Vzq, database: Database) -> None:
    job_id = stored(database, make_job())
    assert rows(vzq("job", "show", job_id[-8:].lower(), "--json"))["id"] == job_id
    assert vzq("job", "show", job_id[-3:]).exit_code == 2
    assert vzq("job", "show", "ZZZZZZZZ").exit_code == 2
    assert vzq("job", "show", "%%%%").exit_code == 2


def test_lists_are_narrowed_by_state_kind_and_node(vzq: Vzq, database: Database) -> None:
    for state, node in ((State.QUEUED, "n1"), (State.RUNNING, "n2"), (State.DONE, "n2")):
        stored(database, make_job("observe-node", state=state, node=node))
    stored(database, make_job("check-queue"))

    def states(*options: str) -> list[str]:
        return [job["state"] for job in rows(vzq("job", "list", "--json", *options))]

    assert states() == ["queued", "done", "running", "queued"]
    assert states("--state", "open") == ["queued", "running", "queued"]
    assert states("--state", "done", "--state", "running") == ["done", "running"]
    assert states("--node", "n2") == ["done", "running"]
    assert states("--kind", "check-queue") == ["queued"]
    assert states("--limit", "2") == ["queued", "done"]
    assert vzq("job", "list", "--state", "lost").exit_code == 2
    assert vzq("job", "list", "--kind", "make-coffee").exit_code == 2


def test_a_waiting_job_is_cancelled_at_once_and_an_ended_one_is_not(vzq: Vzq, fleet: Database) -> None:
    job_id = vzq(*ORDER).stdout.strip()
    assert rows(vzq("job", "cancel", job_id, "--by", "ann", "--json"))["state"] == "cancelled"
    again = vzq("job", "cancel", job_id)
    assert again.exit_code == 3
    assert "is cancelled and cannot be cancelled" in again.stderr
    assert rows(vzq("container", "list", "--json")) == []


def test_an_ended_job_is_taken_up_again_as_a_new_one(vzq: Vzq, fleet: Database) -> None:
    job_id = vzq(*ORDER).stdout.strip()
    assert vzq("job", "retry", job_id).exit_code == 3
    vzq("job", "cancel", job_id)
    new = vzq("job", "retry", job_id).stdout.strip()
    assert rows(vzq("job", "show", new, "--json"))["retry_of"] == job_id


def test_a_stuck_job_is_left_by_a_persons_choice_only(vzq: Vzq, database: Database) -> None:
    job_id = stored(database, make_job(state=State.STUCK, now=now()))
    assert vzq("job", "resolve", job_id, "perhaps").exit_code == 2
    assert rows(vzq("job", "resolve", job_id, "go-on", "--by", "ann", "--json"))["state"] == "queued"
    assert vzq("job", "resolve", job_id, "go-on").exit_code == 3


def test_why_names_what_is_missing(vzq: Vzq, database: Database) -> None:
    job_id = stored(database, make_job(now=now()))
    codes = {reason["code"] for reason in rows(vzq("job", "why", job_id, "--json"))}
    assert {"service", "worker"} <= codes
    assert "vzq worker --site main" in vzq("job", "why", job_id).stdout


def test_watching_ends_with_the_job_and_says_that_it_is_done(vzq: Vzq, database: Database) -> None:
    job_id = stored(database, make_job(now=now()))
    thread = meanwhile(lambda: moved(database, job_id, Cause.DISPATCHED, Cause.CLAIMED, Cause.FINISHED))
    result = vzq("job", "watch", job_id)
    thread.join()
    assert result.exit_code == 0
    assert [line.split()[2:4] for line in result.stdout.splitlines()[:3]] == [
        ["dispatched", "dispatched"],
        ["running", "claimed"],
        ["done", "finished"],
    ]
    assert result.stdout.splitlines()[-1] == f"{job_id[-8:]} done"


def test_watching_a_job_that_fails_exits_1_with_its_error(vzq: Vzq, database: Database) -> None:
    job_id = stored(database, make_job(now=now()))
    causes = (Cause.DISPATCHED, Cause.CLAIMED, Cause.BROKEN, Cause.CLAIMED, Cause.REVERTED)
    thread = meanwhile(lambda: moved(database, job_id, *causes, error="the template is broken"))
    result = vzq("job", "watch", job_id)
    thread.join()
    assert result.exit_code == 1
    assert "failed: the template is broken; see `vzq job show" in result.stdout


def test_a_stuck_job_ends_the_watching_because_a_person_must_act(vzq: Vzq, database: Database) -> None:
    job_id = stored(database, make_job(state=State.STUCK, error="nobody knows"))
    result = vzq("job", "wait", job_id)
    assert result.exit_code == 1
    assert "vzq job resolve" in result.stdout


def test_events_can_be_read_one_a_line_as_json(vzq: Vzq, database: Database) -> None:
    job_id = stored(database, make_job(now=now()))
    moved(database, job_id, Cause.DISPATCHED, Cause.CLAIMED, Cause.FINISHED)
    result = vzq("job", "watch", job_id, "--json")
    assert [json.loads(line)["cause"] for line in result.stdout.splitlines()] == ["dispatched", "claimed", "finished"]


def test_waiting_for_many_jobs_needs_all_of_them_done(vzq: Vzq, database: Database) -> None:
    ids = [stored(database, make_job(state=state)) for state in (State.DONE, State.DONE, State.CANCELLED)]
    assert vzq("job", "wait", *ids[:2]).exit_code == 0
    result = vzq("job", "wait", *ids, "--json")
    assert result.exit_code == 1
    assert [job["state"] for job in json.loads(result.stdout)] == ["done", "done", "cancelled"]


def test_more_jobs_than_one_query_takes_are_watched(vzq: Vzq, database: Database) -> None:
    with database.write() as session:
        session.add_all([make_job(now=now()) for _ in range(1000)])
    with database.write() as session:
        for job in session.exec(select(Job)).all():
            session.add(job.move(Cause.WITHDRAWN, now=now()))
    assert vzq("job", "watch").exit_code == 0  # none is open
    ids = [job["id"] for job in rows(vzq("job", "list", "--json", "--limit", "1000"))]
    result = vzq("job", "wait", *ids)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "1000 cancelled"


def test_whoever_waits_is_told_once_that_nobody_is_there_to_work(vzq: Vzq, database: Database) -> None:
    job_id = stored(database, make_job(now=now()))
    result = vzq("job", "watch", job_id, "--timeout", "3")
    assert result.exit_code == 5
    assert result.stderr.count("no service is alive") == 1
    assert result.stderr.count("no worker of site main is alive; start one with `vzq worker --site main`") == 1


def test_whoever_waits_is_told_nothing_while_all_are_alive(vzq: Vzq, database: Database) -> None:
    job_id = stored(database, make_job(now=now()))
    with database.write() as session:
        session.add(Beat(name="dispatcher", at=now()))
        session.add(Worker(name="w", site="main", host="h", slots={"inspect": 4}, started_at=now(), seen_at=now()))
    result = vzq("job", "watch", job_id, "--timeout", "0.1")
    assert result.exit_code == 5
    assert "alive" not in result.stderr


@pytest.mark.parametrize(("site", "slots", "age_s"), [("other", {"inspect": 1}, 0), ("main", {"inspect": 1}, 25), ("main", {"provision": 1}, 0)])
def test_a_worker_of_another_site_or_family_or_one_that_is_silent_does_not_count(
    vzq: Vzq, database: Database, site: str, slots: dict[str, int], age_s: float
) -> None:
    job_id = stored(database, make_job(now=now()))
    with database.write() as session:
        session.add(Beat(name="dispatcher", at=now()))
        session.add(Worker(name="w", site=site, host="h", slots=slots, started_at=now(), seen_at=now() - timedelta(seconds=age_s)))
    result = vzq("job", "watch", job_id, "--timeout", "0.1")
    assert "no service" not in result.stderr
    assert "no worker of site main" in result.stderr


def test_an_order_that_waits_follows_its_job_to_the_end(vzq: Vzq, database: Database) -> None:
    def work() -> None:
        with database.read() as session:
            job_id = session.exec(select(Job)).one().id
        moved(database, job_id, Cause.DISPATCHED, Cause.CLAIMED, Cause.FINISHED)

    thread = threading.Thread(target=lambda: (_until(lambda: _count(database) == 1), work()))
    thread.start()
    result = vzq("order", "check", "--wait")
    thread.join()
    assert result.exit_code == 0
    assert "done" in result.stdout


def _count(database: Database) -> int:
    with database.read() as session:
        return len(session.exec(select(Job)).all())


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
