"""Rows in every table there is, made up from its columns: a table that is added later is tested without being named."""

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, Connection, Table
from sqlmodel import SQLModel

from models.columns import Instant
from producers.backup.dump import known_tables

EACH = 3
AWKWARD = 'Zoë "ß" \\ \n\t\u2028 \U0001f600'  # what a line of JSON must carry whole


def fill(connection: Connection) -> None:
    """Some rows in every table."""
    known_tables()
    for table in SQLModel.metadata.sorted_tables:
        connection.execute(table.insert(), [{column.name: _value(table, column, number) for column in table.columns} for number in range(EACH)])


def everything(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables as this program reads them, in the order of their keys."""
    known_tables()
    return {
        table.name: [tuple(row) for row in connection.execute(table.select().order_by(*table.primary_key.columns))]
        for table in SQLModel.metadata.sorted_tables
    }


def _value(table: Table, column: "Column[Any]", number: int) -> Any:  # noqa: PLR0911 - one for each type
    for key in column.foreign_keys:
        return _value(key.column.table, key.column, number)
    if column.nullable and number == 0 and not column.unique:
        return None
    match column.type:
        case sa.Enum():
            known = column.type.enum_class or column.type.enums
            return list(known)[number % len(list(known))]
        case sa.Boolean():
            return bool(number % 2)
        case sa.Integer():
            return number + (1 << 40 if isinstance(column.type, sa.BigInteger) else 1)
        case sa.Float():
            return number / 7
        case sa.JSON():
            return {"list": [1, None, AWKWARD], "number": number} if number else {}
        case Instant():
            return datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=UTC) + timedelta(days=number)
    if column.name == "kind":
        return "check-queue"
    text, longest = f"{table.name}-{column.name}-{number}", getattr(column.type, "length", None)
    return text[-longest:] if longest else f"{text} {AWKWARD}"
