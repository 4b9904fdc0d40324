"""A house of real processes on either database: Redis, services, workers, and nodes over SSH, each of which may be killed."""

import itertools
import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import psycopg
import pytest
import redis
from sqlmodel import col, select

from models.jobs import Event, Job
from models.lifecycle import State
from models.orders import ORDER, EnrolNode, Order
from models.settings import Settings
from models.vault import make_key_file
from ops.simnode.control import ask
from producers.embedded import lab
from producers.house import open_house
from tests import servers, warm

PATIENCE_S = 90.0
NUMBERS = itertools.count(1)
MODULES = {"service": "producers.service", "worker": "workers.main"}
OVER = {State.DONE, State.FAILED, State.CANCELLED, State.STUCK}


def postgres_database(server: str) -> str:
    """The URL of a database of its own on this server."""
    name = f"story_{os.getpid()}_{next(NUMBERS)}"
    with psycopg.connect(server.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"create database {name}")
    return server.replace("/postgres?", f"/{name}?")


class Place:
    """Everything up and three nodes enrolled once it is open."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        settings = Settings(state=folder, database=database_url)
        (folder / "ssh").mkdir()
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(str(settings.ssh_key_file))
        key.write_public_key(f"{settings.ssh_key_file}.pub")
        settings.ssh_key_file.chmod(0o600)
        make_key_file(settings.key_file)
        self.processes: dict[str, subprocess.Popen[bytes] | warm.Warm] = {}
        self.processes["redis"], url = servers.start_redis(folder)
        own = {"VZQ_STATE": folder, "VZQ_DATABASE": settings.database_url, "VZQ_REDIS_URL": url}
        own |= {"VZQ_SERVICE_METRICS": "127.0.0.1:0", "VZQ_WORKER_METRICS": "127.0.0.1:0", "VZQ_API": ""}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("VZQ_")}
        self.environment = kept | {name: str(value) for name, value in own.items()}
        self.house = open_house(Settings(state=folder, database=settings.database_url, redis_url=url))
        self.nodes: list[lab.LabNode] = []

    def open(self) -> None:
        """Start everything; `close` ends what was started, however far this came."""
        folder, settings = self.folder, self.house.settings
        self.house.database.upgrade()
        keys = f"{settings.ssh_key_file}.pub"
        self.start("nodes", "ops.simnode", "--state", str(folder / "lab"), "--nodes", "3", "--speed", "0.1", "--authorized-keys", keys)
        self.start("service")
        self.start("worker")
        self.until((folder / "lab" / "nodes.json").exists, "the nodes to come up")
        lab.furnish(self.house)
        self.nodes = lab.nodes_of(folder / "lab")
        assert {job.state for job in self.ended(*lab.enrol(self.house, self.nodes))} == {State.DONE}

    # -- processes ----------------------------------------------------------------------------------------------

    def start(self, name: str, module: str = "", *words: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = warm.start(module or MODULES[name.partition("-")[0]], *words, env=self.environment, out=log)

    def vzq(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """As an operator types it, on a terminal of 120 columns."""
        return warm.run("producers.cli", *words, env=self.environment | {"COLUMNS": "120"})

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].wait()

    def restart(self, name: str) -> None:
        self.kill(name)
        if name == "redis":
            self.processes["redis"], _ = servers.start_redis(self.folder)
        else:
            self.start(name)

    def close(self) -> None:
        self.house.close()
        for name, process in self.processes.items():
            process.send_signal(signal.SIGCONT)
            if name not in ("redis", "nodes"):
                process.terminate()
        for process in reversed(self.processes.values()):
            try:
                process.terminate()
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def empty_redis(self) -> None:
        with redis.Redis.from_url(self.environment["VZQ_REDIS_URL"]) as client:
            client.flushall()

    # -- orders -------------------------------------------------------------------------------------------------

    def order(self, *orders: Order) -> list[str]:
        with self.house.database.write() as session:
            jobs = [self.house.intake.submit(session, order, by=f"customer-{number % 3}").job.id for number, order in enumerate(orders)]
        self.house.bell.wake()
        return jobs

    def containers(self, number: int, **given: Any) -> list[str]:
        fields = {"kind": "create-container", "plan": "small", "template": "busybox-mini-x86_64"} | given
        return self.order(*(ORDER.validate_python(fields | {"hostname": f"ct{which}.example.net"}) for which in range(number)))

    def enrol(self, node: lab.LabNode, name: str) -> str:
        return self.order(EnrolNode(node=name, host=node.host, port=node.port, fingerprint=node.fingerprint))[0]

    def job(self, job_id: str) -> Job:
        with self.house.database.read() as session:
            return session.get_one(Job, job_id)

    def jobs(self, job_ids: list[str]) -> list[Job]:
        with self.house.database.read() as session:
            return list(session.exec(select(Job).where(col(Job.id).in_(job_ids))).all())

    def story(self, job_id: str) -> list[Event]:
        with self.house.database.read() as session:
            return list(session.exec(select(Event).where(Event.job_id == job_id).order_by(col(Event.id))).all())

    def done(self, job_ids: list[str]) -> int:
        return sum(job.state == State.DONE for job in self.jobs(job_ids))

    def ended(self, *job_ids: str) -> list[Job]:
        """Their rows, once they have ended or wait for a person."""
        self.until(lambda: all(job.state in OVER for job in self.jobs(list(job_ids))), f"the end of {len(job_ids)} jobs")
        return self.jobs(list(job_ids))

    def until(self, true: Callable[[], object], what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not true():
            if time.monotonic() > end:
                logs = "\n".join(f"== {log.name}\n{log.read_text()[-1500:]}" for log in self.folder.glob("*.log"))
                pytest.fail(f"not within {PATIENCE_S:.0f} s: {what}\n{logs}")
            time.sleep(0.05)

    # -- what the nodes say --------------------------------------------------------------------------------------

    def ctl(self, node: str, operation: str, **details: object) -> Any:
        return ask(self.folder / "lab", node, operation, **details)

    def running(self) -> Counter[int]:
        """Each container that runs, and on how many nodes."""
        return Counter(row["ctid"] for node in self.nodes for row in self.ctl(node.name, "list") if row["running"])

    def creates(self) -> Counter[int]:
        """How often `vzctl create` ended well for each container, by the nodes' own journals."""
        journals = [self.folder / "lab" / node.name / "journal.jsonl" for node in self.nodes]
        calls = [json.loads(line) for journal in journals if journal.exists() for line in journal.read_text().splitlines()]
        return Counter(call["ctid"] for call in calls if (call["command"], call["exit"]) == ("create", 0))

    def each_is_there_once(self, job_ids: list[str]) -> None:
        """Every job is done, its container runs on one node and was made once."""
        jobs = self.ended(*job_ids)
        assert {job.state for job in jobs} == {State.DONE}, [(job.id, job.state, job.error) for job in jobs if job.state != State.DONE]
        ctids = [job.ctid for job in jobs]
        running, creates = self.running(), self.creates()
        assert len(set(ctids)) == len(jobs)
        assert {ctid: (running[ctid], creates[ctid]) for ctid in ctids if ctid} == dict.fromkeys(ctids, (1, 1))
