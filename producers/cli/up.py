"""`vzq up`: a whole house on this machine, in the foreground until Ctrl-C."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from models.settings import Settings
from producers.cli import door
from producers.cli.empty import folder
from producers.cli.failures import NOT_REACHED, REFUSED
from producers.cli.screen import say, warn
from producers.cli.ssh_key import management_key
from producers.embedded.bring_up import CannotStartError, Embedded, StoppedError, Wanted
from producers.embedded.redis_server import NoRedisError
from producers.embedded.state_folder import HeldError, StateFolder, UnusableError
from producers.embedded.stopping import Stopping

INTERRUPTED = 130
State = Annotated[Path | None, typer.Option("--state", help="State folder (VZQ_STATE).", parser=folder, metavar="DIR", show_default=False)]
Speed = Annotated[
    float | None,
    typer.Option("--speed", help="Latency of the simulated nodes: 1 is that of real ones, 0.1 a tenth of it.", min=0, show_default="0.1"),
]


def up(
    lab: Annotated[int, typer.Option("--lab", metavar="N", help="Simulated nodes to start and take into the fleet.", min=0, max=500)] = 0,
    state: State = None,
    speed: Speed = None,
    workers: Annotated[int, typer.Option("--workers", help="Worker processes.", min=1, max=64)] = 1,
) -> None:
    """Bring up Redis, service and worker on this machine, and simulated nodes with --lab; Ctrl-C stops them in order."""
    with running(state=state, lab=lab, speed=speed, workers=workers) as (embedded, stopping):
        say(f"ready in {age_s():.1f} s")
        for line in next_steps(embedded):
            say(line)
        embedded.tend()
        say("stopping: workers give back what they have; Ctrl-C again kills everything at once")
    if stopping.at_once():
        warn("killed; what was going on is taken up again at the next start")
        raise typer.Exit(INTERRUPTED)
    say("stopped")


def age_s() -> float:
    """How long ago this process was started: what the one who started it has waited, imports and all."""
    started = float(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


@contextmanager
def running(
    *, state: Path | None, lab: int, speed: float | None, workers: int, quiet: bool = False, **ports: str
) -> Iterator[tuple[Embedded, Stopping]]:
    """A house that works, for the length of the block; what keeps it from coming up becomes a sentence and an exit code."""
    if state is not None:
        os.environ["VZQ_STATE"] = str(state.absolute())
    settings = door.settings()
    folder = StateFolder(settings.state)
    try:
        folder.take()
    except HeldError as error:
        warn(error)
        raise typer.Exit(REFUSED) from None
    except UnusableError as error:
        warn(error)
        raise typer.Exit(NOT_REACHED) from None
    with Stopping() as stopping:
        try:
            _make_keys(settings)
            metrics = {name: os.environ.get(f"VZQ_{name.upper()}", "") for name in ("api", "service_metrics", "worker_metrics")} | ports
            wanted = Wanted(settings, lab=lab, speed=speed, workers=workers, **{name: value for name, value in metrics.items() if value})
            embedded = Embedded(wanted, folder, stopping, say=_unsaid if quiet else say)
            try:
                _start(embedded)
                yield embedded, stopping
            finally:
                embedded.stop()
        finally:
            folder.leave()


def next_steps(embedded: Embedded) -> list[str]:
    """How to go on from here, to copy and paste."""
    state = embedded.house.settings.state.absolute()
    lines = [f"state    {state} (logs below it)"]
    lines.append(f"page     http://{os.environ.get('VZQ_API') or Wanted.api}/ (and the API below /v1); it opens to a token:")
    lines.append("         vzq token create me --scope operate")
    if not embedded.nodes:
        lines.append("next     vzq key, then vzq node add NAME --host HOST; or start with --lab 3 to try it on simulated nodes")
        return lines
    lines.append("next     in another shell:")
    if os.environ.get("VZQ_STATE"):
        lines.append(f"         export VZQ_STATE={state}")
    lines.append("         vzq order create --plan small --template debian-12-x86_64-minbase --hostname web1.example.net --wait")
    return lines


def _start(embedded: Embedded) -> None:
    try:
        embedded.start()
    except (CannotStartError, NoRedisError) as error:
        warn(error)
        raise typer.Exit(NOT_REACHED) from None
    except StoppedError:
        warn("stopped before it was ready")
        raise typer.Exit(INTERRUPTED) from None


def _make_keys(settings: Settings) -> None:
    door.found_key(settings)
    file = settings.ssh_key_file
    door.make_folder(file.absolute().parent)
    try:
        management_key(file)
    except (OSError, ValueError) as error:
        raise door.Unusable(f"{file} cannot be used as a private key: {error}") from None


def _unsaid(_text: str) -> None:
    pass
