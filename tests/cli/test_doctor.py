"""`vzq doctor` on a healthy installation and on broken ones, each broken in one way: it names the fault, and only that."""

import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import text

from models.database import Database
from models.fleet import Node, NodeState
from models.hooks import Delivery, Webhook
from models.house import Beat, Secret, Worker
from models.lifecycle import State
from models.pauses import Pause, Reach
from models.settings import Settings
from models.vault import Vault, make_key_file
from producers.api.settings import ApiSettings
from producers.cli.ssh_key import management_key
from producers.doctor import Installation, examine
from producers.doctor.check import Check, Verdict
from producers.doctor.files import FULL, Room
from tests.cli.conftest import Vzq
from tests.docs.pages import names, page
from tests.factories import make_job, make_node
from tests.stand_ins import ManualClock

RELEASE = "0123456789ab"
PLENTY = Room(1 << 40, 1 << 39)


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Patient:
    """A healthy installation, until a test breaks it."""

    state: Path
    database: Database
    environment: pytest.MonkeyPatch

    def add(self, *rows: object) -> None:
        with self.database.write() as session:
            session.add_all(rows)

    def change(self, kind: type[Any], key: str, **fields: object) -> None:
        with self.database.write() as session:
            row = session.get_one(kind, key)
            for name, value in fields.items():
                setattr(row, name, value)
            session.add(row)

    def set(self, **variables: object) -> None:
        for name, value in variables.items():
            self.environment.setenv(name, str(value))


@pytest.fixture
def patient(vzq: Vzq, state: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Patient]:
    (state / "ssh").mkdir(mode=0o700)
    management_key(state / "ssh" / "id_ed25519")
    database = Database(f"sqlite:///{state / 'vzq.sqlite'}")
    healthy = Patient(state, database, monkeypatch)
    healthy.set(VZQ_REDIS_URL=redis_url, VZQ_API="127.0.0.1:0", VZQ_SERVICE_METRICS="127.0.0.1:0", VZQ_WORKER_METRICS="127.0.0.1:0")
    healthy.add(
        Beat(name="dispatcher", at=now()),
        Worker(name="w1", site="main", host=socket.gethostname(), slots={}, programs=RELEASE, started_at=now(), seen_at=now()),
        make_node("n1", abilities={"programs": RELEASE}, seen_at=now()),
        Secret(job_id=make_job().id, name="password", sealed=Vault(state / "secret.key").seal("hidden-word")),
    )
    yield healthy
    database.close()


def told(vzq: Vzq) -> tuple[int, dict[str, dict[str, str]]]:
    answer = vzq("doctor", "--json")
    shape = json.loads(answer.stdout)
    assert shape["healthy"] is (answer.exit_code == 0)
    return answer.exit_code, {check["check"]: check for check in shape["checks"]}


def test_nothing_is_found_on_a_healthy_installation(vzq: Vzq, patient: Patient) -> None:
    code, checks = told(vzq)
    assert {name: check["what"] for name, check in checks.items() if check["verdict"] not in {"ok", "look"}} == {}
    assert {name for name, check in checks.items() if check["verdict"] == "look"} <= {"disk"}  # this machine's
    assert code == 0
    assert set(checks) == names(page("operations.md"), "check")
    lines = vzq("doctor").stdout.splitlines()
    assert len(lines) == len(checks) + 1
    assert lines[-1] == f"nothing is broken ({len(checks)} checks)"


def no_redis(one: Patient) -> None:
    one.set(VZQ_REDIS_URL="redis://:hidden-word@127.0.0.1:1/0")


def another_key(one: Patient) -> None:
    (one.state / "secret.key").unlink()
    make_key_file(one.state / "secret.key")


def torn_key(one: Patient) -> None:
    (one.state / "secret.key").write_text("not a key\n")


def no_database(one: Patient) -> None:
    one.set(VZQ_DATABASE="postgresql+psycopg://vzq:hidden-word@127.0.0.1:1/vzq")


def no_house(one: Patient) -> None:
    one.set(VZQ_DATABASE=f"sqlite:///{one.state / 'elsewhere.sqlite'}")


def no_sqlite(one: Patient) -> None:
    (one.state / "torn.sqlite").write_bytes(b"no database at all" * 100)
    one.set(VZQ_DATABASE=f"sqlite:///{one.state / 'torn.sqlite'}")


def old_schema(one: Patient) -> None:
    with one.database.rebuild() as connection:
        connection.execute(text("update alembic_version set version_num = 'pre_0001'"))


def newer_schema(one: Patient) -> None:
    with one.database.rebuild() as connection:
        connection.execute(text("update alembic_version set version_num = 'pre_9999'"))


