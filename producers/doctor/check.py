"""One thing that was looked at, and what is to be done about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Any

NAMED = 4  # of many things alike so many are named, the others counted


class Verdict(StrEnum):
    """How it stands."""

    OK = auto()
    LOOK = auto()  # it works, but somebody should see to it
    FAULT = auto()  # something does not work, or will not when it is needed
    UNKNOWN = auto()  # it could not be looked at


@dataclass(frozen=True)
class Check:
    """One line of the examination."""

    name: str
    verdict: Verdict
    what: str
    do: str = ""  # empty where nothing is to be done

    @property
    def bad(self) -> bool:
        """Something is broken."""
        return self.verdict is Verdict.FAULT

    @property
    def shape(self) -> dict[str, Any]:
        """As JSON."""
        return {"check": self.name, "verdict": str(self.verdict), "what": self.what, "do": self.do}


def ok(name: str, what: str) -> Check:
    """It is well."""
    return Check(name, Verdict.OK, what)


def look(name: str, what: str, do: str) -> Check:
    """It works, and somebody should see to it."""
    return Check(name, Verdict.LOOK, what, do)


def fault(name: str, what: str, do: str) -> Check:
    """It does not work."""
    return Check(name, Verdict.FAULT, what, do)


def unknown(name: str, what: str) -> Check:
    """It could not be looked at."""
    return Check(name, Verdict.UNKNOWN, what)


def some(things: Sequence[str]) -> str:
    """The first of them by name, and how many more there are."""
    more = len(things) - NAMED
    return ", ".join(things[:NAMED]) + (f" and {more} more" if more > 0 else "")
