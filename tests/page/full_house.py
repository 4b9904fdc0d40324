"""Rows of everything that a page shows, with names that nobody means well by."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlmodel import col, select

from models.access import Audit
from models.campaign_states import Outcome
from models.campaigns import Target
from models.findings import Finding
from models.fleet import Address, Container, ContainerState, Node, NodeState
from models.hooks import Delivery, Webhook
from models.jobs import Begun, Event
from models.lifecycle import Cause, State
from models.outages import Outage
from models.pauses import Pause, Reach
from models.schedules import Schedule
from models.signatures import Signature
from producers.house import House
from producers.rollouts.start import start
from tests.factories import make_job, make_node
from tests.rollouts.specs import make_spec

EVIL = "\"><img src=x onerror=alert(1)>'{{7*7}}</script>"
CONTAINERS = 24


@dataclass
class Made:
    """What to look at."""

    jobs: dict[str, str] | None = None  # by state
    move: str = ""
    rollout: str = ""
    finding: int = 0
    hook: str = "01JD8QF3Z5X0RQ2M8B7C4E6N9T"

    def pages(self) -> list[str]:
        """Every address that shows something; jobs in the states that look different."""
        jobs = [f"/jobs/{(self.jobs or {})[state]}" for state in ("queued", "running", "done", "stuck")]
        return [*PAGES, *jobs, f"/jobs/{self.move}", f"/campaigns/{self.rollout}", f"/campaigns/{self.rollout}/report", f"/findings/{self.finding}",
                "/containers/1001", "/nodes/n1", "/nodes/n3", f"/webhooks/{self.hook}"]  # fmt: skip


PAGES = [
    "/", "/jobs", "/jobs?state=stuck", "/stuck", "/rollouts", "/rollouts/new", "/relocations/new", "/moves", "/containers", "/containers?text=ct",
    "/downtime", "/findings", "/schedules", "/pauses", "/webhooks", "/audit",
]  # fmt: skip


def furnish(house: House) -> Made:
    """All of it."""
    made = Made(jobs={})
    with house.database.write() as session:
        now = house.clock.now()
        session.get_one(Node, "n1").abilities = session.get_one(Node, "n1").abilities | {"kernel": EVIL}
        ill = make_node("n3", state=NodeState.DRAINING, broken_until=now + timedelta(minutes=3), faults=2, finding="disk", finding_why=EVIL)
        session.add(ill)
        for ctid in range(1001, 1001 + CONTAINERS):
            fields: dict[str, Any] = {
                "node": f"n{ctid % 2 + 1}",
                "site": "main",
                "state": ContainerState.PRESENT,
                "hostname": f"ct{ctid}.example.net",
            }
            row = Container(ctid=ctid, since=now, job_id=f"{ctid:026}", customer="acme" if ctid % 3 else None, **fields)
            row.ram_bytes, row.disk_bytes, row.cpus = 1 << 28, 1 << 31, 1
            session.add(row)
        first = session.get_one(Container, 1001)
        first.hostname, first.customer, first.labels = EVIL, EVIL, {"role": EVIL}
        first.disk_used_bytes, first.net_in_bytes, first.net_out_bytes, first.net_why = 1 << 30, 1 << 40, 1 << 20, ""
        session.add(Address(address="192.0.2.17", pool="public", ctid=1001, since=now))
        _jobs(session, made, now)
    with house.database.write() as session:
        made.rollout = start(
            house.database, house.intake, session, make_spec(waves={"canaries": [1001, 1002], "sizes": [5]}), by="mallory"
        ).campaign.id
        session.flush()
        for place, target in enumerate(session.exec(select(Target).order_by(col(Target.place)))):
            target.outcome = list(Outcome)[place % len(Outcome)]
            target.reason = EVIL if target.outcome in (Outcome.FAILED, Outcome.SKIPPED) else ""
    with house.database.write() as session:
        _rest(session, made, now)
        session.flush()
        made.finding = session.exec(select(Finding.id).where(Finding.kind == "wrong-standing")).one() or 0
    return made


def _jobs(session: Any, made: Made, now: Any) -> None:
    for state in State:
        job = make_job("start-container", now=now, state=state, node="n1", ctid=1001, producer="mallory", because=EVIL, customer="acme")
        job.error, job.error_class, job.step = EVIL, "Permanent", "start"
        job.order = {"kind": "start-container", "ctid": 1001}
        if state in (State.DONE, State.FAILED, State.CANCELLED):
            job.ended_at = now
        if state is State.RUNNING:
            job.worker, job.lease_until, job.progress = "worker", now + timedelta(minutes=5), 0.4
        if state is State.DONE:
            job.result = {"outcome": "ok", "code": 0, "output": EVIL}
        made.jobs = (made.jobs or {}) | {str(state): job.id}
        session.add(job)
        session.flush()
        session.add(Event(job_id=job.id, at=now, cause=Cause.ACCEPTED, state=State.QUEUED, why=EVIL, data={"node": EVIL}))
        session.add(Begun(job_id=job.id, step="start", direction="do", attempt=1, node="n1", token=1, at=now, ended_at=now, outcome="ok", code=0))
    move = make_job("migrate-container", now=now, state=State.DONE, node="n1", to_node="n2", ctid=1002, customer="acme")
    move.order, move.ended_at, made.move = {"kind": "migrate-container", "ctid": 1002, "to": "n2"}, now, move.id
    session.add(move)
    session.flush()
    for place, step in enumerate(("key", "copy", "start")):
        at = now + timedelta(seconds=place)
        begun = Begun(
            job_id=move.id, step=step, direction="do", attempt=1, node="n1", token=1, at=at, ended_at=at + timedelta(seconds=1), outcome="ok"
        )
        session.add(begun)
    common: dict[str, Any] = {"ctid": 1002, "node": "n1", "site": "main", "customer": "acme", "cause": "migrate-container"}
    gap = {"gap_s": 1.25, "resolution_s": 0.04, "suspended_s": 0.9, "brownout_s": 0.3, "how": "tcp:7000"}
    session.add(Outage(job_id=move.id, began_at=now + timedelta(seconds=1), ended_at=now + timedelta(seconds=2.25), **common, **gap))
    session.add(Outage(began_at=now, not_measured=EVIL, **(common | {"customer": EVIL, "cause": "unknown"})))


def _rest(session: Any, made: Made, now: Any) -> None:
    repair = {"kind": "start-container", "ctid": 1003}
    session.add(Finding(kind="wrong-standing", node="n2", subject="1003", why=EVIL, repair=repair, first_seen=now, last_seen=now))
    session.add(Finding(kind="unknown-container", node="n1", subject=EVIL, why=EVIL, first_seen=now, last_seen=now))
    session.add(Pause(reach=Reach.PRODUCER, name=EVIL, by=EVIL, because=EVIL, since=now))
    spec = make_spec().model_dump(mode="json", exclude_unset=True)
    session.add(Schedule(name="nightly", spec=spec, cron="0 3 * * *", created_at=now, created_by=EVIL, because=EVIL, last_result=EVIL))
    session.add(Webhook(id=made.hook, url="https://billing.example.net/?" + EVIL, created_at=now, created_by=EVIL))
    session.add(Delivery(webhook=made.hook, event=7, subject="job:" + "0" * 26, sequence=1, state="given-up", due_at=now, error=EVIL, status=500))
    session.add(
        Signature(
            text=EVIL,
            count=3,
            first_seen=now,
            last_seen=now,
            examples=[{"job": "0" * 26, "kind": "x", "node": "n1", "step": "s", "at": now.isoformat(), "why": EVIL}],
        )
    )
    session.add(Audit(at=now, by=EVIL, action="job cancel", subject="container:" + EVIL, because=EVIL, data={"more": EVIL}))
