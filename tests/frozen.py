"""Processes that stand still, as on a machine that swaps or is suspended."""

import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path


def freeze(pid: int, database: Path) -> None:
    """SIGSTOP, but not in the middle of a transaction: nobody can take SQLite's lock from a stopped process (models/database.py)."""
    _stop(pid)
    while not _is_free(database, within_s=1):
        os.kill(pid, signal.SIGCONT)
        assert _is_free(database, within_s=20), "somebody else keeps SQLite's lock"
        _stop(pid)


def _stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    while not _stands_still(pid):
        time.sleep(0.001)


def _stands_still(pid: int) -> bool:
    """All its threads do."""
    try:
        return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in Path(f"/proc/{pid}/task").glob("*/stat"))
    except OSError:  # one has ended at this moment
        return False


def _is_free(database: Path, *, within_s: float) -> bool:
    with closing(sqlite3.connect(database, timeout=within_s)) as connection:
        try:
            connection.execute("begin immediate")
        except sqlite3.OperationalError:
            return False
    return True
