"""The stage of a demonstration: a house of its own with simulated nodes, gone afterwards unless something went wrong."""

import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from producers.cli.screen import say, warn
from producers.cli.up import INTERRUPTED, running
from producers.embedded.bring_up import Embedded, StoppedError

ENOUGH_S = 600.0  # then a demonstration is over, done or not


@dataclass
class Stage:
    """What is played on it; `good` says how it went."""

    embedded: Embedded
    good: bool = False


@contextmanager
def stage(*, nodes: int, speed: float | None, state: Path | None) -> Iterator[Stage]:
    """A house that works, for the length of the block. A throw-away folder is kept where the block does not leave it `good`."""
    folder, begun = state or Path(tempfile.mkdtemp(prefix="vzq-demo-")), time.monotonic()
    good = False
    try:
        with running(state=folder, lab=nodes, speed=speed, workers=1, api=_free(), service_metrics=_free(), worker_metrics=_free()) as (embedded, _):
            say(f"ready in {time.monotonic() - begun:.1f} s")
            played = Stage(embedded)
            yield played
            good = played.good
    except StoppedError:
        warn("stopped before the end")
        raise typer.Exit(INTERRUPTED) from None
    finally:
        if state is None and good:
            shutil.rmtree(folder, ignore_errors=True)
        elif state is None:
            warn(f"what happened is kept in {folder} (logs in {folder / 'logs'})")


def _free() -> str:
    """A free port, so that the demo runs beside a house that is up already."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{trial.getsockname()[1]}"
