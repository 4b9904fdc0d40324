"""The four rooms keep apart, and the check that says so can fail."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def contracts(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"]
    return subprocess.run(command, cwd=folder, env={"PYTHONPATH": str(folder)}, capture_output=True, text=True, timeout=110, check=False)


def test_the_rooms_keep_apart() -> None:
    ran = contracts(ROOT)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("workers/breach.py", "import producers.intake"),
        ("producers/breach.py", "from workers import main"),
        ("producers/breach.py", "import asyncssh"),
        ("models/breach.py", "import redis"),
        ("ops/simnode/breach.py", "from models.jobs import Job"),
        ("workers/breach.py", "import ops.simnode"),
    ],
)
def test_a_breach_is_found(file: str, line: str, tmp_path: Path) -> None:
    for room in ("models", "producers", "workers", "ops"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__", "docs"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / file).write_text(line + "\n")
    ran = contracts(tmp_path)
    assert ran.returncode == 1
    assert "BROKEN" in ran.stdout
