"""`vzq restore`: bring a house back from a backup, into an empty database or in place of a stopped one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from models.database import Database
from models.settings import Settings
from producers.backup.archive import Archive
from producers.backup.load import Restored, fits, holds_a_house
from producers.backup.load import restore as load
from producers.backup.stopped import until_silent
from producers.cli import door
from producers.cli.backup import keys_of
from producers.cli.options import By, Json, asker
from producers.cli.progress import Progress
from producers.cli.screen import as_json, facts, say, span, warn
from producers.embedded.state_folder import HeldError, StateFolder, UnusableError
from producers.refusals import Refusal


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `vzq backup` wrote.")],
    replace: Annotated[bool, typer.Option("--replace", help="In place of the house that is there; what it knows is lost.")] = False,
    by: By = "",
    json: Json = False,
) -> None:
    """Put a backup back. Service and workers must be stopped; says what to do next. Nothing is changed where it is refused."""
    door.insist_here()
    chosen = door.settings()
    archive = Archive(file)
    fits(archive)
    with _alone(chosen):
        database = Database(chosen.database_url)
        try:
            if database.on_sqlite and database.engine.url.database:
                door.make_folder(Path(database.engine.url.database).parent)
            if holds_a_house(database) and not replace:
                raise Refusal("there is a house in this database already; restore into an empty one, or stop it and say --replace")
            until_silent(database, say=warn)
            restored = load(database, archive, replace=replace, by=asker(by), progress=Progress())
            with database.read() as session:
                age = database.now(session) - archive.header.made_at
        finally:
            database.close()
        keys = _put_keys(archive, chosen)
    steps = _next(restored, chosen)
    told, aftermath = archive.header, restored.aftermath
    if json:
        counts = {"rows": sum(restored.rows.values()), "tables": restored.rows, "jobs_waiting": aftermath.waiting, "jobs_stuck": aftermath.stuck}
        counts |= {"campaigns_paused": aftermath.campaigns}
        lost = {"made_at": told.made_at, "lost_seconds": round(age.total_seconds()), "token": aftermath.token, "nodes": aftermath.nodes, "keys": keys}
        as_json({"file": str(file), **counts, **lost, "next": steps})
        return
    facts([
        ("restored", f"{sum(restored.rows.values())} rows as of {told.made_at:%Y-%m-%d %H:%M:%S} UTC; the {span(age)} since then are lost"),
        ("jobs", f"{aftermath.waiting} were open and wait again, {aftermath.stuck} are stuck: vzq job list --state open"),
        ("nodes", f"{', '.join(aftermath.nodes) or 'none'}: each is looked at before it gets any work"),
        ("keys", ", ".join(keys)),
    ])  # fmt: skip
    for number, step in enumerate(steps, start=1):
        say(f"{number}. {step}")


@contextmanager
def _alone(chosen: Settings) -> Iterator[None]:
    """No `vzq up` on this state folder meanwhile."""
    folder = StateFolder(chosen.state)
    try:
        folder.take()
    except HeldError as error:
        raise Refusal(str(error)) from None
    except UnusableError as error:
        raise door.Unusable(str(error)) from None
    try:
        yield
    finally:
        folder.leave()


def _put_keys(archive: Archive, chosen: Settings) -> list[str]:
    """Keys that are in the backup, where there are none; what is there is never overwritten."""
    told = []
    places = keys_of(chosen)
    for name, content in archive.files().items():
        path = places.get(name)
        if path is None:
            continue
        door.make_folder(path.absolute().parent)
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                out.write(content)
            told.append(f"{path} written")
        except FileExistsError:
            told.append(f"{path} left as it is" + ("" if path.read_text() == content else ", THE BACKUP HAS ANOTHER ONE"))
    return told


def _next(restored: Restored, chosen: Settings) -> list[str]:
    """How to go on from here, in this order."""
    steps = []
    if not chosen.key_file.exists() and restored.aftermath.sealed:
        steps.append(f"put the old secret key back: {chosen.key_file} (else passwords of open jobs and webhook secrets cannot be read)")
    if not chosen.ssh_key_file.exists():
        steps.append(f"put the old ssh key back: {chosen.ssh_key_file}, or make a new one (vzq key) and add it on every node")
    if restored.aftermath.waiting:
        steps.append("vzq job list --state open: cancel what is out of date; a job whose container was worked on since gets stuck")
    if restored.aftermath.campaigns:
        steps.append(f"{restored.aftermath.campaigns} campaigns that ran are paused; let each go on when you have seen what it did since")
    return [
        *steps,
        "start the service and the workers (embedded: vzq up); they look at each node first",
        "vzq finding list: what the nodes have and the books have not, and the other way round",
        "vzq finding repair --all --kind unknown-container --dry-run, then without --dry-run: takes in what was made since",
        "only then let billing systems order again: orders of the lost time are not known by their keys any more",
    ]
