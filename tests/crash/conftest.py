"""Where crash cases are played."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.crash.crowd import QUICKEST
from tests.crash.house import Ground


@pytest.fixture
def ground(sqlite_template: Path) -> Iterator[Ground]:
    """A database of its own, in memory where there is such a folder."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory(dir=QUICKEST if QUICKEST.is_dir() else None, prefix="vzq-crash-") as folder:
        path = Path(folder) / "vzq.sqlite"
        shutil.copy(sqlite_template, path)
        ground = Ground(path, Path(folder))
        yield ground
        ground.database.close()
    structlog.configure(**before)
