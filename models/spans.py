"""Lengths of time and shares as people write them in specifications: 90s, 10m, 2h, 1d; 5%, 2.5%."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def wanted(what: str) -> WrapValidator:
    """Says what is wanted, in place of a pattern or of one complaint for each branch of a union."""

    def check(value: object, inner: ValidatorFunctionWrapHandler) -> object:
        try:
            return inner(value)
        except ValidationError:
            raise ValueError(f"is not {what}") from None

    return WrapValidator(check)


def _some(text: str) -> str:
    if not span(text):
        raise ValueError("is no time at all; write 90s, 10m, 2h or 1d")
    return text


Span = Annotated[str, Field(pattern=r"^[0-9]{1,6}[smhd]$", examples=["90s", "10m", "2h"]), wanted("a length of time; write 90s, 10m, 2h or 1d")]
SomeTime = Annotated[Span, AfterValidator(_some)]  # longer than nothing
Share = Annotated[str, Field(pattern=r"^(100|[1-9]?[0-9](\.[0-9]{1,2})?)%$", examples=["5%"]), wanted('a share; write "5%" or "2.5%"')]


def span(text: str) -> timedelta:
    """What a Span stands for; raises ValueError for anything else."""
    if not re.fullmatch(r"[0-9]{1,6}[smhd]", text):
        raise ValueError(f"{text!r} is not a length of time; write 90s, 10m, 2h or 1d")
    return timedelta(**{UNITS[text[-1]]: int(text[:-1])})


def seconds(text: str) -> int:
    """The same in seconds."""
    return int(span(text).total_seconds())


def ten_thousandths(share: str) -> int:
    """A Share in ten-thousandths, so that no float decides about a budget."""
    whole, _, part = share.removesuffix("%").partition(".")
    return int(whole) * 100 + int((part + "00")[:2])
