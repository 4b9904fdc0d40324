"""Signatures of this house, or of one elsewhere over its API: the same answers, in the API's own shapes."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from models.database import Database
from producers.cli.doors import Who, reading
from producers.signatures import settle, signature_shape, signatures, told, told_shape

if TYPE_CHECKING:
    from producers.cli.remote import Api

Shape = dict[str, Any]


class Signatures(Protocol):
    """What the commands need."""

    def all(self, *, settled: bool, limit: int) -> Sequence[Shape]: ...
    def told(self, number: int) -> Shape: ...
    def settle(self, number: int, who: Who) -> Shape: ...


class Here:
    """In this house's own database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, *, settled: bool, limit: int) -> Sequence[Shape]:
        """Last met first."""
        with self._database.read() as session:
            return [signature_shape(one) for one in signatures(session, settled=settled, limit=limit)]

    def told(self, number: int) -> Shape:
        """What is known of one; raises BadOrder."""
        with self._database.read() as session:
            return told_shape(told(session, number))

    def settle(self, number: int, who: Who) -> Shape:
        """Somebody knows what it is; raises BadOrder."""
        with self._database.write() as session:
            return signature_shape(settle(session, number, by=who.by, because=who.because, now=self._database.now(session)))


class There:
    """Over the API."""

    def __init__(self, api: "Api") -> None:
        self._api = api

    def all(self, *, settled: bool, limit: int) -> Sequence[Shape]:
        """Last met first."""
        return list(self._api.get("/v1/signatures", settled=settled, limit=limit)["items"])

    def told(self, number: int) -> Shape:
        """What is known of one; raises BadOrder."""
        return dict(self._api.get(f"/v1/signatures/{number}"))

    def settle(self, number: int, who: Who) -> Shape:
        """Somebody knows what it is; raises BadOrder."""
        return dict(self._api.post(f"/v1/signatures/{number}:settle", because=who.because))


def signatures_known() -> AbstractContextManager[Signatures]:
    """For every command: settling one moves no job."""
    return reading(Here, There)
