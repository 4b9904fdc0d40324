"""Unit files and compose file: what they promise in ops/docs/operations.md is what they say, and the tools take them."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.pages import ROOT, names, page

UNITS = sorted((ROOT / "ops/systemd").glob("*.service"))
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = {"keys", "database", "furnish"}
ANALYZE = shutil.which("systemd-analyze")
VARIABLE = re.compile(r"\bVZQ_[A-Z_]+\b")
ITS_OWN = {"VZQ_BASE", "VZQ_IMAGE", "VZQ_BUILD_NETWORK", "VZQ_PORT", "VZQ_NODES"}  # of the compose file itself


@pytest.mark.quick
@pytest.mark.parametrize("file", ["docker-compose.yml", *(f"ops/systemd/{path.name}" for path in sorted((ROOT / "ops/systemd").iterdir()))])
def test_only_settings_that_there_are_are_set(file: str) -> None:
    known = names(page("operations.md"), "variable") | ITS_OWN
    assert {name.removesuffix("_2") for name in VARIABLE.findall((ROOT / file).read_text())} <= known


@pytest.fixture
def installed(tmp_path: Path) -> list[str]:
    """The units as on a host on which vzq is installed: what they start and read is there."""
    paths = []
    for unit in UNITS:
        text = unit.read_text().replace("/opt/vzq/bin/vzq", "/bin/true").replace("EnvironmentFile=/etc", "EnvironmentFile=-/etc")
        (tmp_path / unit.name.replace("@.", "@fra1.")).write_text(text)
        paths.append(str(tmp_path / unit.name.replace("@.", "@fra1.")))
    return paths


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not on this machine: the units are NOT tested")
def test_systemd_takes_the_units_and_finds_them_hardened(installed: list[str]) -> None:
    verified = subprocess.run([str(ANALYZE), "verify", "--man=no", *installed], capture_output=True, text=True, timeout=60, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    for unit in installed:
        done = subprocess.run(
            [str(ANALYZE), "security", "--offline=yes", "--threshold=25", unit], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout[-500:]  # exposure 2.5 of 10 at most


@pytest.mark.quick
def test_units_stop_a_worker_as_it_wants_to_be_stopped() -> None:
    for unit in UNITS:
        told = dict(line.split("=", 1) for line in unit.read_text().splitlines() if "=" in line and not line.startswith("#"))
        assert (told["KillMode"], told["TimeoutStopSec"], told["Restart"], told["StateDirectoryMode"]) == ("mixed", "60", "always", "0700")


@pytest.mark.quick
@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_no_rights_that_it_does_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service.get("user") not in {"root", "0"}
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert ("healthcheck" in service) is (name not in ONCE)
    assert not [
        key for key, value in service.get("environment", {}).items() if re.search("PASSWORD|SECRET|TOKEN", key) and not str(value).startswith("/")
    ]


@pytest.mark.quick
def test_what_must_be_there_first_is_waited_for() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] == ("service_completed_successfully" if other in ONCE else "service_healthy"), (name, other)


@pytest.mark.quick
def test_a_secret_is_mounted_where_it_is_needed_alone() -> None:
    mounts = {
        name: {volume.split(":")[0]: volume.split(":")[2:] for volume in service.get("volumes", ()) if volume.startswith("keys-")}
        for name, service in SERVICES.items()
    }
    made = mounts.pop("keys")
    assert all(how == ["ro"] for volumes in mounts.values() for how in volumes.values())
    assert {volume for volumes in mounts.values() for volume in volumes} == set(made)
    assert {name for name, volumes in mounts.items() if "keys-fra" in volumes} == {"worker-fra"}
    assert {name for name, volumes in mounts.items() if "keys-postgres" in volumes} == {"postgres"}
    assert "keys-house" not in mounts["nodes-fra"]


@pytest.mark.quick
def test_prometheus_scrapes_every_service_and_worker() -> None:
    told = yaml.safe_load((ROOT / "ops/prometheus/prometheus.yml").read_text())["scrape_configs"]
    scraped = {name for job in told for one in job["dns_sd_configs"] for name in one["names"]}
    aliases = {alias for service in SERVICES.values() for alias in service.get("networks", {}).get("default", {}).get("aliases", ())}
    serve = {name for name, service in SERVICES.items() if {"VZQ_SERVICE_METRICS", "VZQ_WORKER_METRICS"} & service.get("environment", {}).keys()}
    assert scraped == serve
    assert {name for name in scraped if SERVICES[name].get("network_mode")} == aliases  # who shares a network is met under its owner's alias


@pytest.mark.quick
@pytest.mark.parametrize("script", ["ops/docker/keys.sh", "ops/docker/furnish.sh", "ops/systemd/vzq"])
def test_scripts_are_executable_and_can_be_read_by_a_shell(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o111
    assert subprocess.run(["sh", "-n", ROOT / script], check=False).returncode == 0


def test_compose_takes_the_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not on this machine: the file is only read as YAML")
    done = subprocess.run([docker, "compose", "config", "--quiet"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
