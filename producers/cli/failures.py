"""What went wrong, as a sentence for the operator and an exit code for the script that called."""

import errno
import getpass

from pydantic import ValidationError
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from models.database import SchemaError
from models.kinds import KINDS
from models.vault import VaultError
from producers.cli.door import Unusable, shown_url
from producers.cli.screen import drop_output, warn
from producers.refusals import BadOrder, KeyReused, Refusal

FAILED, BAD_INPUT, REFUSED, NOT_REACHED = 1, 2, 3, 5
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def report(error: Exception) -> int | None:
    """Say it on standard error; the exit code, or None for what is no operator's matter."""
    verdict = _refused(error) or _unusable(error) or _unwritten(error)
    if verdict is None:
        return None
    code, sentences = verdict
    for sentence in sentences:
        warn(sentence)
    return code


def _refused(error: Exception) -> tuple[int, list[str]] | None:
    """What was asked cannot be had."""
    match error:
        case BadOrder():
            return BAD_INPUT, [f"{field}: {what}" for field, what in error.problems.items()]
        case KeyReused():
            return BAD_INPUT, [str(error)]
        case ValidationError():
            return BAD_INPUT, complaints(error)
        case Refusal():
            return REFUSED, [f"refused: {error}"]
    return None


def _unusable(error: Exception) -> tuple[int, list[str]] | None:
    """What the house stands on is not there."""
    match error:
        case Unusable() | SchemaError() | VaultError():
            return NOT_REACHED, [str(error)]
        case ArgumentError() | NoSuchModuleError():
            return BAD_INPUT, [
                f"VZQ_DATABASE is no database URL ({_first_line(error)}); write sqlite:////FILE or postgresql+psycopg://USER@HOST/NAME"
            ]
        case ModuleNotFoundError() if error.name in {"psycopg", "psycopg2"}:
            return NOT_REACHED, [f"{error.name} is needed for the database {shown_url()}; install it with: pip install 'vzq[postgresql]'"]
        case IntegrityError():
            return NOT_REACHED, [f"somebody else wrote the same rows at this moment ({_first_line(error.orig or error)}); run the command again"]
        case DBAPIError() | PoolTimeout():
            return NOT_REACHED, [_database(error)]
    return None


def _unwritten(error: Exception) -> tuple[int, list[str]] | None:
    """The disk behind standard output is full; a file that is opened would have a name."""
    if not isinstance(error, OSError) or error.errno not in FULL or error.filename is not None:
        return None
    drop_output()
    return NOT_REACHED, [f"the output cannot be written ({error.strerror}); what was ordered stays ordered"]


def complaints(error: ValidationError) -> list[str]:
    """One line a field, without what was entered: it may be a password."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        field = ".".join(str(part) for part in problem["loc"] if part not in _UNION_PARTS)
        what = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{field}: {what}" if field else what)
    return list(dict.fromkeys(lines))


_UNION_PARTS = frozenset(KINDS)  # what pydantic adds to the place of an error to say which branch of a union it tried


def _database(error: DBAPIError | PoolTimeout) -> str:
    """Only what the database itself says, never the statement: its parameters are somebody's data."""
    said = _first_line(error.orig if isinstance(error, DBAPIError) and error.orig else error)
    url = shown_url()
    if url.startswith("sqlite"):
        advice = f"see that the file is sound and that user {_user()} may write it and its folder"
    else:
        advice = "see that the server runs and that VZQ_DATABASE names it"
    return f"database {url} cannot be used: {said}; {advice}"


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "of this process"
