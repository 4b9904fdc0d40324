"""Roll-outs with real processes, on simulated nodes over SSH, called as an operator calls them."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from models.campaign_states import CampaignState, Outcome
from models.campaigns import Campaign, CampaignEvent, Target
from models.jobs import Job
from models.lifecycle import State
from producers.campaigns import control
from tests.stories.place import Place, postgres_database

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("rollouts")]
CONTAINERS = 9
# The simulated container's PATH begins with a folder of its own, so a script can tell where it is.
HERE = 'here=${PATH%%:*}; ct=$(echo "$here" | grep -o "[0-9]\\{4,\\}" | tail -n 1)'


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """Three nodes with nine containers."""
    yield from _place("")


@pytest.fixture(scope="module")
def on_postgres(postgres_url: str) -> Iterator[Place]:
    """The same, with its rows in PostgreSQL: for the two stories that depend on the database most."""
    yield from _place(postgres_database(postgres_url))


@pytest.fixture(params=["place", "on_postgres"])
def either(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


def _place(url: str) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="vzqr-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        place = Place(Path(folder), url)
        try:
            place.open()
            place.each_is_there_once(place.containers(CONTAINERS))
            yield place
        finally:
            place.close()


def ctids(place: Place) -> list[int]:
    with place.house.database.read() as session:
        return sorted(ctid for ctid in session.exec(select(Job.ctid).where(Job.kind == "create-container")) if ctid is not None)


def written(place: Place, name: str, script: str, **more: Any) -> str:
    """A specification in a file; JSON is YAML too."""
    spec = {"selector": {"all": True}, "action": {"do": "script", "interpreter": "sh", "text": script}} | more
    path = place.folder / f"{name}.yaml"
    path.write_text(json.dumps(spec))
    return str(path)


def counts(place: Place, campaign_id: str) -> dict[Outcome, int]:
    with place.house.database.read() as session:
        return {outcome: count for outcome, count in control.counts(session, [campaign_id])[campaign_id].items() if count}


def campaign(place: Place, campaign_id: str) -> Campaign:
    with place.house.database.read() as session:
        return session.get_one(Campaign, campaign_id)


def begun(place: Place, *words: str) -> str:
    told = place.vzq("rollout", "start", *words)
    assert told.returncode == 0, told.stderr
    return told.stdout.strip().splitlines()[-1]


def in_flight(place: Place, campaign_id: str) -> list[str]:
    with place.house.database.read() as session:
        query = select(Target.job_id).where(Target.campaign_id == campaign_id, col(Target.job_id).is_not(None))
        return [job_id for job_id in session.exec(query).all() if job_id]


def runs(place: Place, tally: Path) -> dict[int, int]:
    """How often the script ran to its end in each container, by what it wrote itself."""
    lines = tally.read_text().split() if tally.exists() else []
    return {int(ctid): lines.count(ctid) for ctid in set(lines)}


def test_a_bad_canary_is_exit_4_and_the_report_adds_up_and_the_rest_is_retried(either: Place) -> None:
    place = either
    canary = ctids(place)[4]
    mended = place.folder / "mended"
    script = f'{HERE}; [ -e {mended} ] || [ "$ct" != {canary} ] || {{ echo "no space left"; exit 1; }}; echo updated'
    file = written(place, "bad-canary", script, waves={"canaries": [canary]}, budget={"rate": "50%"})
    told = place.vzq("rollout", "start", file, "--wait")
    assert told.returncode == 4, told.stdout + told.stderr
    assert "stops at 1 of 1 canary" in told.stdout
    assert f"0 ok, 1 failed, 0 unreachable, {CONTAINERS - 1} not started of {CONTAINERS}" in told.stdout.splitlines()[-1]
    report = json.loads(place.vzq("rollout", "report", "bad-canary", "--json").stdout)
    assert sum(report["counts"].values()) == report["population"] == CONTAINERS
    assert report["outputs"] == [{"outcome": "failed", "code": 1, "count": 1, "targets": ["ct4.example.net"], "output": "no space left\n"}]
    dry = json.loads(place.vzq("rollout", "retry", "bad-canary", "--dry-run", "--json").stdout)
    assert sorted(target["ctid"] for target in dry["targets"]) == ctids(place)
    mended.touch()
    again = place.vzq("rollout", "retry", "bad-canary", "--wait")
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.splitlines()[-1] == f"done: {CONTAINERS} ok, 0 failed, 0 unreachable of {CONTAINERS}"
    for form in ("--csv", "--html"):
        assert "updated" in place.vzq("rollout", "report", "bad-canary", "--html").stdout
        assert place.vzq("rollout", "report", "bad-canary", form).stdout.count("ct4.example.net") >= 1


def test_service_and_worker_killed_in_the_middle_change_nothing_in_the_outcome(either: Place) -> None:
    place = either
    tally = place.folder / "tally"
    file = written(
        place, "killed", f'{HERE}; sleep 1; echo "$ct" >>{tally}', waves={"sizes": [2]}, at_once={"all": 4}, budget={"failures": 4, "rate": None}
    )
    rollout = begun(place, file)
    place.until(lambda: counts(place, rollout).get(Outcome.OK, 0) >= 1, "the first to end")
    place.restart("service")
    place.until(lambda: counts(place, rollout).get(Outcome.OK, 0) >= 3, "some more")
    place.restart("worker")
    place.restart("service")
    place.until(lambda: campaign(place, rollout).over, "the roll-out's end")
    assert campaign(place, rollout).state == CampaignState.DONE
    assert counts(place, rollout) == {Outcome.OK: CONTAINERS}
    assert runs(place, tally) == dict.fromkeys(ctids(place), 1)
    with place.house.database.read() as session:
        assert len(session.exec(select(Job.id).where(Job.campaign == rollout)).all()) == CONTAINERS
        waves = session.exec(select(CampaignEvent.cause).where(CampaignEvent.campaign_id == rollout).order_by(col(CampaignEvent.id))).all()
    assert list(waves) == ["started", "wave", "wave", "finished"]


def test_two_services_start_each_target_once(place: Place) -> None:
    tally = place.folder / "twice"
    place.start("service-2")
    try:
        rollout = begun(place, written(place, "two", f'{HERE}; echo "$ct" >>{tally}', budget={"failures": 9, "rate": None}))
        place.until(lambda: campaign(place, rollout).over, "the roll-out's end")
    finally:
        place.processes["service-2"].terminate()
        place.processes.pop("service-2").wait()
    assert runs(place, tally) == dict.fromkeys(ctids(place), 1)


def test_a_paused_one_starts_nothing_until_it_is_resumed(place: Place) -> None:
    gate = place.folder / "gate"
    file = written(place, "paused", f"while [ ! -e {gate} ]; do sleep 0.1; done", at_once={"all": 1}, budget={"failures": 9, "rate": None})
    rollout = begun(place, file)
    place.until(lambda: counts(place, rollout).get(Outcome.IN_FLIGHT), "the first to run")
    assert place.vzq("rollout", "pause", rollout, "--because", "lunch").returncode == 0
    gate.touch()
    place.until(lambda: counts(place, rollout).get(Outcome.OK) == 1, "the one that ran to end")
    assert counts(place, rollout) == {Outcome.OK: 1, Outcome.NOT_STARTED: CONTAINERS - 1}
    assert place.vzq("rollout", "resume", rollout[-6:]).returncode == 0
    assert place.vzq("rollout", "watch", rollout).returncode == 0
    assert counts(place, rollout) == {Outcome.OK: CONTAINERS}


def test_a_node_that_is_lost_in_the_middle_makes_its_targets_unreachable(place: Place) -> None:
    gate = place.folder / "node-gate"
    script = f"while [ ! -e {gate} ]; do sleep 0.1; done"
    file = written(place, "lost", script, at_once={"all": 9, "per_node": 3}, budget={"failures": 9, "rate": None}, patience="5s")
    rollout = begun(place, file)
    place.until(lambda: counts(place, rollout).get(Outcome.IN_FLIGHT) == CONTAINERS, "all to be in flight")
    place.ctl("n2", "unreachable")
    try:
        gate.touch()
        place.until(lambda: campaign(place, rollout).over, "the roll-out's end")
        with place.house.database.read() as session:
            lost = session.exec(select(Target).where(Target.campaign_id == rollout, Target.outcome == Outcome.UNREACHABLE)).all()
        assert {target.node for target in lost} == {"n2"}
        assert sum(counts(place, rollout).values()) == CONTAINERS
        assert counts(place, rollout)[Outcome.UNREACHABLE] == len(lost) == 3
    finally:
        place.ctl("n2", "reachable")
    with place.house.database.read() as session:
        jobs = [target.job_id for target in session.exec(select(Target).where(Target.campaign_id == rollout)).all() if target.job_id]
    assert {job.state for job in place.ended(*jobs)} <= {State.DONE, State.CANCELLED}


def test_a_container_that_halted_by_itself_is_skipped_and_a_bad_health_check_is_a_regression(place: Place) -> None:
    first, second, *_ = ctids(place)
    with place.house.database.read() as session:
        node = session.exec(select(Job.node).where(Job.ctid == first)).first()
    place.ctl(node or "", "halt", ctid=first)
    health = {"command": f'{HERE}; [ "$ct" != {second} ]', "within": "1s"}
    three = {"ids": [first, second, ctids(place)[2]]}
    rollout = begun(place, written(place, "health", "exit 0", budget={"failures": 9, "rate": None}, health=health, selector=three))
    place.until(lambda: campaign(place, rollout).over, "the roll-out's end")
    assert counts(place, rollout) == {Outcome.OK: 1, Outcome.SKIPPED: 1, Outcome.REGRESSED: 1}


def test_a_worker_that_dies_after_the_script_loses_nothing_of_what_it_said(place: Place) -> None:
    ctid, tally, gate = ctids(place)[3], place.folder / "said", place.folder / "well"
    health = {"command": f"[ -e {gate} ]", "within": "10m"}
    script = f"echo ran >>{tally}; echo hello"
    rollout = begun(place, written(place, "said", script, budget={"failures": 9, "rate": None}, health=health, selector={"ids": [ctid]}))
    place.until(lambda: in_flight(place, rollout), "the job to be placed")
    (job,) = in_flight(place, rollout)
    place.until(lambda: place.job(job).step == "health", "the script to have ended")
    place.restart("worker")
    gate.touch()
    (ended,) = place.ended(job)
    assert (ended.state, ended.result["outcome"], ended.result["output"]) == (State.DONE, "ok", "hello\n")
    assert tally.read_text() == "ran\n"


def begun_by(place: Place, schedule: str) -> Sequence[str]:
    """Its campaigns, the first one first."""
    with place.house.database.read() as session:
        return session.exec(select(Campaign.id).where(Campaign.schedule == schedule).order_by(col(Campaign.id))).all()


def test_a_schedule_starts_a_roll_out_when_its_time_comes(place: Place) -> None:
    file = written(place, "nightly", "exit 0", budget={"failures": 9, "rate": None})
    told = place.vzq("schedule", "add", "nightly", file, "--cron", "* * * * *")
    assert told.returncode == 0, told.stderr
    place.until(lambda: begun_by(place, "nightly"), "its time to come")
    rollout = begun_by(place, "nightly")[0]
    place.until(lambda: campaign(place, rollout).over, "the roll-out's end")
    assert rollout in place.vzq("rollout", "list", "--json").stdout
    assert place.vzq("schedule", "remove", "nightly").returncode == 0


def test_wrong_input_is_exit_2_and_says_what(place: Place) -> None:
    empty = place.folder / "empty.toml"
    empty.touch()
    script = place.folder / "s.sh"
    script.write_text("exit 0")
    cases = [
        (["plan", str(empty)], "selector: is missing"),
        (["plan", "--label", "role=nobody", "--script", str(script), "--interpreter", "sh"], "no container fits"),
        (["start", "--all", "--script", str(script)], "action.interpreter: is missing"),
        (["start", "--all", "--script", str(script), "--interpreter", "sh", "--wave", "60%", "--wave", "50%"], "110 %"),
        (["start", "--all", "--script", str(script), "--interpreter", "sh", "--window", "22:00-22:00"], "opens and closes at the same time"),
        (["start", "--all", "--upgrade", "--family", "rpm"], "action.families.0"),
        (["start", str(place.folder / "none.toml")], "cannot be read"),
    ]
    for words, told in cases:
        done = place.vzq("rollout", *words)
        assert done.returncode == 2, words
        assert told in done.stderr, done.stderr
