"""The last check before a root shell: each value that becomes a word of a node's command passes here. Raises Permanent, and then nothing was sent."""

import re
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from models.errors import Permanent
from models.whitelist import JOB_ID, Address, CtId, Description, HostName, Password, Word

_T = TypeVar("_T")
_CTID: TypeAdapter[int] = TypeAdapter(CtId)
WORD: TypeAdapter[str] = TypeAdapter(Word)
HOSTNAME: TypeAdapter[str] = TypeAdapter(HostName)
DESCRIPTION: TypeAdapter[str] = TypeAdapter(Description)
_ADDRESS: TypeAdapter[str] = TypeAdapter(Address)
PASSWORD: TypeAdapter[str] = TypeAdapter(Password)
_LAYOUTS = ("simfs", "ploop")


def checked(kind: TypeAdapter[_T], value: _T, *, secret: bool = False) -> _T:
    """The value, if it is on the whitelist: the last check before a root shell."""
    try:
        return kind.validate_python(value, strict=True)
    except ValidationError as error:
        why = "the secret has characters that are not allowed" if secret else error.errors()[0]["msg"]
        raise Permanent(f"{why}; correct the order, nothing was sent") from None


def container_id(ctid: int) -> str:
    """A container's id."""
    return str(checked(_CTID, ctid))


def plain_address(address: str) -> str:
    """An address without a zone."""
    if "%" in address:  # an IPv6 zone may hold any character, and no container address has one
        raise Permanent(f"{address[:40]!r} carries an IPv6 zone; order the address without it")
    return checked(_ADDRESS, address)


def job_mark(job: str) -> str:
    """A job's id, as containers are marked with it."""
    if not JOB_ID.fullmatch(job):
        raise Permanent(f"{job[:40]!r} is not a job id (26 letters and digits); nothing was sent")
    return job


def snapshot_id(name: str) -> str:
    """The id of a snapshot."""
    if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", name):
        raise Permanent(f"{name[:40]!r} is not the id of a snapshot; nothing was sent")
    return name


def layout_of(layout: str) -> str:
    """A layout of the private area."""
    if layout not in _LAYOUTS:
        raise Permanent(f"{layout[:40]!r} is not a layout; use simfs or ploop")
    return layout


def positive(number: int, what: str, *, least: int = 1) -> int:
    """A whole number from `least` on."""
    if type(number) is not int or not least <= number < 1 << 62:  # a bool is an int too
        raise Permanent(f"{what} {number!r} is not a whole number from {least} on; correct the plan")
    return number
