"""Logging never stops what is logged about."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick
PROGRAM = """
import logging
import structlog
from models.logs import configure

configure()
structlog.get_logger("here").warning("database_away", error="disk full")
logging.getLogger("dramatiq").warning("Redis is away")
print("still here", flush=True)
"""


def run(log: Path) -> "subprocess.CompletedProcess[str]":
    with log.open("w") as stderr:
        return subprocess.run([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=stderr, text=True, timeout=60, check=False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_the_log_stops_nobody() -> None:
    assert run(Path("/dev/full")).stdout == "still here\n"


def test_what_is_logged_is_in_the_log(tmp_path: Path) -> None:
    run(tmp_path / "log")
    text = (tmp_path / "log").read_text()
    assert '"event": "database_away"' in text
    assert "Redis is away" in text
