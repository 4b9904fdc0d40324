"""A house is lost and comes back from a backup that is older than what its nodes have: nothing is doubled, touched or given out twice."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlmodel import col, select

from models.findings import Finding
from models.fleet import Address, Container, Node
from models.house import Counter
from models.jobs import Job
from models.lifecycle import State
from models.orders import ORDER
from models.settings import Settings
from producers.house import open_house
from producers.jobs import resolve
from tests import servers
from tests.stories.conftest import place
from tests.stories.place import Place

__all__ = ["place"]
pytestmark = [pytest.mark.timeout(420), pytest.mark.xdist_group("restore")]
ROOT = Path(__file__).parents[2]


class Survivor:
    """The nodes and a backup file outlive the house."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.file = place.folder / "house.backup"

    def vzq(self, *words: str, code: int = 0) -> Any:
        done = self.place.vzq(*words)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout) if "--json" in words else done.stdout + done.stderr

    def give(self, kind: str, **given: Any) -> str:
        return self.place.order(ORDER.validate_python({"kind": kind, **given}))[0]

    def did(self, kind: str, **given: Any) -> None:
        (job,) = self.place.ended(self.give(kind, **given))
        assert job.state == State.DONE, job.error

    def made(self, number: int, **given: Any) -> list[int]:
        jobs = self.place.ended(*self.place.containers(number, **given))
        assert {job.state for job in jobs} == {State.DONE}
        return [job.ctid for job in sorted(jobs, key=lambda job: job.id) if job.ctid]

    def burn(self) -> None:
        """Service, worker, Redis, database and keys are gone at one blow; another host takes their place."""
        place = self.place
        for name in ("service", "worker", "redis"):
            place.kill(name)
        place.house.close()
        again, bells = place.folder / "again", place.folder / "bells"
        bells.mkdir(mode=0o700)
        url = place.environment["VZQ_DATABASE"]
        if url.startswith("sqlite"):
            url = f"sqlite:///{again / 'vzq.sqlite'}"
        else:
            with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
                connection.execute("create database again")
            url = re.sub(r"/story_\w+\?", "/again?", url)
        for path in (place.folder / "vzq.sqlite", place.folder / "secret.key", place.folder / "ssh" / "id_ed25519"):
            path.unlink(missing_ok=True)
        place.processes["redis"], redis = servers.start_redis(bells)
        place.environment |= {"VZQ_STATE": str(again), "VZQ_DATABASE": url, "VZQ_REDIS_URL": redis}
        place.house = open_house(Settings(state=again, database=url, redis_url=redis))

    def calls(self) -> list[dict[str, Any]]:
        """What was ever done on the nodes, by their own journals."""
        journals = [self.place.folder / "lab" / node.name / "journal.jsonl" for node in self.place.nodes]
        return [json.loads(line) for journal in journals if journal.exists() for line in journal.read_text().splitlines()]

    def addresses(self) -> list[str]:
        """Every address in any configuration on any node."""
        confs = [conf.read_text() for node in self.place.nodes for conf in (Path(node.root) / "etc/vz/conf").glob("*.conf") if conf.stem.isdigit()]
        return [address for conf in confs for line in re.findall(r'^IP_ADDRESS="(.*)"$', conf, re.MULTILINE) for address in line.split()]

    def findings(self) -> set[tuple[str, str]]:
        with self.place.house.database.read() as session:
            return {(one.kind, one.subject) for one in session.exec(select(Finding).where(col(Finding.gone_at).is_(None))).all()}

    def unseen(self) -> list[str]:
        with self.place.house.database.read() as session:
            return list(session.exec(select(Node.name).where(col(Node.unseen))).all())

    def row(self, ctid: int) -> Container:
        with self.place.house.database.read() as session:
            return session.get_one(Container, ctid)


@pytest.fixture
def survivor(place: Place) -> Iterator[Survivor]:
    yield Survivor(place)
    if "postgresql" in place.environment["VZQ_DATABASE"]:
        place.house.close()


