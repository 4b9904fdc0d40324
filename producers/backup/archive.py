"""The file: lines of JSON, compressed. A header, keys if asked for, each table's rows, and an end with a checksum."""

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from producers.refusals import BadOrder, Refusal

FORMAT = 1
LONGEST_HEADER = 1 << 24
CHUNK = 1000  # rows


@dataclass(frozen=True)
class Header:
    """What a backup says of itself; everything a restore is refused by is known from here."""

    made_at: datetime  # by the database's clock
    schema: str
    database: str  # sqlite or postgresql
    columns: Mapping[str, Sequence[str]]  # by table, in the order in which rows can be put back
    rows: Mapping[str, int]
    token: int  # the highest that had been drawn
    files: Sequence[str] = ()  # keys that are in it


@dataclass
class Writer:
    """Writes one archive into an open file."""

    out: BinaryIO | gzip.GzipFile
    header: Header
    _digest: Any = field(default_factory=hashlib.sha256)

    def begin(self) -> None:
        """The header comes first."""
        told = vars(self.header) | {"made_at": self.header.made_at.isoformat()}
        self._line({"vzq": "backup", "format": FORMAT, **told})

    def file(self, name: str, content: str) -> None:
        """A key."""
        self._line({"file": name, "content": content})

    def table(self, name: str) -> None:
        """The rows that follow are this table's."""
        self._line({"table": name})

    def rows(self, rows: Sequence[Sequence[Any]]) -> None:
        """In the order of the header's columns."""
        for row in rows:
            self._line(row)

    def end(self) -> None:
        """What is behind it is not there; a file without it is torn."""
        self._line({"end": sum(self.header.rows.values()), "sha256": self._digest.hexdigest()})

    def _line(self, value: object) -> None:
        line = json.dumps(value, default=_jsonable, separators=(",", ":")).encode() + b"\n"
        self._digest.update(line)
        self.out.write(line)


class Archive:
    """An archive on disk; raises BadOrder for what is none or is torn, Refusal for what is too new."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with gzip.open(path) as file:
                told = json.loads(file.readline(LONGEST_HEADER))
            if told["vzq"] != "backup":
                raise _foreign(path)
            if told["format"] > FORMAT:
                raise Refusal(f"{path} was written by a newer vzq (format {told['format']}); install that one and restore with it")
            self.header = Header(**{name: told[name] for name in Header.__dataclass_fields__} | {"made_at": datetime.fromisoformat(told["made_at"])})
        except (EOFError, zlib.error):
            raise _torn(path, "it ends before its header does") from None
        except (gzip.BadGzipFile, ValueError, KeyError, TypeError):
            raise _foreign(path) from None
        except OSError as error:
            raise BadOrder({"FILE": f"{path} cannot be read: {error.strerror}"}) from None

    def check(self) -> None:
        """Read all of it: every row is there and the checksum fits."""
        counted = dict.fromkeys(self.header.rows, 0)
        for name, rows in self.tables():
            counted[name] += len(rows)
        if counted != dict(self.header.rows):
            raise _torn(self.path, "not all rows are there")

    def files(self) -> dict[str, str]:
        """The keys in it, by name."""
        if not self.header.files:
            return {}
        return {line["file"]: line["content"] for _, line in zip(self.header.files, self._lines(), strict=False) if isinstance(line, dict)}

    def tables(self) -> Iterator[tuple[str, list[list[Any]]]]:
        """Rows by table, some at a time; raises at the latest behind the last one where the file is not whole."""
        name, rows = "", []
        for line in self._lines():
            if isinstance(line, list):
                if len(line) != len(self.header.columns.get(name, ())):
                    raise _torn(self.path, f"a row of table {name!r} has {len(line)} columns")
                rows.append(line)
            if rows and (len(rows) >= CHUNK or isinstance(line, dict)):
                yield name, rows
                rows = []
            if isinstance(line, dict):
                name = line.get("table", "")

    def _lines(self) -> Iterator[Any]:
        """All behind the header, the end included; the end's checksum is compared."""
        digest = hashlib.sha256()
        try:
            with gzip.open(self.path) as file:
                digest.update(file.readline())
                for line in file:
                    value = json.loads(line)
                    if isinstance(value, dict) and "end" in value:
                        if value["sha256"] != digest.hexdigest() or file.read(1):
                            raise _torn(self.path, "its checksum is wrong")
                        yield value
                        return
                    digest.update(line)
                    yield value
        except (OSError, EOFError, ValueError, KeyError, zlib.error) as error:
            raise _torn(self.path, str(error) or type(error).__name__) from None
        raise _torn(self.path, "its end is missing")


def _jsonable(value: object) -> object:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a backup")


def _foreign(path: Path) -> BadOrder:
    return BadOrder({"FILE": f"{path} is no backup of vzq"})


def _torn(path: Path, why: str) -> BadOrder:
    return BadOrder({"FILE": f"{path} is a torn backup ({why}); take another one, nothing was changed"})
