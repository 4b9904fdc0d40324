"""The database: how a transaction is opened, what time it is there, and who holds the house's locks.

Writing transactions on SQLite begin IMMEDIATE (read-then-write under a deferred BEGIN fails with "database is
locked" in spite of any busy timeout, queue-facts §3.1); reading ones stay deferred. On PostgreSQL rows that are
going to be written are read FOR UPDATE by whoever writes them.
"""

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.resources import files
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, inspect, select, text
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session

from models.clock import Clock, SystemClock

ASKED = "vzq_asked"  # in the session: the server's time and when it was asked
MIGRATIONS = files("models") / "migrations"
BUSY_MS = 20_000  # how long a writer waits for its turn on SQLite
IDLE = timedelta(seconds=10)  # for so long a transaction on PostgreSQL may stand still; shorter than a lease
AWAY = (OperationalError, InterfaceError, InternalError, PoolTimeout)  # the database does not answer, not soon enough, or took its connection back


UNLIMITED = "set local idle_in_transaction_session_timeout = 0"  # files are read or written in between


class SchemaError(Exception):
    """The database's schema is not the one this program was written for."""


class Database:
    """One database, SQLite or PostgreSQL.

    `clock` is the time on SQLite, which has no server and means one host. On PostgreSQL the server's own
    clock_timestamp() is the time, unless a test hands in a clock of its own with `own_clock=True`. There, a process that is
    stopped in the middle of a transaction loses its connection after `idle`, so that what it has locked is free again; SQLite
    knows no such thing.
    """

    def __init__(self, url: str, *, clock: Clock | None = None, own_clock: bool = False, pool_size: int = 10, idle: timedelta = IDLE) -> None:
        self.url = url
        self._clock = clock or SystemClock()
        self.on_sqlite = url.startswith("sqlite")
        self._ask_server = not self.on_sqlite and not own_clock
        if self.on_sqlite:
            self.engine = create_engine(url, connect_args={"timeout": BUSY_MS / 1000, "check_same_thread": False}, pool_size=pool_size)
            event.listen(self.engine, "connect", _set_pragmas)
            event.listen(self.engine, "begin", _begin)
        else:
            self.engine = create_engine(url, pool_size=pool_size, pool_pre_ping=True, connect_args={"connect_timeout": 10})
            event.listen(self.engine, "connect", partial(_limit_idling, idle))
        self._writing: Engine = self.engine.execution_options(vzq_writes=True)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction that writes; commits at the end, rolls back when anything is raised."""
        with Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One transaction that only reads; never blocks a writer."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    def now(self, session: Session) -> datetime:
        """The database's time, the only one that leases know; on PostgreSQL the moment of the call, not of the transaction's start.

        The server is asked once a transaction; from there the monotonic clock goes on, as precise and a round trip less.
        """
        if not self._ask_server:
            return self._clock.now()
        if ASKED not in session.info:
            before = self._clock.monotonic()
            moment: datetime = session.scalar(select(func.clock_timestamp()))  # type: ignore[assignment]
            session.info[ASKED] = moment.astimezone(UTC), before
        asked, at = session.info[ASKED]
        now: datetime = asked + timedelta(seconds=self._clock.monotonic() - at)
        return now

    def lock(self, session: Session, name: str) -> None:
        """Keep everybody else who asks for `name` waiting until this transaction ends. On SQLite every writer waits anyway."""
        if not self.on_sqlite:
            session.execute(text("select pg_advisory_xact_lock(:number)"), {"number": _lock_number(name)})

    def upgrade(self) -> None:
        """Bring the schema up to date; safe to repeat, and for several processes at once. Raises SchemaError when a newer vzq was here."""
        with self.rebuild() as connection:
            _not_newer(_revision(connection))
            self.migrate(connection)

    @contextmanager
    def rebuild(self) -> Iterator[Connection]:
        """One transaction that may change the schema, while nobody else does."""
        with self._writing.begin() as connection:
            if not self.on_sqlite:
                connection.execute(text(UNLIMITED))
                connection.execute(text("select pg_advisory_xact_lock(:number)"), {"number": _lock_number("schema")})
            yield connection

    def migrate(self, connection: Connection, revision: str = "head") -> None:
        """Bring the schema up to a revision, within the caller's transaction (`rebuild`)."""
        from alembic import command  # noqa: PLC0415 - a tenth of a second, of every command that migrates nothing
        from alembic.config import Config  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Everything as it is at one moment, however long it is read; keeps nobody from writing."""
        with self.engine.connect() as connection:
            if not self.on_sqlite:
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)  # noqa: PLW2901
            with connection.begin():
                if not self.on_sqlite:
                    connection.execute(text(UNLIMITED))
                yield connection

    def check_schema(self) -> None:
        """Raises SchemaError when `upgrade` has not been run, or when a newer vzq has changed the schema."""
        with self.engine.connect() as connection:
            found = _revision(connection)
        _not_newer(found)
        wanted = revisions()[-1]
        if found != wanted:
            raise SchemaError(f"the database is at schema {found or 'none'}, this vzq needs {wanted}; run `vzq upgrade`")

    @staticmethod
    def revision(connection: Connection) -> str | None:
        """The revision of the schema that is there; None where there is none."""
        return _revision(connection)

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def _limit_idling(idle: timedelta, connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own type
    connection.execute(f"set idle_in_transaction_session_timeout = {round(idle.total_seconds() * 1000)}")
    connection.commit()


def _set_pragmas(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own type
    connection.isolation_level = None  # SQLAlchemy's `begin` event below says BEGIN, not the driver
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_MS}", "foreign_keys=ON"):
        cursor.execute(f"pragma {pragma}")  # FULL: NORMAL may lose the last commits at power loss
    cursor.close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("vzq_writes", False)
    if not writes or not _had_turn(connection.connection.driver_connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _had_turn(connection: Any) -> bool:  # noqa: ANN401 - the driver's own type
    """BEGIN IMMEDIATE, asking every millisecond: SQLite's own waiting sleeps up to 100 ms at a time and lets newcomers pass."""
    connection.execute("pragma busy_timeout=1")
    try:
        for _ in range(BUSY_MS):
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    return False  # asked again through SQLAlchemy, which gives the error its name
            else:
                return True
        return False
    finally:
        connection.execute(f"pragma busy_timeout={BUSY_MS}")


def _lock_number(name: str) -> int:
    return 0x767A_0000_0000 + zlib.crc32(name.encode())  # "vz", so that other users of the server are not met


def revisions() -> list[str]:
    """The schema's whole history that this program knows, oldest first: files are named `REVISION_what_it_does.py`, a revision `pre_0001`."""
    names = sorted(file.name for file in (MIGRATIONS / "versions").iterdir() if file.name.endswith(".py"))
    return ["_".join(name.split("_")[:2]) for name in names]


def _not_newer(found: str | None) -> None:
    if found is not None and found not in revisions():
        raise SchemaError(f"the database is at schema {found}, which this vzq does not know: a newer vzq has been here; install that one")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("select version_num from alembic_version")).scalar()
