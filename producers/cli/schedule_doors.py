"""Schedules of this house, or of one elsewhere over its API: the same answers, in the API's own shapes."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from sqlmodel import Session, select

from models.campaigns import CampaignKind
from models.database import Database
from models.schedules import Schedule
from producers.campaigns import schedules
from producers.campaigns.schedules import Wish
from producers.cli.doors import Who, reading
from producers.rollouts.compiled import stored
from producers.rollouts.shapes import schedule_shape

if TYPE_CHECKING:
    from producers.cli.remote import Api

Shape = dict[str, Any]


class Schedules(Protocol):
    """What the commands need."""

    def all(self) -> Sequence[Shape]: ...
    def find(self, name: str) -> Shape: ...
    def add(self, wish: Wish, who: Who) -> Shape: ...
    def pause(self, name: str, who: Who, *, paused: bool) -> Shape: ...
    def remove(self, name: str, who: Who) -> None: ...


class Here:
    """In this house's own database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Sequence[Shape]:
        """By name."""
        with self._database.read() as session:
            rows = session.exec(select(Schedule).where(Schedule.kind == CampaignKind.ROLLOUT).order_by(Schedule.name)).all()
            return [schedule_shape(row, self._database.now(session)) for row in rows]

    def find(self, name: str) -> Shape:
        """The one of that name; raises BadOrder."""
        with self._database.read() as session:
            return schedule_shape(schedules.find(session, name), self._database.now(session))

    def add(self, wish: Wish, who: Who) -> Shape:
        """A new one; raises BadOrder."""
        return self._write(lambda session: schedules.add(self._database, session, wish, by=who.by, because=who.because))

    def pause(self, name: str, who: Who, *, paused: bool) -> Shape:
        """It starts nothing, or goes on; raises BadOrder."""
        return self._write(lambda session: schedules.pause(self._database, session, name, by=who.by, because=who.because, paused=paused))

    def remove(self, name: str, who: Who) -> None:
        """It is gone; raises BadOrder."""
        with self._database.write() as session:
            schedules.remove(self._database, session, name, by=who.by, because=who.because)

    def _write(self, work: Callable[[Session], Schedule]) -> Shape:
        with self._database.write() as session:
            return schedule_shape(work(session), self._database.now(session))


class There:
    """Over the API."""

    def __init__(self, api: "Api") -> None:
        self._api = api

    def all(self) -> Sequence[Shape]:
        """By name."""
        return list(self._api.get("/v1/schedules")["items"])

    def find(self, name: str) -> Shape:
        """The one of that name; raises BadOrder."""
        return dict(self._api.get(f"/v1/schedules/{name}"))

    def add(self, wish: Wish, who: Who) -> Shape:
        """A new one; raises BadOrder."""
        words = {"name": wish.name, "cron": wish.cron, "timezone": wish.timezone, "overlap": wish.overlap, "missed": wish.missed}
        body = words | {"spec": stored(wish.spec), "windows": list(wish.windows)}
        return dict(self._api.post("/v1/schedules", body, because=who.because))

    def pause(self, name: str, who: Who, *, paused: bool) -> Shape:
        """It starts nothing, or goes on; raises BadOrder."""
        return dict(self._api.post(f"/v1/schedules/{name}:{'pause' if paused else 'resume'}", because=who.because))

    def remove(self, name: str, who: Who) -> None:
        """It is gone; raises BadOrder."""
        self._api.delete(f"/v1/schedules/{name}", because=who.because)


def schedules_known() -> AbstractContextManager[Schedules]:
    """For every command: the service finds out by itself what is due."""
    return reading(Here, There)
