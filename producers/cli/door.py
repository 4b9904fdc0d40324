"""Opens the house for one command: settings from the environment, the database at the right schema, intake and bell."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError
from sqlalchemy import inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from models.database import Database, SchemaError
from models.settings import Settings
from models.vault import make_key_file

if TYPE_CHECKING:
    from producers.house import House


class Unusable(Exception):
    """Something the house stands on cannot be used; the text says what and what to do."""


def settings() -> Settings:
    """What the environment says; raises Unusable."""
    try:
        return Settings()
    except ValidationError as error:
        named = ", ".join(f"VZQ_{str(problem['loc'][0]).upper()}: {problem['msg']}" for problem in error.errors(include_input=False))
        raise Unusable(f"the environment cannot be used: {named}") from None


@contextmanager
def database() -> Iterator[Database]:
    """For commands that read, or write without placing orders."""
    insist_here()
    chosen = settings()
    opened = Database(chosen.database_url)
    try:
        _prepare(opened)
        yield opened
    finally:
        opened.close()


@contextmanager
def house() -> "Iterator[House]":
    """For commands that place orders."""
    insist_here()
    import structlog  # noqa: PLC0415 - with dramatiq and redis 0.3 s that commands which only read need not pay

    from producers.house import open_house  # noqa: PLC0415

    structlog.configure(  # a command speaks in sentences; only what is wrong in the log's own way may come between them
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING), logger_factory=structlog.PrintLoggerFactory(sys.stderr)
    )
    opened = open_house(settings())
    try:
        _prepare(opened.database)
        yield opened
    finally:
        opened.close()


def elsewhere() -> bool:
    """A house elsewhere is meant, over its HTTP API."""
    return bool(os.environ.get("VZQ_URL"))


def insist_here() -> None:
    """For commands that cannot do with a house elsewhere; raises Unusable."""
    if elsewhere():
        raise Unusable(f"this command works on the house itself, not over {os.environ['VZQ_URL']}; leave out --url and VZQ_URL")


def make_folder(path: Path) -> None:
    """The folder, for nobody else's eyes; raises Unusable."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unusable(f"the state folder {path} cannot be made: {error.strerror}; choose another with --state or VZQ_STATE") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise Unusable(f"the state folder {path} cannot be written by this user; choose another with --state or VZQ_STATE, or change its owner")


def shown_url() -> str:
    """The database's URL without its password."""
    try:
        return make_url(Settings().database_url).render_as_string(hide_password=True)
    except (ArgumentError, ValidationError):
        return "(unreadable URL)"


def _there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:  # a name that no disk holds
        return False


def _prepare(opened: Database) -> None:
    """The house must be there, and have this program's schema; raises Unusable."""
    file = opened.engine.url.database if opened.on_sqlite else None
    if file is not None and not _there(Path(file)):
        raise Unusable(f"no house here: there is no {file}; `vzq up` makes one (`vzq upgrade` only its database), or correct --state or VZQ_STATE")
    try:
        opened.check_schema()
    except SchemaError:
        if not opened.on_sqlite or inspect(opened.engine).get_table_names():
            raise
        opened.upgrade()  # another command is founding the house at this moment; this waits for it


def found_key(chosen: Settings) -> None:
    """The key that passwords are sealed with, unless one is given (VZQ_SECRET_KEY_FILE) or there already; raises Unusable."""
    if chosen.secret_key_file is not None:
        return
    make_folder(chosen.key_file.parent)
    try:
        make_key_file(chosen.key_file)
    except OSError as error:
        raise Unusable(f"{chosen.key_file} cannot be written: {error.strerror}; choose another folder with --state or VZQ_STATE") from None


def upgrade(chosen: Settings) -> None:
    """Bring the schema up to date, founding an embedded house that is not there yet."""
    opened = Database(chosen.database_url)
    file = opened.engine.url.database if opened.on_sqlite else None
    try:
        if file is not None:
            make_folder(Path(file).parent)
        opened.upgrade()
    finally:
        opened.close()
    if file is not None:
        found_key(chosen)
