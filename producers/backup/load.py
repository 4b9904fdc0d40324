"""Put a backup into a database that is empty, or is emptied for it: all of it in one transaction, or nothing."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, DateTime, Table, func, select, text
from sqlmodel import Session

from models.database import Database, revisions
from producers.backup.afterwards import Aftermath, afterwards
from producers.backup.archive import Archive
from producers.backup.dump import PASSING, Progress, known_tables, our_tables
from producers.refusals import BadOrder, Refusal

MAY_BE_THERE = PASSING | {"counter"}  # rows in these do not make a house


@dataclass(frozen=True)
class Restored:
    """What is there now."""

    rows: dict[str, int]
    aftermath: Aftermath


def fits(archive: Archive) -> None:
    """The backup is whole and this program knows its schema; raises BadOrder or Refusal. Touches no house."""
    header = archive.header
    if header.schema not in revisions():
        raise Refusal(f"{archive.path} has schema {header.schema}, which this vzq does not know; restore with the vzq that wrote it, or a newer one")
    archive.check()
    with tempfile.TemporaryDirectory(prefix="vzq-restore-") as folder:
        scratch = Database(f"sqlite:///{Path(folder) / 'scratch.sqlite'}")
        try:
            with scratch.rebuild() as connection:
                scratch.migrate(connection, header.schema)
                there = {table.name: {column.name for column in table.columns} for table in our_tables(connection, names=frozenset(header.columns))}
        finally:
            scratch.close()
    for name, columns in header.columns.items():
        if set(columns) != there.get(name):
            raise BadOrder({"FILE": f"{archive.path}: table {name} is not as schema {header.schema} has it; it is of a vzq that was never released"})


def holds_a_house(database: Database) -> bool:
    """There are rows that a restore would take the place of."""
    with database.snapshot() as connection:
        return _inhabited(connection)


def restore(database: Database, archive: Archive, *, replace: bool, by: str, progress: Progress = lambda *_: None) -> Restored:
    """Load what `fits`; raises Refusal for a house that is there already unless it is to be replaced."""
    header = archive.header
    with database.rebuild() as connection:
        if _inhabited(connection) and not replace:
            raise Refusal("there is a house in this database already; restore into an empty one, or stop it and say --replace")
        for table in reversed(our_tables(connection, names=known_tables() | frozenset(header.columns) | {"alembic_version"})):
            table.drop(connection)
        database.migrate(connection, header.schema)
        tables = {table.name: table for table in our_tables(connection, names=frozenset(header.columns))}
        total, done = sum(header.rows.values()), 0
        for name, rows in archive.tables():
            connection.execute(tables[name].insert(), _typed(tables[name], header.columns[name], rows, naive=database.on_sqlite))
            done += len(rows)
            progress(name, done, total)
        loaded = {name: connection.execute(select(func.count()).select_from(table)).scalar_one() for name, table in tables.items()}
        if loaded != dict(header.rows):
            raise BadOrder({"FILE": f"{archive.path}: not every row arrived; nothing was changed"})
        _count_on(connection, list(tables.values()))
        database.migrate(connection)
        with Session(connection, expire_on_commit=False, join_transaction_mode="create_savepoint") as session, session.begin():
            aftermath = afterwards(database, session, header, by=by)
    return Restored(loaded, aftermath)


def _inhabited(connection: Connection) -> bool:
    tables = [table for table in our_tables(connection) if table.name not in MAY_BE_THERE]
    return any(connection.execute(select(text("1")).select_from(table).limit(1)).first() is not None for table in tables)


def _typed(table: Table, columns: Sequence[str], rows: list[list[Any]], *, naive: bool) -> list[dict[str, Any]]:
    """As the driver of this database wants them: SQLite keeps moments without a zone."""
    moments = {name for name in columns if isinstance(table.columns[name].type, DateTime)}

    def value(name: str, given: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold
        if name not in moments or given is None:
            return given
        moment = datetime.fromisoformat(given)
        return moment.replace(tzinfo=None) if naive else moment

    return [{name: value(name, given) for name, given in zip(columns, row, strict=True)} for row in rows]


def _count_on(connection: Connection, tables: Sequence[Table]) -> None:
    """PostgreSQL's sequences go on behind the highest number that was put back; SQLite looks by itself."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables:
        if [column.name for column in table.primary_key.columns] != ["id"]:
            continue
        sequence = connection.execute(text("select pg_get_serial_sequence(:name, 'id')"), {"name": f'"{table.name}"'}).scalar()
        if sequence is not None:
            highest = connection.execute(select(func.max(table.columns["id"]))).scalar()
            connection.execute(
                text("select setval(:sequence, :number, :used)"), {"sequence": sequence, "number": highest or 1, "used": bool(highest)}
            )
