"""`vzq service`, `worker`, `console`, `upgrade` and `key`: what is done on a management host itself."""

import os
import sys
from typing import Annotated

import typer

from producers.cli import complete
from producers.cli.options import Because, By, Json, asker
from producers.cli.screen import as_json, say, warn


def service() -> None:
    """Run the service: dispatcher, periodic orders, metrics. It upgrades the database and goes on until it is stopped."""
    _become("producers.service")


def worker(site: Annotated[str, typer.Option(help="Site whose nodes it serves.", envvar="VZQ_SITE")] = "main") -> None:
    """Run a worker on this management host: it carries jobs out over ssh and goes on until it is stopped."""
    _become("workers.main", "--site", site)


def console(
    container: Annotated[str, typer.Argument(metavar="CONTAINER", autocompletion=complete.containers, help="Id or vzctl name.")],
    because: Because = "",
    by: By = "",
) -> None:
    """Sit before a container: a shell inside it, from this management host. Who was inside and why is in the audit."""
    _become("workers.console", container, "--by", asker(by), "--because", because)


def upgrade(json: Json = False) -> None:
    """Bring the database schema up to date; safe to repeat, and while other processes run."""
    from producers.cli import door  # noqa: PLC0415 - `service` and `worker` become other programs and need none of it

    chosen = door.settings()
    door.upgrade(chosen)
    url = door.shown_url()
    as_json({"database": url, "schema": "current"}) if json else say(f"{url} is up to date")


def key(json: Json = False) -> None:
    """Print this management host's public ssh key, making one if there is none."""
    from producers.cli import door  # noqa: PLC0415 - as above
    from producers.cli.ssh_key import management_key  # noqa: PLC0415

    chosen = door.settings()
    file = chosen.ssh_key_file
    door.make_folder(file.absolute().parent)
    door.found_key(chosen)
    try:
        made, public, fingerprint = management_key(file)
    except (OSError, ValueError) as error:
        raise door.Unusable(f"{file} cannot be used as a private key: {getattr(error, 'strerror', None) or error}") from None
    if json:
        as_json({"file": str(file), "public_key": public, "fingerprint": fingerprint, "made": made})
        return
    say(public)
    warn(f"{'made' if made else 'found'} in {file.absolute()}; append it to root's authorized_keys on each node, then: vzq node add NAME --host HOST")


def _become(module: str, *args: str) -> None:
    """This process goes on as another program; the environment tells it where the house is."""
    sys.stdout.flush()
    try:
        os.execv(sys.executable, [sys.executable, "-P", "-m", module, *args])  # noqa: S606 - an argument list of our own
    except OSError as error:
        warn(f"{sys.executable} cannot be started: {error.strerror}")
        raise typer.Exit(5) from None
