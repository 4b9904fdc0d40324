"""A file of orders, one JSON object a line: read and checked as a whole before any of it is placed. Pure."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from models.orders import ORDER, Order
from producers.cli.failures import complaints

LONGEST_LINE = 65_536  # an order is some hundred bytes; a longer line is another kind of file


class Envelope(BaseModel):
    """What a line holds besides the order."""

    model_config = ConfigDict(extra="ignore")

    key: str = Field(min_length=1, max_length=255, description="Your own name for this order; the same key and order again is the same job.")
    because: str = Field("", max_length=1000, description="Why, in your own words.")

    @field_validator("key", "because")
    @classmethod
    def _plain(cls, text: str) -> str:
        if not text.isprintable():
            raise ValueError("has characters that do not print")
        return text


@dataclass(frozen=True)
class Line:
    """A good line."""

    number: int
    key: str
    because: str
    order: Order


@dataclass(frozen=True)
class Bad:
    """A line that cannot be an order, and why."""

    number: int
    reason: str
    key: str | None = None


@dataclass(frozen=True)
class Sheet:
    """A file as it was read."""

    good: list[Line]
    bad: list[Bad]


@dataclass(frozen=True)
class Taken:
    """A line that became a job, or was one already."""

    number: int
    key: str
    job: str
    replay: bool


@dataclass(frozen=True)
class Refused:
    """A line for which there is no room."""

    number: int
    key: str
    what: str
    reasons: dict[str, str]


@dataclass
class Outcome:
    """What became of each line."""

    bad: list[Bad] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    kept: bool = True  # False: something was wrong, so nothing of it was kept


def read(lines: Iterable[bytes]) -> Sheet:
    """Every line is looked at, so that all that is wrong is told at once; empty lines are passed over."""
    good: list[Line] = []
    bad: list[Bad] = []
    first: dict[str, tuple[int, bytes]] = {}
    for number, raw in enumerate(lines, start=1):
        text = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
        if not text.strip():
            continue
        try:
            line = _line(number, text)
        except _BadLine as wrong:
            bad.append(Bad(number, str(wrong), wrong.key))
            continue
        digest = _digest(line.order)
        seen, seen_digest = first.setdefault(line.key, (number, digest))
        if seen_digest != digest:
            bad.append(Bad(number, f"key {line.key!r} stands in line {seen} with another order; use one key for one order", line.key))
            continue
        good.append(line)
    return Sheet(good, bad)


def schema() -> dict[str, Any]:
    """The JSON schema of a line: an order's own schema with the envelope's fields in each branch."""
    envelope = Envelope.model_json_schema()
    described: dict[str, Any] = TypeAdapter(Order).json_schema()
    for name in described["discriminator"]["mapping"].values():  # what else is defined there are parts of orders
        branch = described["$defs"][name.removeprefix("#/$defs/")]
        branch["properties"] = envelope["properties"] | branch["properties"]
        branch["required"] = ["key", "kind", *branch.get("required", [])]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A line of an order file"} | described


def ranges(numbers: Sequence[int]) -> str:
    """Line numbers on one line: 1-3, 7, 9-12. They come in order."""
    spans: list[tuple[int, int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], number)
        else:
            spans.append((number, number))
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


class _BadLine(Exception):
    def __init__(self, reason: str, key: str | None = None) -> None:
        super().__init__(reason)
        self.key = key


def _line(number: int, raw: bytes) -> Line:
    fields = _object(raw)
    key = fields.get("key") if isinstance(fields.get("key"), str) else None
    wrong: list[str] = []
    envelope = order = None
    try:
        envelope = Envelope.model_validate(fields)
    except ValidationError as error:
        wrong += complaints(error)
    try:
        order = ORDER.validate_python({field: value for field, value in fields.items() if field not in Envelope.model_fields})
    except ValidationError as error:
        wrong += complaints(error)
    if envelope is None or order is None:
        raise _BadLine("; ".join(wrong), key)
    return Line(number, envelope.key, envelope.because, order)


def _object(raw: bytes) -> dict[str, Any]:
    if len(raw) > LONGEST_LINE:
        raise _BadLine(f"{len(raw)} bytes long; an order has at most {LONGEST_LINE}")
    try:
        fields = json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except UnicodeDecodeError:
        raise _BadLine("is not UTF-8") from None
    except json.JSONDecodeError as error:
        torn = "" if raw.endswith(b"\n") else "; the line has no end, the file seems to be torn"
        raise _BadLine(f"is not JSON: {error.msg} (column {error.colno}){torn}") from None
    except (RecursionError, ValueError) as error:  # too deep, or a number of thousands of digits
        raise _BadLine(f"is not an order: {error}") from None
    if not isinstance(fields, dict):
        raise _BadLine('is not a JSON object; write {"key": …, "kind": …}')
    return fields


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        raise _BadLine(f"has {next(name for name in names if names.count(name) > 1)!r} twice")
    return fields


def _no_number(text: str) -> NoReturn:
    raise _BadLine(f"has {text}, which is not JSON")


def _digest(order: Order) -> bytes:
    """Equal for equal orders; the password counts, and only its digest stays in memory."""
    fields = order.model_dump(mode="json", exclude_none=True)
    secret = getattr(order, "password", None)
    if secret is not None:
        fields["password"] = secret.get_secret_value()
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).digest()
