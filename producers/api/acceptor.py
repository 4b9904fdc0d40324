"""Orders that come at the same time are accepted together: one look at the site and one commit for all that wait.

An order that comes alone waits for nobody. Each has its own answer; what one of them cannot have does not touch the others.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from pydantic import ValidationError
from sqlmodel import Session

from models.database import AWAY
from producers.api.placing import persist
from producers.api.problems import Fault
from producers.house import House
from producers.refusals import Refusal

log = structlog.get_logger(__name__)
AT_ONCE = 50  # orders a transaction: others get to write in between
Placing = Callable[[Session], Any]


@dataclass(frozen=True)
class _Waiting:
    place: Placing
    answer: "Future[Any]" = field(default_factory=Future)


class Acceptor:
    """One thread that writes for all requests; on SQLite there can be only one writer anyway, on PostgreSQL only one who reserves."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="acceptor", daemon=True)
        self._thread.start()

    def accept(self, place: Placing) -> "Future[Any]":
        """What `place` returns, once it is committed; or what it raised, and then nothing of it was kept."""
        waiting = _Waiting(place)
        self._waiting.put(waiting)
        return waiting.answer

    def close(self) -> None:
        """Finish what waits, then end."""
        self._waiting.put(None)
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch, going = [first], True
            with suppress(queue.Empty):
                while len(batch) < AT_ONCE and going:
                    following = self._waiting.get_nowait()
                    going = following is not None
                    if following is not None:
                        batch.append(following)
            self._write([one for one in batch if one.answer.set_running_or_notify_cancel()])
            if not going:
                return

    def _write(self, batch: Sequence[_Waiting]) -> None:
        if not batch:
            return
        try:
            outcomes = persist(self._house, lambda session: [_place(session, one) for one in batch])
        except Exception as error:  # noqa: BLE001 - it is the request's own to answer
            if len(batch) == 1 or isinstance(error, AWAY):
                for one in batch:
                    one.answer.set_exception(error)
                return
            log.info("orders_apart", count=len(batch), error=type(error).__name__)
            for one in batch:  # something that only the database noticed, or a fault of ours: it must not touch the others
                self._write([one])
            return
        for one, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Exception):
                one.answer.set_exception(outcome)
            else:
                one.answer.set_result(outcome)


def _place(session: Session, one: _Waiting) -> Any:  # noqa: ANN401 - whatever it gives
    """A refusal wrote nothing (Intake.submit), so the transaction goes on."""
    try:
        return one.place(session)
    except (Refusal, Fault, ValidationError) as refused:
        return refused
