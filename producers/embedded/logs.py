"""The children's log files: one a program, written by the program itself, kept from growing without end."""

import os
import shutil
from pathlib import Path
from typing import BinaryIO

CAP_BYTES = 10_000_000  # then the file moves to NAME.log.1; so two of these are the most a program takes
LOOK_EVERY_S = 5.0
TAIL_BYTES = 4096


def open_for(path: Path) -> BinaryIO:
    """Open for a child's standard output; in append mode, so that cutting the file leaves no hole."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb")


def put_aside(path: Path) -> None:
    """Keep what an earlier run wrote as NAME.log.1."""
    if path.exists():
        path.replace(_older(path))


def cap(path: Path) -> None:
    """Move what a running program wrote to NAME.log.1 when it is too much; lines written in that moment may be lost."""
    if path.exists() and path.stat().st_size > CAP_BYTES:
        shutil.copyfile(path, _older(path))
        os.truncate(path, 0)


def last_line(path: Path) -> str:
    """The last line that says something, cut to fit a status line; empty when there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        lines = file.read().decode(errors="replace").split("\n")
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")


def _older(path: Path) -> Path:
    return path.with_name(path.name + ".1")
