"""Small programs that behave well or badly, and ways to ask about processes."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from producers.embedded.supervisor import Program, Supervisor

SH = "/bin/sh"


def shell(name: str, script: str, *, patience_s: float = 5.0) -> Program:
    return Program(name, [SH, "-c", script], patience_s=patience_s)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition: Callable[[], object], *, within_s: float = 20.0, supervisor: Supervisor | None = None) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        if supervisor is not None:
            supervisor.look()
        time.sleep(0.01)


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VZQ_")}
    root = str(Path(__file__).resolve().parents[2])
    return kept | {"PYTHONPATH": root} | more
