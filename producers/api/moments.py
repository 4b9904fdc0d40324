"""Moments as callers write them: RFC 3339 with a time zone, and nothing else that a library may take for one."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

WRITTEN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})")


def _written(value: object) -> object:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not WRITTEN.fullmatch(value):
        raise ValueError("is not a moment with its time zone, e.g. 2026-03-02T12:00:00Z; write + as %2B in an address")
    return value


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies outside of what calendars hold") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_utc)]
