"""Two doors to what a command is about: the house itself, or one elsewhere over its API. Both keep one promise, so a command is written once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from models.database import Database
from producers.cli import door

if TYPE_CHECKING:
    from producers.cli.remote import Api
    from producers.house import House

T = TypeVar("T")


@dataclass(frozen=True)
class Who:
    """Who asks, and why. A house elsewhere knows by its token who."""

    by: str
    because: str


@contextmanager
def reading(here: Callable[[Database], T], there: "Callable[[Api], T]") -> Iterator[T]:
    """For commands that change nothing."""
    if door.elsewhere():
        from producers.cli import remote  # noqa: PLC0415 - needs httpx

        with remote.api() as api:
            yield there(api)
        return
    with door.database() as database:
        yield here(database)


@contextmanager
def acting(here: "Callable[[House], T]", there: "Callable[[Api], T]") -> Iterator[T]:
    """For commands that do something; on the house itself whoever waits for that is woken afterwards."""
    if door.elsewhere():
        from producers.cli import remote  # noqa: PLC0415 - needs httpx

        with remote.api() as api:
            yield there(api)
        return
    with door.house() as house:
        yield here(house)
