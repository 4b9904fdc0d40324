"""ops/docs/metrics.md lists the meters that there are, each as it is."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from models.database import Database
from producers.metrics import DispatcherMeters, FromDatabase
from tests.docs.pages import called, calls, codes, first_text, page, tables
from workers.metrics import WorkerMeters

pytestmark = pytest.mark.quick
KINDS = {"Counter": "counter", "Gauge": "gauge", "Histogram": "histogram", "Summary": "summary", "Info": "info", "Enum": "stateset"}
KINDS |= {f"{name}MetricFamily": kind for name, kind in KINDS.items()}
Meter = tuple[str, str, str]  # name, type, labels


def documented() -> set[Meter]:
    return {(codes(row[0])[0], row[1], row[2]) for row in tables(page("metrics.md"), "name")}


@pytest.fixture
def served(sqlite_template: Path) -> set[Meter]:
    """What the registries of service and worker hold; nothing is started for it."""
    registry = CollectorRegistry()
    DispatcherMeters(registry)
    WorkerMeters(registry)
    database = Database(f"sqlite:///{sqlite_template}")
    families = {meter(family, ()) for family in registry.collect()}
    labelled = {collector._name: tuple(collector._labelnames) for collector in registry._collector_to_names}
    database_families = {meter(family, family._labelnames) for family in FromDatabase(database).collect()}
    database.close()
    return {(name, kind, ", ".join(labelled[name.removesuffix("_total")])) for name, kind, _ in families} | database_families


def meter(family: Metric, labels: tuple[str, ...]) -> Meter:
    return family.name + ("_total" if family.type == "counter" else ""), family.type, ", ".join(labels)


def test_the_page_lists_every_meter_with_type_and_labels(served: set[Meter]) -> None:
    assert documented() == served


def test_no_meter_is_made_that_those_registries_do_not_hold(served: set[Meter]) -> None:
    made = {(first_text(call), KINDS[called(call)]) for call in calls() if called(call) in KINDS and first_text(call).startswith("vzq_")}
    assert made == {(name, kind) for name, kind, _ in served}


def test_every_meter_has_a_unit_and_a_meaning() -> None:
    assert all(unit and meaning for *_, unit, meaning in tables(page("metrics.md"), "name"))
