"""A house on either database, with one node, one plan and one pool, and a bell that only remembers."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from models.database import Database
from models.house import Worker
from models.ids import JobIds
from models.jobs import Job
from models.orders import CheckQueue, CreateContainer, Order
from models.vault import Vault, make_key_file
from producers.dispatcher import Dispatcher, Went
from producers.intake import Accepted, Intake
from tests.factories import TEMPLATES, make_node, make_plan, make_pool
from tests.stand_ins import ManualClock
from workers.claims import Claim, Claims


@dataclass
class SilentBell:
    """Keeps what was rung; `deaf` loses it, as Redis does when it is away."""

    rung: list[tuple[str, int]] = field(default_factory=list)
    deaf: bool = False

    def ring(self, jobs: Iterable[tuple[str, int, str, str]]) -> int:
        bells = [(job, token) for job, token, _, _ in jobs]
        self.rung += [] if self.deaf else bells
        return 0 if self.deaf else len(bells)


class House:
    """The queue without processes: intake, dispatcher and claims, on the test's own time."""

    def __init__(self, database: Database, clock: ManualClock, folder: Path) -> None:
        self.database, self.clock, self.bell = database, clock, SilentBell()
        make_key_file(folder / "key")
        self.vault = Vault(folder / "key")
        self.intake = Intake(database, vault=self.vault, ids=JobIds(clock), site="main")
        self.dispatcher = Dispatcher(database, self.bell, clock, name="test")  # type: ignore[arg-type]
        with database.write() as session:
            session.add_all([make_node("n1"), make_plan(), make_pool()])

    def order(self, key: str = "", **given: object) -> Job:
        fields = {"plan": "small", "template": TEMPLATES[0], "hostname": "web"} | given
        return self.submit(CreateContainer.model_validate(fields), key=key).job

    def submit(self, order: Order, key: str = "", by: str = "test") -> Accepted:
        with self.database.write() as session:
            return self.intake.submit(session, order, by=by, key=key)

    def check(self, by: str = "test") -> Job:
        return self.submit(CheckQueue(), by=by).job

    def worker(self, name: str = "w1", slots: int = 32) -> None:
        with self.database.write() as session:
            now = self.database.now(session)
            session.merge(Worker(name=name, site="main", host="h", slots={"provision": slots, "inspect": slots}, started_at=now, seen_at=now))

    def go_round(self) -> Went:
        return self.dispatcher.go_round()

    def claims(self, worker: str = "w1") -> Claims:
        return Claims(self.database, self.clock, worker=worker)

    def claim(self, claims: Claims, job_id: str, token: int | None = None) -> Claim | None:
        token = self.job(job_id).token if token is None else token
        with self.database.write() as session:
            claim = claims.take(session, job_id, token)
        if claim is not None:
            claims.held[job_id] = claim
        return claim

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            job = session.get(Job, job_id)
        assert job is not None
        return job


@pytest.fixture
def house(database: Database, clock: ManualClock, tmp_path: Path) -> House:
    return House(database, clock, tmp_path)
