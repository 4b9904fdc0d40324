"""Every test of vzq-run runs once a shell that nodes have as /bin/sh."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.box import BOOT, Box

SHELLS = ("dash", "bash", "busybox", "busybox with its own tools")
APPLETS = ("setsid", "mkdir", "head", "tail", "wc", "dd", "grep", "xargs", "find", "mv", "rm", "rmdir", "sleep", "cat")  # Debian's has no flock


@pytest.fixture(params=SHELLS)
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Box]:
    box = make_box(request.param, tmp_path)
    yield box
    box.clean_up()


@pytest.fixture
def dash_box(tmp_path: Path) -> Iterator[Box]:
    box = make_box("dash", tmp_path)
    yield box
    box.clean_up()


def make_box(shell: str, folder: Path) -> Box:
    program = shutil.which(shell.split(maxsplit=1)[0])
    if not program:
        pytest.skip(f"{shell} is not on this machine: vzq-run is NOT tested under it")
    bin_dir = folder / "bin"
    bin_dir.mkdir()
    for name in ("sh", *(APPLETS if "tools" in shell else ())):
        (bin_dir / name).symlink_to(program)
    root = folder / "root"
    root.mkdir()
    box = Box(root, [program, "sh"] if "busybox" in shell else [program], f"{bin_dir}:{os.environ['PATH']}")
    box.reboot(BOOT)
    return box
