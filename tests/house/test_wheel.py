"""The wheel carries all that `vzq` needs, and works from a virtual environment of its own."""

import os
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CARRIED = [
    "models/migrations/env.py",
    "models/migrations/versions/pre_0001_the_first_tables.py",
    "models/migrations/versions/pre_0002_whose_request_it_was.py",
    "ops/samples/orders.jsonl",
    "ops/simnode/__main__.py",
    "producers/cli/menu.py",
    "producers/embedded/tied.py",
    "producers/page/static/htmx.min.js",
    "producers/page/static/vzq.css",
    "producers/page/templates/base.html",
    "workers/main.py",
    "workers/node/vzq-ct",
    "workers/node/vzq-run",
]
ROOMS = {"models", "ops", "producers", "workers"}


def run(*argv: str | Path, cwd: Path, path: str = os.environ["PATH"]) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VZQ_", "PYTHON"))}
    ran = subprocess.run(argv, cwd=cwd, env=kept | {"PATH": path}, capture_output=True, text=True, timeout=110, check=False)
    assert ran.returncode == 0, ran
    return ran.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return next(folder.glob("vzq-*.whl"))


@pytest.fixture(scope="module")
def programs(wheel: Path) -> Path:
    """The bin folder of a fresh environment: our wheel is installed there, what it depends on is lent by ours."""
    home = wheel.parent / "venv"
    venv.create(home, symlinks=True)
    run(sys.executable, "-m", "pip", "--python", home / "bin" / "python", "install", "--no-deps", "--no-index", wheel, cwd=wheel.parent)
    packages = next(home.glob("lib/python*/site-packages"))
    (packages / "lent.pth").write_text("\n".join(site.getsitepackages()) + "\n")  # the .pth of an editable vzq in there is not followed
    return home / "bin"


def test_it_carries_the_rooms_the_simulated_node_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert set(CARRIED) <= names
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == ROOMS
    assert {name.split("/")[1] for name in names if name.startswith("ops/")} == {"__init__.py", "samples", "simnode"}
    assert not [name for name in names if name.endswith((".pyc", ".sqlite", ".gitkeep"))]


def test_the_commands_answer_from_there(programs: Path, tmp_path: Path) -> None:
    assert "up" in run(programs / "vzq", "--help", cwd=tmp_path)
    assert "--nodes" in run(programs / "python", "-m", "ops.simnode", "--help", cwd=tmp_path)
    assert "--site" in run(programs / "vzq-worker", "--help", cwd=tmp_path)
    where = run(
        programs / "python",
        "-c",
        "import models, producers, workers, ops; print(models.__file__, producers.__file__, workers.__file__, ops.__file__)",
        cwd=tmp_path,
    )
    assert where.count(str(programs.parent)) == len(ROOMS)


def test_the_demo_runs_from_there_even_beside_a_folder_called_models(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("raise ImportError('not ours')\n")
    said = run(programs / "vzq", "demo", "orders", "--orders", "2", "--nodes", "1", "--speed", "0", cwd=tmp_path)
    assert said.splitlines()[-1] == "2 of 2 orders done, 2 containers running, 0 lost, 0 doubled"
