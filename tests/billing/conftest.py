"""`vzq up --lab 3` as somebody has it running, and a billing system that knows its address and a token."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from ops.simnode.control import ask
from tests.billing.document import Document
from tests.embedded.programs import environment, until

VZQ = [sys.executable, "-m", "producers.cli"]
TEMPLATE = "busybox-mini-x86_64"
NODES = ("n1", "n2", "n3")
PORTS = {"VZQ_SERVICE_METRICS": "127.0.0.1:0", "VZQ_WORKER_METRICS": "127.0.0.1:0", "VZQ_API_RATE": "0"}


@dataclass
class Up:
    """The running house."""

    state: Path
    url: str
    token: str

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=90, trust_env=False)

    def order(self, kind: str, *, key: str = "", wait: float = 0, **fields: Any) -> httpx.Response:
        with self.client() as http:
            headers = {"Idempotency-Key": key} if key else {}
            return http.post("/v1/orders", json={"kind": kind, **fields}, headers=headers, params={"wait": wait} if wait else {})

    def job(self, job_id: str, **query: Any) -> dict[str, Any]:
        with self.client() as http:
            told: dict[str, Any] = http.get(f"/v1/jobs/{job_id}", params=query).json()
            return told

    def done(self, job_id: str) -> dict[str, Any]:
        """The job, which must end well."""
        job = self.job(job_id, wait=60)
        assert job["state"] == "done", (job["state"], job["error"], [event["why"] for event in job["events"]])
        return job

    def create(self, hostname: str) -> int:
        job = self.done(self.order("create-container", plan="small", template=TEMPLATE, hostname=hostname).json()["id"])
        return int(job["ctid"])

    def on_nodes(self, ctid: int | None = None) -> list[dict[str, Any]]:
        """Containers as the nodes have them, each with its node and the lines of its conf."""
        found = []
        for node in NODES:
            for one in ask(self.state / "lab", node, "list"):
                conf = self.root(node) / f"etc/vz/conf/{one['ctid']}.conf"
                lines = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', conf.read_text(), re.MULTILINE)) if conf.exists() else {}
                found.append(one | {"node": node, "lines": lines})
        return [one for one in found if ctid in (None, one["ctid"])]

    def on_node(self, ctid: int) -> dict[str, Any]:
        """The one container of this id."""
        (one,) = self.on_nodes(ctid)
        return one

    def root(self, node: str) -> Path:
        (row,) = [row for row in json.loads((self.state / "lab/nodes.json").read_text()) if row["name"] == node]
        return Path(row["root"])

    def children(self) -> dict[str, int]:
        return {name: child["pid"] for name, child in json.loads((self.state / "up.json").read_text())["children"].items()}


@dataclass
class Watch:
    """Everything that `ps` shows while it runs: the command lines of all processes of this machine."""

    seen: dict[bytes, int] = field(default_factory=lambda: defaultdict(int))
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.005):
            for entry in os.scandir("/proc"):
                if entry.name.isdigit():
                    try:
                        self.seen[Path(entry.path, "cmdline").read_bytes()] += 1
                    except OSError:
                        continue


def free_port() -> int:
    """Somebody may take it meanwhile; then `vzq up` says so."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@pytest.fixture(scope="package")
def up(server_folder: Path) -> Iterator[Up]:
    state, said, where = server_folder / "shop", server_folder / "shop.out", f"127.0.0.1:{free_port()}"
    with said.open("wb") as out:
        argv = [*VZQ, "up", "--state", str(state), "--lab", "3"]
        process = subprocess.Popen(argv, stdout=out, stderr=out, env=environment(**PORTS, VZQ_API=where), start_new_session=True)
    try:
        until(lambda: "ready in" in said.read_text() or process.poll() is not None, within_s=100)
        assert process.poll() is None, said.read_text()
        made = subprocess.run(
            [*VZQ, "token", "create", "shop", "--scope", "order"], env=environment(VZQ_STATE=str(state)), capture_output=True, text=True, check=True
        )
        yield Up(state, f"http://{where}", made.stdout.strip())
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture
def document(up: Up) -> Iterator[Document]:
    known = Document(up.url, up.token)
    yield known
    known.close()
