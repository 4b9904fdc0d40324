"""Write a backup: every table in one snapshot, while everything runs."""

import gzip
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from time import monotonic

from sqlalchemy import Connection, MetaData, Table, func, select
from sqlmodel import Session, SQLModel, col

import models
from models.database import Database
from models.house import Counter
from producers.backup.archive import CHUNK, Archive, Header, Writer
from producers.refusals import Refusal

PASSING = frozenset({"worker", "beat", "credit", "login", "ticket", "seat"})  # of the processes and people of this hour, not of the house
LEVEL = 4  # of compression: three times as fast as the default and nearly as small
Progress = Callable[[str, int, int], None]  # what, rows done, rows in all


class CannotWrite(Exception):
    """The file cannot be written; the sentence says why."""


@dataclass(frozen=True)
class Written:
    """A backup that was read again and found whole."""

    header: Header
    bytes: int
    seconds: float


def write_backup(database: Database, path: Path, *, keys: Mapping[str, Path], progress: Progress = lambda *_: None) -> Written:
    """Under its name only once it is whole and verified; raises Refusal where there is such a file, CannotWrite."""
    if path.exists():
        raise Refusal(f"{path} exists already; a backup is never overwritten")
    begun, draft = monotonic(), path.with_name(f".{path.name}.{os.getpid()}")
    try:
        header = _write(database, draft, keys, progress)
        progress("reads it again", 0, 0)
        archive = Archive(draft)
        archive.check()
        if archive.header != header:
            raise CannotWrite(f"{path} reads otherwise than it was written; see to that disk")
        size = draft.stat().st_size
        draft.rename(path)
        _settle(path.parent)
    except OSError as error:
        raise CannotWrite(f"{path} cannot be written: {error.strerror or error}; nothing is left of it") from None
    finally:
        with suppress(OSError):
            draft.unlink()
    return Written(header, size, monotonic() - begun)


def known_tables() -> frozenset[str]:
    """The names of all tables that this program has, whichever of its modules were loaded so far."""
    for module in iter_modules(models.__path__):
        if not module.ispkg:
            import_module(f"models.{module.name}")
    return frozenset(SQLModel.metadata.tables)


def our_tables(connection: Connection, *, names: frozenset[str] | None = None) -> list[Table]:
    """The tables of this house that are there, as they are there, each before those that point at it."""
    ours = names or known_tables()
    found = MetaData()
    found.reflect(connection, only=lambda name, _: name in ours)
    return found.sorted_tables


def _write(database: Database, draft: Path, keys: Mapping[str, Path], progress: Progress) -> Header:
    with database.snapshot() as connection, os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        tables = [table for table in our_tables(connection) if table.name not in PASSING]
        header = _header(database, connection, tables, tuple(keys))
        total, done = sum(header.rows.values()), 0
        with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=LEVEL, filename="") as out:
            writer = Writer(out, header)
            writer.begin()
            for name, key in keys.items():
                writer.file(name, key.read_text())
            for table in tables:
                writer.table(table.name)
                query = select(table).order_by(*table.primary_key.columns)
                for rows in connection.execute(query, execution_options={"yield_per": CHUNK}).partitions():
                    writer.rows([tuple(row) for row in rows])
                    done += len(rows)
                    progress(table.name, done, total)
            writer.end()
        file.flush()
        os.fsync(file.fileno())
    return header


def _header(database: Database, connection: Connection, tables: list[Table], files: tuple[str, ...]) -> Header:
    token = select(col(Counter.value)).where(col(Counter.name) == "token")
    with Session(connection, join_transaction_mode="create_savepoint") as session:
        made_at = database.now(session)
    return Header(
        made_at=made_at,
        schema=database.revision(connection) or "",
        database=connection.dialect.name,
        columns={table.name: [column.name for column in table.columns] for table in tables},
        rows={table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables},
        token=connection.execute(token).scalar() or 0,
        files=list(files),
    )


def _settle(folder: Path) -> None:
    """The new name outlives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