def test_a_house_comes_back_an_hour_behind_its_nodes(survivor: Survivor) -> None:  # noqa: PLR0915 - one long story
    place = survivor.place
    purged, resized, addressed, left_alone, held = survivor.made(5, customer="kunde-7")

    # The backup is made with a create half done, its worker killed, and two orders waiting behind it.
    (running,) = place.containers(1, customer="kunde-8")
    place.until(lambda: place.job(running).step == "make", "a create at work")
    place.kill("worker")
    (waiting,) = place.containers(1, customer="kunde-9")
    stop = survivor.give("stop-container", ctid=held)
    assert place.job(running).state == State.RUNNING
    told = survivor.vzq("backup", str(survivor.file), "--with-key", "--json")
    assert told["tables"]["container"] == 7
    with place.house.database.read() as session:
        token = session.get_one(Counter, "token").value

    # The hour that is going to be lost.
    place.start("worker")
    assert {job.state for job in place.ended(running, waiting, stop)} == {State.DONE}
    survivor.did("start-container", ctid=held)
    survivor.did("terminate-container", ctid=purged, grace_hours=1)  # else the service may be the first to purge it
    survivor.did("purge-container", ctid=purged)
    survivor.did("resize-container", ctid=resized, plan="medium")
    survivor.did("add-address", ctid=addressed)
    unknown = survivor.made(3, customer="kunde-7", plan="large")

    before = survivor.calls()
    survivor.burn()
    told = survivor.vzq("restore", str(survivor.file), "--json")
    assert (told["jobs_waiting"], len(told["nodes"]), len(told["keys"])) == (3, 3, 3)
    assert told["token"] > token
    fresh = place.containers(4, wait_for_capacity=True)  # placed before anybody has looked
    assert all(job.node is None for job in place.jobs(fresh))
    place.start("service")
    place.start("worker")
    place.until(lambda: not survivor.unseen(), "every node to be looked at")

    # What was at work attaches to what it did; what may be out of date is not carried out.
    assert {job.state for job in place.ended(running, waiting)} == {State.DONE}
    (doubtful,) = place.ended(stop)
    assert (doubtful.state, "after the backup" in doubtful.error) == (State.STUCK, True)
    place.each_is_there_once([*fresh, running, waiting])
    made = {job.ctid for job in place.jobs(fresh)}

    differences = {("missing-container", purged), ("wrong-limits", resized), ("wrong-addresses", addressed)}
    differences |= {("unknown-container", ctid) for ctid in unknown}
    for node in place.nodes:
        survivor.vzq("node", "observe", node.name, "--wait")
    assert survivor.findings() == {(kind, str(ctid)) for kind, ctid in differences}

    rehearsed = survivor.vzq("finding", "repair", "--all", "--kind", "unknown-container", "--dry-run", "--json")
    assert sorted(one["order"]["ctid"] for one in rehearsed["repairs"]) == sorted(unknown)
    survivor.vzq("finding", "repair", "--all", "--kind", "unknown-container", "--wait")
    for ctid in unknown:
        row = survivor.row(ctid)
        assert (row.plan, row.template, row.hostname[:2]) == ("large", "busybox-mini-x86_64", "ct")
        with place.house.database.read() as session:
            assert len(session.exec(select(Address).where(Address.ctid == ctid)).all()) == 1

    # Nothing that was there has been touched, and nothing is there twice.
    since = [call for call in survivor.calls() if call not in before]
    asked = [["vzmigrate"]]  # a node is asked for its usage when it is looked at
    effects = [call["argv"] for call in since if call["ctid"] not in made and call["command"] != "exec2"]  # a create asks whether it executes
    assert [argv for argv in effects if argv not in asked] == []
    addresses = survivor.addresses()
    assert len(addresses) == len(set(addresses))
    assert place.running()[left_alone] == place.running()[held] == 1
    assert purged not in place.running()
    more = place.containers(3)
    place.each_is_there_once(more)
    addresses = survivor.addresses()
    assert len(addresses) == len(set(addresses)) == 4 + 2 + 1 + 3 + 4 + 3

    with place.house.database.write() as session:
        resolve(session, session.get_one(Job, stop), "give-up", by="operator", because="out of date", now=place.house.database.now(session))
    assert place.running()[held] == 1
