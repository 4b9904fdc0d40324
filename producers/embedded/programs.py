"""The Python programs of the house, started by name: this side never imports the other's."""

import sys
from pathlib import Path

import producers
from models.settings import Settings
from producers.embedded.supervisor import Program

ROOT = Path(producers.__file__).resolve().parent.parent  # where models, producers, workers and ops lie side by side
WORKER_PATIENCE_S = 60.0  # it gives its jobs back, and lets the step it is at come to an end


def python(module: str, *args: str) -> list[str]:
    """Run `module` with our interpreter; -P, so that a folder called `models` where the user stands is not taken for ours."""
    return [sys.executable, "-P", "-m", module, *args]


def environment(settings: Settings) -> dict[str, str]:
    """Where the house is, for every program; whatever else is set (VZQ_DATABASE, VZQ_REDIS_URL …) they inherit."""
    found = {"VZQ_STATE": str(settings.state.absolute()), "VZQ_SITE": settings.site, "PYTHONUNBUFFERED": "1"}
    if "site-packages" not in ROOT.parts:
        found["PYTHONPATH"] = str(ROOT)  # a checkout in which nothing is installed
    return found


def service(settings: Settings, *, metrics: str, api: str) -> Program:
    """The service process."""
    return Program("service", python("producers.service"), environment(settings) | {"VZQ_SERVICE_METRICS": metrics, "VZQ_API": api})


def worker(settings: Settings, *, name: str, metrics: str) -> Program:
    """A worker process."""
    argv = python("workers.main", "--site", settings.site)
    return Program(name, argv, environment(settings) | {"VZQ_WORKER_METRICS": metrics}, patience_s=WORKER_PATIENCE_S)
