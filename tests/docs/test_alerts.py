"""Alerts, dashboards and runbook speak of meters that there are, and the rules do what they say."""

import inspect
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from models import errors
from models.lifecycle import EDGES, State
from tests.docs.pages import ROOT, names
from tests.docs.test_metrics import documented

PROMETHEUS = ROOT / "ops/prometheus"
DASHBOARDS = sorted((ROOT / "ops/grafana/dashboards").glob("*.json"))
NAME = re.compile(r"\bvzq_[a-z_]+\b")
PROMTOOL = shutil.which("promtool")


def rules(file: str) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load((PROMETHEUS / file).read_text())["groups"] for rule in group["rules"]]


def expressions() -> Iterator[tuple[str, str]]:
    for rule in (*rules("alerts.yml"), *rules("recorded.yml")):
        yield rule.get("alert") or rule["record"], rule["expr"]
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{file.name}: {panel['title']}", target["expr"]


@pytest.mark.quick
def test_alerts_and_runbook_have_the_same_headings() -> None:
    headings = re.findall(r"^## (\S+)$", (ROOT / "ops/docs/runbook.md").read_text(), re.MULTILINE)
    assert headings == [rule["alert"] for rule in rules("alerts.yml")]
    assert [rule["annotations"]["runbook"] for rule in rules("alerts.yml")] == [f"runbook.md#{heading.lower()}" for heading in headings]


@pytest.mark.quick
def test_every_way_to_get_stuck_has_a_heading_and_every_class_of_error_its_advice() -> None:
    """The ways are the causes that lead there (models/lifecycle.py), the classes those of models/errors.py and of the dispatcher."""
    text = (ROOT / "ops/docs/runbook.md").read_text()
    causes = {cause for (state, cause), end in EDGES.items() if end is State.STUCK and state is not State.STUCK}
    assert set(re.findall(r"^## Stuck: (\w+)$", text, re.MULTILINE)) == causes
    classes = {name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.JobError)} - {"JobError"}
    said = "\n".join(path.read_text() for path in (ROOT / "producers").rglob("*.py"))
    classes |= set(re.findall(r'error_class = \w+, "(\w+)"', said)) - {"NodeLost"}  # that one only ends jobs
    never = set(re.findall(r"`([A-Z]\w+)`", text.rpartition("Never stuck by themselves")[2]))
    assert names(text, "class") | never == classes
    assert not names(text, "class") & never


@pytest.mark.quick
def test_every_expression_asks_for_series_that_a_process_serves() -> None:
    series = {name for name, kind, _ in documented() if kind != "histogram"}
    series |= {f"{name}{suffix}" for name, kind, _ in documented() if kind == "histogram" for suffix in ("_bucket", "_count", "_sum")}
    assert {(where, name) for where, expression in expressions() for name in NAME.findall(expression) if name not in series} == set()


@pytest.mark.quick
def test_every_label_that_is_asked_for_is_one_of_its_meter() -> None:
    labels = {name: set(filter(None, told.split(", "))) for name, _, told in documented()}
    wrong = []
    for where, expression in expressions():
        for name, matched in re.findall(r"\b(vzq_[a-z_]+?)(?:_bucket|_count|_sum)?\{([^}]*)\}", expression):
            asked = set(re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", matched))
            wrong += [(where, name, asked - labels.get(name, set()))] if asked - labels.get(name, set()) else []
    assert wrong == []


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not on this machine: the rules are NOT tested (Debian: apt install prometheus)")
@pytest.mark.parametrize("words", [("check", "rules", "alerts.yml", "recorded.yml"), ("test", "rules", "alerts_test.yml")], ids=" ".join)
def test_promtool_finds_the_rules_right(words: tuple[str, ...]) -> None:
    done = subprocess.run([str(PROMTOOL), *words], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
