"""Many orders at once, to this house or to one elsewhere over its API: placed each for itself, waited for, taken back."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sqlmodel import col, select

from models.jobs import Job
from models.lifecycle import FINAL, State
from models.orders import Order
from producers.cli.doors import Who, acting
from producers.cli.rows import job_of
from producers.jobs import cancel
from producers.refusals import Refusal

if TYPE_CHECKING:
    from producers.cli.remote import Api
    from producers.house import House

PART = 400  # ids in one question, orders in one transaction
ALL = 1_000_000  # so many of a list, in pages
OPEN = sorted(set(State) - FINAL - {State.STUCK})


@dataclass(frozen=True)
class Refused:
    """An order that was not taken."""

    why: str


class Jobs(Protocol):
    """What a command needs that waits for many."""

    pace_s: float  # how often it may be looked at

    def order(self, orders: Sequence[Order], who: Who) -> list[str | Refused]: ...
    def open(self, ids: Sequence[str]) -> list[str]: ...
    def told(self, ids: Sequence[str]) -> list[Job]: ...
    def cancel(self, ids: Sequence[str], who: Who) -> None: ...


class Here:
    """In this house's own database."""

    pace_s = 0.3

    def __init__(self, house: "House") -> None:
        self._house = house

    def order(self, orders: Sequence[Order], who: Who) -> list[str | Refused]:
        """A job each, or why there is none."""
        placed: list[str | Refused] = []
        for part in _parts(orders):
            with self._house.database.write() as session:
                for order in part:
                    try:
                        placed.append(self._house.intake.submit(session, order, by=who.by, because=who.because).job.id)
                    except Refusal as refusal:
                        placed.append(Refused(str(refusal)))
            self._house.bell.wake()
        return placed

    def open(self, ids: Sequence[str]) -> list[str]:
        """Those that have not ended, nor wait for a person."""
        with self._house.database.read() as session:
            return [job for part in _parts(ids) for job in session.exec(select(Job.id).where(col(Job.id).in_(part), col(Job.state).in_(OPEN))).all()]

    def told(self, ids: Sequence[str]) -> list[Job]:
        """As they stand."""
        with self._house.database.read() as session:
            return [job for part in _parts(ids) for job in session.exec(select(Job).where(col(Job.id).in_(part)).order_by(Job.id)).all()]

    def cancel(self, ids: Sequence[str], who: Who) -> None:
        """Those that can be taken back are."""
        for job_id in ids:
            with suppress(Refusal), self._house.database.write() as session:
                cancel(self._house.database, session, session.get_one(Job, job_id), by=who.by, because=who.because)
        self._house.bell.wake()


class There:
    """Over the API."""

    pace_s = 1.0

    def __init__(self, api: "Api") -> None:
        self._api = api
        self._since: str | None = None  # when the first of them was accepted
        self._kinds: set[str] = set()

    def order(self, orders: Sequence[Order], who: Who) -> list[str | Refused]:
        """A job each, or why there is none."""
        answers = self._api.bulk([(order, "", who.because) for order in orders])
        taken = [answer["job"] for answer in answers if answer["problem"] is None]
        self._since = min((job["accepted_at"] for job in taken), default=None)
        self._kinds = {job["kind"] for job in taken}
        return [Refused(answer["problem"]["detail"]) if answer["problem"] else answer["job"]["id"] for answer in answers]

    def open(self, ids: Sequence[str]) -> list[str]:
        """Those that have not ended, nor wait for a person."""
        return [shape["id"] for shape in self._of(ids, state=OPEN)]

    def told(self, ids: Sequence[str]) -> list[Job]:
        """As they stand."""
        return sorted((job_of(shape) for shape in self._of(ids)), key=lambda job: job.id)

    def cancel(self, ids: Sequence[str], who: Who) -> None:
        """Those that can be taken back are."""
        for job_id in ids:
            with suppress(Refusal):
                self._api.post(f"/v1/jobs/{job_id}:cancel", because=who.because)

    def _of(self, ids: Sequence[str], **query: Any) -> Iterator[Any]:  # noqa: ANN401 - as the API takes it
        """Out of the list of jobs: to ask for each would be a request each."""
        wanted = set(ids)
        for kind in sorted(self._kinds):
            yield from (shape for shape in self._api.pages("/v1/jobs", ALL, kind=kind, since=self._since, **query) if shape["id"] in wanted)


def jobs() -> AbstractContextManager[Jobs]:
    """Where the orders are to be placed."""
    return acting(Here, There)


def _parts(all_of_them: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (all_of_them[start : start + PART] for start in range(0, len(all_of_them), PART))
