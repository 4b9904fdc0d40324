"""A house of real processes: service, worker and Redis, against simulated nodes over real SSH."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from sqlmodel import col, select

from models.jobs import Event, Job
from models.lifecycle import State
from models.orders import CreateContainer, EnrolNode, Order
from models.settings import Settings
from models.vault import make_key_file
from producers.house import House, open_house
from tests import servers, warm
from tests.factories import make_plan, make_pool

TEMPLATE = "busybox-mini-x86_64"
PATIENCE_S = 90


class Lab:
    """Processes by name, orders, and what the nodes say."""

    def __init__(self, folder: Path, nodes: int = 2) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "VZQ_STATE": str(folder),
            "VZQ_API": "",
            "VZQ_SERVICE_METRICS": "127.0.0.1:0",
            "VZQ_WORKER_METRICS": "127.0.0.1:0",
        }
        self.processes: dict[str, subprocess.Popen[bytes] | warm.Warm] = {}
        (folder / "ssh").mkdir()
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(folder / "ssh" / "id_ed25519")
        key.write_public_key(folder / "ssh" / "id_ed25519.pub")
        (folder / "ssh" / "id_ed25519").chmod(0o600)
        make_key_file(folder / "secret.key")
        (folder / "redis").mkdir()
        self.processes["redis"], url = servers.start_redis(folder / "redis")
        self.environment["VZQ_REDIS_URL"] = url
        self.house: House = open_house(Settings(state=folder, redis_url=url))
        self.house.database.upgrade()
        keys = str(folder / "ssh" / "id_ed25519.pub")
        self.start("nodes", "ops.simnode", "--state", str(folder / "lab"), "--nodes", str(nodes), "--speed", "0.05", "--authorized-keys", keys)
        self.start("service", "producers.service")
        self.start("worker", "workers.main")
        self.nodes = self._ready()

    def start(self, name: str, module: str, *words: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = warm.start(module, *words, env=self.environment, out=log)

    def restart(self, name: str, number: int = signal.SIGKILL) -> None:
        """End a process, at once or in order, and start its next one."""
        self.processes[name].send_signal(number)
        self.processes[name].wait()
        self.start(name, {"service": "producers.service", "worker": "workers.main"}[name])

    def close(self) -> None:
        self.house.close()
        for name in ("worker", "service", "nodes", "redis"):
            self.processes[name].terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def place(self, order: Order, **given: str) -> str:
        with self.house.database.write() as session:
            job = self.house.intake.submit(session, order, by=given.get("by", "test"), key=given.get("key", "")).job
        self.house.bell.wake()
        return job.id

    def create(self, **given: object) -> str:
        fields: dict[str, object] = {"plan": "small", "template": TEMPLATE, "hostname": "web"}
        return self.place(CreateContainer.model_validate(fields | given))

    def job(self, job_id: str) -> Job:
        with self.house.database.read() as session:
            job = session.get(Job, job_id)
        assert job is not None
        return job

    def story(self, job_id: str) -> list[Event]:
        with self.house.database.read() as session:
            return list(session.exec(select(Event).where(Event.job_id == job_id).order_by(col(Event.id))).all())

    def until(self, true: Callable[[], object], what: str, seconds: float = PATIENCE_S) -> None:
        """Poll until it is so; the logs tell why it never was."""
        end = time.monotonic() + seconds
        while not true():
            if time.monotonic() > end:
                tails = [f"{log.name}: {log.read_text()[-2000:]}" for log in sorted(self.folder.glob("*.log"))]
                pytest.fail("\n".join([f"not within {seconds} s: {what}", *tails]))
            time.sleep(0.05)

    def ended(self, *job_ids: str) -> list[Job]:
        """Wait for their ends (or for a person being needed)."""
        over = {State.DONE, State.FAILED, State.CANCELLED, State.STUCK}
        self.until(lambda: all(self.job(job_id).state in over for job_id in job_ids), f"{len(job_ids)} jobs to end")
        return [self.job(job_id) for job_id in job_ids]

    def ctl(self, node: str, operation: str, **words: object) -> Any:
        """Do something to a node as its administrator, or ask the simulator."""
        argv = [sys.executable, "-m", "ops.simnode", "ctl", "--state", str(self.folder / "lab"), node, operation]
        done = subprocess.run([*argv, *(f"{key}={value}" for key, value in words.items())], capture_output=True, text=True, check=True)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def containers(self, node: str) -> dict[int, dict[str, Any]]:
        return {row["ctid"]: row for row in self.ctl(node, "list")}

    def made(self, ctid: int) -> int:
        """How often `vzctl create` of this id worked, on any node."""
        journals = [self.folder / "lab" / node / "journal.jsonl" for node in self.nodes]
        calls = [json.loads(line) for journal in journals if journal.exists() for line in journal.read_text().splitlines()]
        return sum((call["command"], call["ctid"], call["exit"]) == ("create", ctid, 0) for call in calls)

    def _ready(self) -> list[str]:
        self.until((self.folder / "lab" / "nodes.json").exists, "the nodes to come up", 30)
        rows = json.loads((self.folder / "lab" / "nodes.json").read_text())
        self.addresses = {row["name"]: row for row in rows}
        with self.house.database.write() as session:
            session.add_all([make_plan(), make_pool()])
        jobs = [self.place(EnrolNode(node=row["name"], host=row["host"], port=row["port"], fingerprint=row["fingerprint"])) for row in rows]
        assert {job.state for job in self.ended(*jobs)} == {State.DONE}
        return [row["name"] for row in rows]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with tempfile.TemporaryDirectory(prefix="vzql-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        lab = Lab(Path(folder))
        yield lab
        lab.close()


@pytest.fixture(autouse=True)
def _healthy(lab: Lab) -> Iterator[None]:
    """Faults of one story are over before the next begins."""
    yield
    for node in lab.nodes:
        lab.ctl(node, "clear")
