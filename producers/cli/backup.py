"""`vzq backup`: everything the database holds, in one file, while the house runs."""

from pathlib import Path
from typing import Annotated

import typer

from models.settings import Settings
from producers.backup.dump import CannotWrite, write_backup
from producers.cli import door
from producers.cli.options import Json
from producers.cli.progress import Progress
from producers.cli.screen import as_json, facts, warn

To = Annotated[
    str | None, typer.Argument(metavar="[FILE]", help="File or folder; a name with the time in this folder if left out.", show_default=False)
]


def backup(
    file: To = None,
    with_key: Annotated[bool, typer.Option("--with-key", help="The secret key and this host's ssh key, too: keep such a file like a key.")] = False,
    json: Json = False,
) -> None:
    """Write a backup, read it again and say what is in it. Not in it unless asked for: the secret key and the ssh key."""
    with door.database() as database:
        chosen = door.settings()
        keys = keys_of(chosen) if with_key else {}
        missing = [str(path) for path in keys.values() if not path.exists()]
        if missing:
            raise door.Unusable(f"--with-key: {', '.join(missing)} is not there")
        with database.read() as session:
            now = database.now(session)
        target = Path(file) if file is not None else Path.cwd()
        try:
            if target.is_dir():
                target /= f"vzq-{now:%Y%m%dT%H%M%SZ}.backup"
            written = write_backup(database, target, keys=keys, progress=Progress())
        except CannotWrite as error:
            raise door.Unusable(str(error)) from None
        except OSError as error:
            raise door.Unusable(f"{target} cannot be written: {error.strerror}") from None
    header = written.header
    rows = sum(header.rows.values())
    if json:
        told = {"file": str(target), "bytes": written.bytes, "seconds": round(written.seconds, 3), "rows": rows, "tables": dict(header.rows)}
        as_json(told | {"made_at": header.made_at, "schema": header.schema, "keys": list(header.files)})
        return
    facts([
        ("backup", target),
        ("as of", f"{header.made_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("size", f"{written.bytes / 1024:.0f} KiB, {rows} rows, written and verified in {written.seconds:.1f} s"),
        ("in it", "jobs with their history, containers, addresses, nodes with their pinned host keys, plans, pools, tokens, webhooks, audit"),
        ("not in it", "" if keys else f"{chosen.key_file} and {chosen.ssh_key_file}: keep copies of them elsewhere (or --with-key)"),
    ])  # fmt: skip
    if keys:
        warn("the keys are in it: whoever reads it opens every sealed password and reaches every node")


def keys_of(chosen: Settings) -> dict[str, Path]:
    """The files that `--with-key` is about, by the name they have in a backup."""
    public = chosen.ssh_key_file.with_name(chosen.ssh_key_file.name + ".pub")
    return {"secret.key": chosen.key_file, "ssh": chosen.ssh_key_file, "ssh.pub": public}
