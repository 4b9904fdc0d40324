"""A whole vzq with a simulated node, and a WHMCS of stand-ins in which the real module lies."""

import asyncio
import itertools
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ops.simnode.inside import password_is
from producers.embedded.auditor import Found, look
from producers.embedded.lab import LabNode, nodes_of
from tests import warm
from tests.embedded.programs import environment, until

MODULE = Path(__file__).resolve().parents[2] / "ops" / "integrations" / "whmcs" / "modules"
STUBS = Path(__file__).parent / "whmcs"
VZQ = [sys.executable, "-m", "producers.cli"]
TEMPLATE = "debian-12-x86_64-minbase"
SERVICES = itertools.count(101)  # one token, so no number twice: keys are made of them
SERVER = 1


@pytest.fixture(scope="session")
def php() -> str:
    """The interpreter, with what the module and the stand-ins need; skips, loudly, where there is none."""
    found = shutil.which("php")
    missing = "php (Debian: php-cli, php-curl, php-sqlite3)"
    if found is not None:
        told = subprocess.run([found, "-m"], capture_output=True, text=True, check=True, timeout=30).stdout.split()
        missing = ", ".join(f"php-{name}" for name in ("curl", "pdo_sqlite", "openssl") if name not in told)
    if not missing and found:
        return found
    if os.environ.get("CI"):
        pytest.fail(f"THE WHMCS MODULE IS NOT TESTED: there is no {missing}")
    pytest.skip(f"THE WHMCS MODULE IS NOT TESTED: there is no {missing}")


@dataclass
class House:
    """`vzq up --lab 1`, its API and a token for billing."""

    state: Path
    port: int
    token: str = ""

    @property
    def node(self) -> LabNode:
        return nodes_of(self.state / "lab")[0]

    def vzq(self, *args: str) -> "subprocess.CompletedProcess[str]":
        return warm.run("producers.cli", *args, env=environment(VZQ_STATE=str(self.state)), timeout=90)

    def found(self, hostname: str) -> list[Found]:
        """The containers of that host name, as the node itself shows them."""
        met = asyncio.run(look([self.node], self.state / "ssh" / "id_ed25519"))
        return [one for one in met if self.conf(one.ctid).get("HOSTNAME") == hostname]

    def conf(self, ctid: int) -> dict[str, str]:
        """A container's configuration on the node."""
        try:
            text = (Path(self.node.root) / "etc/vz/conf" / f"{ctid}.conf").read_text()
        except FileNotFoundError:
            return {}
        return dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', text, re.MULTILINE))

    def opens(self, ctid: int, password: str) -> bool:
        return password_is(Path(self.node.root) / "vz/private" / str(ctid), "root", password)

    def jobs(self, *args: str) -> list[dict[str, Any]]:
        """All jobs, or those of a selection."""
        listed: list[dict[str, Any]] = json.loads(self.vzq("job", "list", "--json", *args).stdout)
        return listed


@pytest.fixture(scope="package")
def house(server_folder: Path, php: str) -> Iterator[House]:
    port = _free_port()
    up = House(server_folder / "billing", port)
    ports = {"VZQ_API": f"127.0.0.1:{port}", "VZQ_SERVICE_METRICS": "127.0.0.1:0", "VZQ_WORKER_METRICS": "127.0.0.1:0", "VZQ_API_RATE": "0"}
    ports |= {"VZQ_WEBHOOK_NETWORKS": "127.0.0.1/32"}
    said = server_folder / "billing.out"
    with said.open("wb") as out:
        argv = [*VZQ, "up", "--state", str(up.state), "--lab", "1"]
        process = subprocess.Popen(argv, stdout=out, stderr=out, env=environment(**ports), start_new_session=True)
    try:
        until(lambda: "ready in" in said.read_text() or process.poll() is not None, within_s=90)
        assert process.poll() is None, said.read_text()
        told = up.vzq("token", "create", "whmcs", "--scope", "order", "--json")
        assert told.returncode == 0, told
        up.token = re.findall(r"vzq_[A-Za-z0-9_-]{43}", told.stdout)[0]
        yield up
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


@dataclass
class Whmcs:
    """An installation in a folder of its own; `secrets` are looked for in all that it logs."""

    php: str
    root: Path
    house: House
    secrets: list[str] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        return kept | {"WHMCS_STATE": str(self.root)}

    def start(self, deed: str, **given: Any) -> "subprocess.Popen[str]":
        argv = [self.php, "-d", "display_errors=stderr", str(self.root / "harness.php"), deed, json.dumps(given)]
        return subprocess.Popen(argv, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ends(self, process: "subprocess.Popen[str]") -> Any:
        out, err = process.communicate(timeout=100)
        assert process.returncode == 0, f"{out}\n{err}"
        return json.loads(out)

    def does(self, deed: str, **given: Any) -> Any:
        return self.ends(self.start(deed, **given))

    def call(self, function: str, service: int, **more: Any) -> dict[str, Any]:
        """Run a module function as WHMCS does; its word and the service's row afterwards."""
        return self.does("call", function=function, service=service, more=more)  # type: ignore[no-any-return]

    def page(self, function: str, **given: Any) -> Any:
        return self.does("page", function=function, **given)

    def show(self, service: int) -> dict[str, Any]:
        return self.does("show", service=service)  # type: ignore[no-any-return]

    def server(self, **fields: Any) -> None:
        row = {"id": SERVER, "type": "vzq", "hostname": "127.0.0.1", "port": self.house.port, "secure": "", "password": self.house.token}
        self.does("put", tblservers=[row | fields])

    def product(self, *, plan: str = "small", wait: str = "20", **fields: str) -> None:
        row = {"configoption1": plan, "configoption2": TEMPLATE, "configoption5": "client-{clientid}", "configoption7": wait, "configoption8": "168"}
        self.does("put", tblproducts=[{"id": 1} | row | fields])

    def ordered(self, **fields: Any) -> int:
        """A service that a customer has paid for; its number."""
        number = next(SERVICES)
        password = "Pw-" + secrets.token_hex(8)
        self.secrets.append(password)
        row = {"id": number, "userid": 7, "packageid": 1, "server": SERVER, "domain": f"s{number}.example.net", "password": password}
        self.does("put", tblhosting=[row | {"domainstatus": "Pending"} | fields])
        return number

    def created(self, **fields: Any) -> tuple[int, int]:
        """A service with its VPS: its number, and the container's id."""
        service = self.ordered(**fields)
        told = self.call("CreateAccount", service)
        assert told["result"] == "success", told
        (found,) = self.house.found(told["domain"])
        return service, found.ctid

    def until_finished(self, service: int, status: str) -> dict[str, Any]:
        """The cron runs until the service has that status."""

        def finished() -> bool:
            self.does("cron")
            return bool(self.show(service)["domainstatus"] == status)

        until(finished, within_s=60)
        return self.show(service)


@pytest.fixture
def whmcs(php: str, house: House, tmp_path: Path) -> Iterator[Whmcs]:
    root = tmp_path / "whmcs"
    shutil.copytree(MODULE, root / "modules")
    for stub in STUBS.iterdir():
        shutil.copy(stub, root)
    installed = Whmcs(php, root, house, [house.token])
    installed.does("install")
    installed.server()
    installed.product()
    yield installed
    logs = [root / name for name in ("module.log", "activity.log", "whmcs.sqlite")]
    kept = b"".join(log.read_bytes() for log in logs if log.exists())
    for secret in installed.secrets:
        assert secret.encode() not in kept, "a secret lies in the clear in WHMCS's logs or tables"


def _free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])
