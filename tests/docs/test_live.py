"""Every panel and every rule, asked of a real Prometheus that scrapes a real service and worker after some real work."""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from models.orders import RestartContainer
from tests.docs.test_alerts import PROMETHEUS, expressions, rules
from tests.stories.place import Place

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("live")]
SERVER = shutil.which("prometheus")
SELECTOR = re.compile(r"\b(vzq_[a-z_]+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
Sample = tuple[str, dict[str, str]]
SHOWN = {  # whatever else has data, these must have it after a container was made and restarted
    "queue.json: Runs per second",
    "queue.json: Run time, 95th percentile",
    "queue.json: Worker slots and jobs in hand",
    "queue.json: Dispatch round, 99th percentile",
    "nodes.json: Nodes that answer",
    "nodes.json: Step time by step, 95th percentile",
    "downtime.json: Gap seen by customers, 95th percentile",
}


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def targets() -> dict[str, str]:
    return {"VZQ_SERVICE_METRICS": f"127.0.0.1:{free_port()}", "VZQ_WORKER_METRICS": f"127.0.0.1:{free_port()}"}


@pytest.fixture(scope="module")
def house(targets: dict[str, str]) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="vzqs-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        place = Place(Path(folder), "")
        place.environment |= targets
        try:
            place.open()
            yield place
        finally:
            place.close()


@pytest.fixture(scope="module")
def prometheus(house: Place, targets: dict[str, str]) -> Iterator[httpx.Client]:
    """Scraping every half second, with our rules."""
    if SERVER is None:
        if os.environ.get("CI"):
            pytest.fail("prometheus is not on this machine: PANELS AND RULES ARE NOT TESTED LIVE")
        pytest.skip("prometheus is not on this machine: panels and rules are NOT tested live (Debian: apt install prometheus)")
    config = {
        "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
        "rule_files": [str(PROMETHEUS / file) for file in ("alerts.yml", "recorded.yml")],
        "scrape_configs": [{"job_name": name, "static_configs": [{"targets": [where]}]} for name, where in targets.items()],
    }
    folder, where = house.folder / "prometheus", f"127.0.0.1:{free_port()}"
    folder.mkdir()
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    argv = [SERVER, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", f"--web.listen-address={where}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    with httpx.Client(base_url=f"http://{where}", trust_env=False) as client:
        try:
            house.until(lambda: _ready(client), "Prometheus to be ready")
            yield client
        finally:
            process.kill()
            process.wait()


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").is_success
    except httpx.HTTPError:
        return False


def asked(client: httpx.Client, expression: str) -> list[Any]:
    answer = client.get("/api/v1/query", params={"query": expression}).json()
    assert answer["status"] == "success", (expression, answer)
    data = answer["data"]
    return list(data["result"]) if data["resultType"] == "vector" else [data["result"]]


def served(targets: dict[str, str]) -> list[Sample]:
    """Every sample of both processes, as they tell it themselves."""
    text = "".join(httpx.get(f"http://{where}/metrics", trust_env=False).text for where in targets.values())
    return [(sample.name, sample.labels) for family in text_string_to_metric_families(text) for sample in family.samples]


def fits(labels: dict[str, str], matchers: str) -> bool:
    def one(name: str, operator: str, value: str) -> bool:
        mine = labels.get(name, "")
        return {"=": mine == value, "!=": mine != value, "=~": bool(re.fullmatch(value, mine)), "!~": not re.fullmatch(value, mine)}[operator]

    return all(one(*matcher) for matcher in MATCHER.findall(matchers or ""))


def test_panels_and_rules_show_what_service_and_worker_serve(house: Place, prometheus: httpx.Client, targets: dict[str, str]) -> None:
    (made,) = house.ended(*house.containers(1))
    house.ended(*house.order(RestartContainer(ctid=made.ctid or 0)))
    house.until(lambda: asked(prometheus, "rate(vzq_outage_gap_seconds_count[5m])"), "two scrapes of what was done")
    samples = served(targets)
    time.sleep(1.5)  # three scrapes: what stands in `samples` is known to Prometheus by now
    shown, wrong = set(), []
    for where, expression in expressions():
        found = asked(prometheus, expression)
        there = [any(name == mine and fits(labels, matchers) for mine, labels in samples) for name, matchers in SELECTOR.findall(expression)]
        if found:
            shown.add(where)
        elif ".json" in where and there and all(there):
            wrong.append((where, expression))
    assert wrong == []  # the series are there, and the panel stays empty
    assert shown >= SHOWN

    told = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    health = {rule["name"]: rule["health"] for group in told for rule in group["rules"]}
    assert health == dict.fromkeys((rule.get("alert") or rule["record"] for file in ("alerts.yml", "recorded.yml") for rule in rules(file)), "ok")
    firing = [alert["labels"] for alert in prometheus.get("/api/v1/alerts").json()["data"]["alerts"] if alert["state"] == "firing"]
    assert firing == []  # a healthy house wakes nobody


def test_every_series_of_a_dashboard_has_its_panel_in_the_provisioned_folder() -> None:
    provider = yaml.safe_load((PROMETHEUS.parent / "grafana/provisioning/dashboards/vzq.yml").read_text())["providers"][0]
    source = yaml.safe_load((PROMETHEUS.parent / "grafana/provisioning/datasources/vzq.yml").read_text())["datasources"][0]
    compose = yaml.safe_load((PROMETHEUS.parents[1] / "docker-compose.yml").read_text())["services"]
    mounted = {volume.split(":")[1] for volume in compose["grafana"]["volumes"]}
    assert provider["options"]["path"] in mounted
    assert source["url"] == "http://prometheus:9090"
    for file in sorted((PROMETHEUS.parent / "grafana/dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            assert panel["datasource"]["uid"] == source["uid"], (file.name, panel["title"])
