"""Who orders while the storm blows: containers come, are changed in every way there is, and go; all that was answered is remembered."""

import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from models.errors import JobError
from models.fleet import Address, Container, ContainerState
from models.ids import JobIds
from models.jobs import Job
from models.lifecycle import FINAL
from models.orders import ORDER
from models.standing import VERBS, Standing
from producers.jobs import cancel
from producers.refusals import Refusal
from tests.crash.scenes import ELSEWHERE, SCRIPT
from tests.storm.place import StormPlace

TEMPLATE = "busybox-mini-x86_64"
MOST_CONTAINERS = 45
OTHERS = ("adopt-container", "clear-debris", "observe-node", "check-queue", "migrate-container", "migrate-container")
STRANGE = range(900_001, 990_000)  # ids of what was never ordered
GIVEN: dict[str, Callable[[random.Random, Sequence[str]], dict[str, Any]]] = {
    "stop-container": lambda rng, _: {"fast": rng.random() < 0.5},
    "resize-container": lambda rng, _: {"plan": rng.choice(("small", "medium", "large"))},
    "reinstall-container": lambda rng, _: {"password": "Fresh-and-new-1"} if rng.random() < 0.5 else {},
    "set-password": lambda rng, _: {"password": f"Secret-{rng.randrange(10**6)}"},
    "set-hostname": lambda rng, _: {"hostname": f"h{rng.randrange(10**6)}.example.net"},
    "set-nameservers": lambda rng, _: {"nameservers": [f"10.0.0.{rng.randrange(1, 250)}"]},
    "rename-container": lambda rng, _: {"name": f"name-{rng.randrange(10**6)}"},
    "remove-address": lambda rng, addresses: {"address": rng.choice(addresses)} if addresses else {},
    "terminate-container": lambda rng, _: {"grace_hours": rng.choice((0, 0, 24))},
    "update-container": lambda rng, _: {"action": SCRIPT, "reboot": rng.choice(("never", "never", "always"))},
}


class Customers:
    """Keeps some orders open at any time."""

    def __init__(self, place: StormPlace, rng: random.Random) -> None:
        self._place, self._rng = place, rng
        self._ids = JobIds(place.house.clock, rng)
        self.accepted: dict[str, str] = {}  # job → kind: what was answered with yes
        self.refused = 0
        self.asked_back = 0
        self.strangers: set[tuple[str, int]] = set()  # what we put on nodes for somebody to adopt
        self.debris: dict[tuple[str, int], str] = {}  # what we left on nodes, and the job that is to clear it
        self._next_strange = STRANGE.start
        self._turn: list[str] = []

    def open_jobs(self) -> int:
        with self._place.house.database.read() as session:
            return len(session.exec(select(Job.id).where(col(Job.state).not_in(FINAL), col(Job.producer) != "vzq")).all())

    def order_some(self, most: int) -> None:
        """Fill up to `most` open orders; a database that is away takes none."""
        try:
            for _ in range(max(0, most - self.open_jobs())):
                self._one()
            if self._rng.random() < 0.02:
                self._take_one_back()
        except (SQLAlchemyError, JobError, OSError, ValueError):
            self.refused += 1  # nothing was answered: whether it was written is for the checks to find out

    def _one(self) -> None:
        with self._place.house.database.read() as session:
            rows = session.exec(select(Container).where(Container.state == ContainerState.PRESENT)).all()
            held = session.exec(select(Address).where(col(Address.ctid).is_not(None), col(Address.job_id).is_(None))).all()
        addresses = {row.ctid: [address.address for address in held if address.ctid == row.ctid] for row in rows}
        if not self._turn:
            self._turn = [*(verb for verb in VERBS if verb not in ELSEWHERE), *OTHERS]
            self._rng.shuffle(self._turn)
        if len(rows) < 8 or (len(rows) < MOST_CONTAINERS and self._rng.random() < 0.35):
            self._submit("create-container", plan="small", template=TEMPLATE, hostname="a.example.net", **self._chance_of_password())
            return
        kind = self._turn.pop()
        if kind == "purge-container":
            rows = [row for row in rows if row.standing is Standing.TERMINATED] or rows
        if kind in VERBS:
            row = self._rng.choice(rows)
            self._submit(kind, ctid=row.ctid, **(GIVEN[kind](self._rng, addresses[row.ctid]) if kind in GIVEN else {}))
        elif kind == "migrate-container":
            row = self._rng.choice([row for row in rows if row.standing is Standing.RUNNING] or rows)
            self._submit(kind, ctid=row.ctid, mode=self._rng.choice(("online", "offline", "online-else-offline")))
        elif kind == "check-queue":
            self._submit(kind)
        elif kind == "observe-node":
            self._submit(kind, node=self._rng.choice(self._place.nodes).name)
        else:
            self._about_a_stranger(kind)

    def _chance_of_password(self) -> dict[str, Any]:
        return {"password": "Very-secret-1"} if self._rng.random() < 0.3 else {}

    def _submit(self, kind: str, **given: Any) -> None:
        house = self._place.house
        try:
            with house.database.write() as session:
                job = house.intake.submit(session, ORDER.validate_python({"kind": kind, **given}), by=f"customer-{self._rng.randrange(3)}").job
            self.accepted[job.id] = kind
        except (Refusal, ValueError):
            self.refused += 1
        house.bell.wake()

    def _about_a_stranger(self, kind: str) -> None:
        """Something is on a node that nobody ordered: a whole container to adopt, or what a killed create left."""
        node, ctid = self._rng.choice(self._place.nodes), self._next_strange
        self._next_strange += 1
        if kind == "adopt-container":
            self._place.ctl(node.name, "stranger", ctid=ctid, running=False)
            self.strangers.add((node.name, ctid))
            self._submit(kind, node=node.name, ctid=ctid)
            return
        root, mark = Path(node.root), self._ids.next()
        if not (root / "etc/vz/conf").is_dir():
            return
        (root / f"vz/private/{ctid}.tmp/etc").mkdir(parents=True)
        (root / f"etc/vz/conf/{ctid}.conf").write_text(f'VE_LAYOUT="simfs"\nX_VZQ_JOB="{mark}"\n')
        before = set(self.accepted)
        self.debris[node.name, ctid] = ""  # a database that is away takes no order, and what we left stays
        self._submit(kind, node=node.name, ctid=ctid, of=mark)
        self.debris |= dict.fromkeys([(node.name, ctid)], next(iter(set(self.accepted) - before), ""))
        if set(self.accepted) == before:  # refused: then it is ours to clear
            shutil.rmtree(root / f"vz/private/{ctid}.tmp")
            (root / f"etc/vz/conf/{ctid}.conf").unlink()

    def _take_one_back(self) -> None:
        house = self._place.house
        with house.database.write() as session:
            running = session.exec(select(Job).where(col(Job.state).not_in(FINAL), col(Job.producer) != "vzq")).all()
            if not running:
                return
            try:
                cancel(house.database, session, self._rng.choice(running), by="customer", because="changed my mind")
            except Refusal:
                return
        self.asked_back += 1
