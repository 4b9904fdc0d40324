"""One bench per shell."""

import shutil
from pathlib import Path

import pytest

from tests.openvz.bench import SHELLS, Bench, make_bench


@pytest.fixture(params=SHELLS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    if shutil.which(SHELLS[request.param][0]) is None:
        pytest.skip(f"{request.param} is not on this machine")
    return make_bench(tmp_path / "node", request.param)


@pytest.fixture
def one_bench(tmp_path: Path) -> Bench:
    """Where the shell does not matter."""
    return make_bench(tmp_path / "node", "dash")
