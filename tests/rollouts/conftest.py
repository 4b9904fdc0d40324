"""A house on either database whose jobs end as the test says, on the test's own time."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from models.campaign_states import Outcome
from models.campaigns import Campaign, CampaignEvent, Target
from models.database import Database
from models.fleet import Container, ContainerState
from models.ids import JobIds
from models.jobs import Job
from models.lifecycle import Cause, State
from models.vault import Vault, make_key_file
from producers.campaigns import control
from producers.campaigns.campaigner import Campaigner
from producers.campaigns.schedules import Scheduler
from producers.intake import Intake
from producers.rollouts.start import start
from tests.factories import make_node
from tests.rollouts.specs import make_spec
from tests.stand_ins import ManualClock

NODES = ("n1", "n2", "n3")


@dataclass
class House:
    """Containers, a campaigner, and a hand that ends jobs."""

    database: Database
    clock: ManualClock
    intake: Intake
    campaigner: Campaigner = field(init=False)
    scheduler: Scheduler = field(init=False)

    def __post_init__(self) -> None:
        self.campaigner = Campaigner(self.database, self.intake)
        self.scheduler = Scheduler(self.database, self.intake)
        with self.database.write() as session:
            session.add_all([make_node(name) for name in NODES])

    def containers(self, count: int, **given: Any) -> list[int]:
        with self.database.write() as session:
            first = 1001 + len(session.exec(select(Container.ctid)).all())
            for ctid in range(first, first + count):
                fields: dict[str, Any] = {
                    "node": NODES[ctid % 3],
                    "site": "main",
                    "state": ContainerState.PRESENT,
                    "hostname": f"ct{ctid}.example.net",
                }
                session.add(Container(ctid=ctid, since=self.clock.now(), job_id=f"{ctid:026}", **(fields | given)))
        return list(range(first, first + count))

    def start(self, *, key: str = "", text: str = "exit 0", **spec: Any) -> str:
        with self.database.write() as session:
            return start(self.database, self.intake, session, make_spec(text, **spec), by="operator", key=key).campaign.id

    def step(self, times: int = 1) -> int:
        return sum(self.campaigner.run_once() for _ in range(times))

    def campaign(self, campaign_id: str) -> Campaign:
        with self.database.read() as session:
            return session.get_one(Campaign, campaign_id)

    def targets(self, campaign_id: str) -> list[Target]:
        with self.database.read() as session:
            return list(session.exec(select(Target).where(Target.campaign_id == campaign_id).order_by(col(Target.place))).all())

    def counts(self, campaign_id: str) -> dict[Outcome, int]:
        with self.database.read() as session:
            return {outcome: count for outcome, count in control.counts(session, [campaign_id])[campaign_id].items() if count}

    def events(self, campaign_id: str) -> list[str]:
        with self.database.read() as session:
            query = select(CampaignEvent.cause).where(CampaignEvent.campaign_id == campaign_id).order_by(col(CampaignEvent.id))
            return [str(cause) for cause in session.exec(query).all()]

    def flying(self, campaign_id: str) -> list[str]:
        return [target.job_id for target in self.targets(campaign_id) if target.outcome is Outcome.IN_FLIGHT and target.job_id]

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            return session.get_one(Job, job_id)

    def end(self, *job_ids: str, outcome: str = "ok", after: timedelta = timedelta(seconds=30), error_class: str = "Concluded") -> None:
        """The jobs run and end so."""
        self.clock.pass_(after)
        for job_id in job_ids:
            with self.database.write() as session:
                job = session.get_one(Job, job_id)
                now = self.clock.now()
                for cause in (Cause.DISPATCHED, Cause.CLAIMED):
                    session.add(job.move(cause, now=now))
                job.result = {"outcome": outcome, "code": int(outcome == "failed"), "output": outcome} if outcome else {}
                if outcome in ("ok", "up-to-date"):
                    session.add(job.move(Cause.FINISHED, now=now))
                else:
                    job.error, job.error_class = f"it {outcome}", error_class
                    session.add_all([job.move(Cause.BROKEN, now=now), job.move(Cause.REVERTED, now=now)])
                assert job.state in (State.DONE, State.FAILED)
                session.add(job)

    def run(self, campaign_id: str, outcome: str = "ok") -> None:
        """To its end, every job ending so."""
        for _ in range(200):
            self.step()
            if self.campaign(campaign_id).over:
                return
            self.end(*self.flying(campaign_id), outcome=outcome)
        raise AssertionError("it does not end")


@pytest.fixture
def house(database: Database, clock: ManualClock, tmp_path: Path) -> House:
    make_key_file(tmp_path / "key")
    return House(database, clock, Intake(database, vault=Vault(tmp_path / "key"), ids=JobIds(clock), site="main"))