def clock_set_back(one: Patient) -> None:
    one.change(Beat, "dispatcher", at=now() + timedelta(hours=1))


def dead_service(one: Patient) -> None:
    one.change(Beat, "dispatcher", at=now() - timedelta(minutes=5))


def dead_worker(one: Patient) -> None:
    one.change(Worker, "w1", seen_at=now() - timedelta(minutes=5))


def a_site_without_worker(one: Patient) -> None:
    one.add(make_node("a1", site="ams", seen_at=now()))


def ill_node(one: Patient) -> None:
    one.change(Node, "n1", broken_until=now() + timedelta(minutes=1), finding="unreachable")


def unseen_node(one: Patient) -> None:
    one.change(Node, "n1", seen_at=now() - timedelta(hours=1))


def open_folder(one: Patient) -> None:
    one.state.chmod(0o755)


def open_ssh_key(one: Patient) -> None:
    (one.state / "ssh" / "id_ed25519").chmod(0o644)


def no_ssh_key(one: Patient) -> None:
    shutil.rmtree(one.state / "ssh")


def foreign_ssh_key(one: Patient) -> None:
    (one.state / "ssh" / "id_ed25519").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nhidden-word\n-----END OPENSSH PRIVATE KEY-----\n")


def readable_key(one: Patient) -> None:
    (one.state / "secret.key").chmod(0o644)


def no_certificate(one: Patient) -> None:
    one.set(VZQ_API_TLS_CERT=one.state / "cert.pem", VZQ_API_TLS_KEY=one.state / "key.pem")


def broken_rules(one: Patient) -> None:
    (one.state / "alerts.yml").write_text("NodeDying: {do: explode}\n")
    one.set(VZQ_ALERT_RULES=one.state / "alerts.yml")


def failing_webhook(one: Patient) -> None:
    one.add(
        Webhook(id="01HOOK", url="https://billing.example.net/vzq", created_at=now()),
        Delivery(webhook="01HOOK", event=1, subject="job:1", sequence=1, due_at=now(), attempts=4, error="answered 500"),
    )


def stuck_job(one: Patient) -> None:
    one.add(make_job(state=State.STUCK))


BROKEN = {
    no_redis: ("redis", "nothing answers at redis://:***@127.0.0.1:1/0", "VZQ_REDIS_URL"),
    another_key: ("sealed", "does not open the secret of job", "VZQ_SECRET_KEY_FILE"),
    torn_key: ("secret-key", "no usable key in", "vzq key"),
    readable_key: ("secret-key", "can be read by everybody (mode 0644)", "chmod 0600"),
    no_database: ("database", "postgresql+psycopg://vzq:***@127.0.0.1:1/vzq does not answer", "VZQ_DATABASE"),
    no_house: ("database", "no house here", "vzq up"),
    no_sqlite: ("database", "file is not a database", "sound"),
    old_schema: ("database", "is at schema pre_0001, this vzq needs", "run `vzq upgrade`"),
    newer_schema: ("database", "is at schema pre_9999", "install that one"),
    clock_set_back: ("clock", "the clock was set back", "timedatectl"),
    dead_service: ("service", "no service has gone round for 5 min", "vzq service"),
    dead_worker: ("workers", "no worker is alive at site main", "vzq worker --site main"),
    a_site_without_worker: ("workers", "no worker is alive at site ams", "vzq worker --site ams"),
    ill_node: ("nodes", "ill: n1 (unreachable)", "vzq node show n1"),
    unseen_node: ("nodes", "not looked at: n1", "vzq job list --node n1"),
    open_folder: ("state-folder", "open to others (mode 0755)", "chmod 0700"),
    open_ssh_key: ("ssh-key", "open to others (mode 0644)", "chmod 0600"),
    no_ssh_key: ("ssh-key", "there is no", "vzq key"),
    foreign_ssh_key: ("ssh-key", "no private key that a worker can use", "VZQ_SSH_KEY"),
    no_certificate: ("tls", "cannot be used: No such file", "PEM"),
    broken_rules: ("alert-rules", "NodeDying", "correct it"),
    failing_webhook: ("webhooks", "https://billing.example.net/vzq (1 deliveries: answered 500)", "vzq webhook ping 01HOOK"),
    stuck_job: ("stuck-jobs", "1 check-queue", "vzq job resolve"),
}
BESIDE = {torn_key: {"sealed"}}  # what cannot be well either


@pytest.mark.parametrize("breaks", BROKEN, ids=lambda one: one.__name__)
def test_a_broken_installation_is_told_by_its_fault_and_what_to_do(vzq: Vzq, patient: Patient, breaks: Callable[[Patient], None]) -> None:
    name, what, do = BROKEN[breaks]
    breaks(patient)
    code, checks = told(vzq)
    assert code == 1
    assert what in checks[name]["what"]
    assert do in checks[name]["do"]
    assert {one for one, check in checks.items() if check["verdict"] == "fault"} == {name} | BESIDE.get(breaks, set())
    said = vzq("doctor").stdout
    assert [line.split()[1] for line in said.splitlines() if line.startswith("fault")] == [
        one for one, check in checks.items() if check["verdict"] == "fault"
    ]
    assert "hidden-word" not in said


def paused(one: Patient) -> None:
    one.add(Pause(reach=Reach.EVERYTHING, by="ops", because="storage", since=now()))


def old_programs(one: Patient) -> None:
    one.change(Node, "n1", abilities={"programs": "anotherone12"})


def mixed_workers(one: Patient) -> None:
    one.add(Worker(name="w2", site="main", host="other", slots={}, programs="anotherone12", started_at=now(), seen_at=now()))


def half_enrolled(one: Patient) -> None:
    one.add(make_node("n2", state=NodeState.NEW))


TO_SEE_TO = {
    paused: ("pauses", "everything by ops (storage)"),
    old_programs: ("programs", "another release are on n1"),
    mixed_workers: ("programs", "workers of site main are of different releases"),
    half_enrolled: ("nodes", "not enrolled yet: n2 (of 2)"),
}


@pytest.mark.parametrize("happens", TO_SEE_TO, ids=lambda one: one.__name__)
def test_what_works_but_wants_somebody_is_no_fault(vzq: Vzq, patient: Patient, happens: Callable[[Patient], None]) -> None:
    name, what = TO_SEE_TO[happens]
    happens(patient)
    code, checks = told(vzq)
    assert (code, checks[name]["verdict"]) == (0, "look")
    assert what in checks[name]["what"]
    assert checks[name]["do"]


def test_a_port_that_somebody_else_has_is_named_with_its_variable(vzq: Vzq, patient: Patient) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        patient.set(VZQ_SERVICE_METRICS=where)  # bound, and nobody listens: nothing can be served there
        code, checks = told(vzq)
    assert (code, checks["ports"]["verdict"]) == (1, "fault")
    assert f"nothing can be served on {where} (VZQ_SERVICE_METRICS)" in checks["ports"]["what"]
    assert told(vzq)[0] == 0


def test_a_port_with_another_program_behind_it_is_not_taken_for_ours(vzq: Vzq, patient: Patient) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        where = f"127.0.0.1:{other.server_port}"
        patient.set(VZQ_API=where)
        code, checks = told(vzq)
        other.shutdown()
    assert (code, checks["ports"]["what"]) == (1, f"{where} (VZQ_API) is taken by a program that is not vzq")


def examined(patient: Patient, **given: Any) -> dict[str, Check]:
    fields: dict[str, Any] = {"api": ApiSettings(), "ports": {}, "room": lambda _: PLENTY} | given
    return {check.name: check for check in examine(Installation(Settings(), **fields))}


def test_a_full_disk_is_a_fault(patient: Patient) -> None:
    assert examined(patient)["disk"].verdict is Verdict.OK
    assert examined(patient, room=lambda _: Room(1 << 40, FULL - 1))["disk"].verdict is Verdict.FAULT


@pytest.mark.parametrize(("days", "verdict"), [(-1, Verdict.FAULT), (3, Verdict.LOOK), (90, Verdict.OK)])
def test_a_certificate_is_told_before_it_ends(patient: Patient, days: int, verdict: Verdict) -> None:
    cert, key = certificate(patient.state, until=now() + timedelta(days=days))
    assert examined(patient, api=ApiSettings(api_tls_cert=cert, api_tls_key=key))["tls"].verdict is verdict


def certificate(folder: Path, *, until: datetime) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vzq.example.net")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    signed = made.not_valid_before(until - timedelta(days=365)).not_valid_after(until).sign(key, hashes.SHA256())
    (folder / "cert.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    words = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(*words))
    return folder / "cert.pem", folder / "key.pem"


def test_a_clock_that_is_not_the_databases_is_a_fault(database_url: str, patient: Patient) -> None:
    patient.set(VZQ_DATABASE=database_url)
    clock = ManualClock()
    apart = examined(patient, clock=clock)["clock"]
    assert apart.verdict is (Verdict.OK if database_url.startswith("sqlite") else Verdict.FAULT)  # SQLite has no clock of its own
