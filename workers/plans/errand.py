"""What is done once on a node and never looked at or undone: no steps, but a journal, and a hand that holds what it needs."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from typing import Generic, TypeVar

from pydantic import BaseModel
from sqlmodel import Session

from models.clock import Clock
from models.database import Database
from models.jobs import Begun, Job
from workers.claims import Claim
from workers.journal import Journal
from workers.node.runner import Direction, Runner, StepKey
from workers.store import Store
from workers.transport.ssh import Link

O = TypeVar("O", bound=BaseModel)  # noqa: E741 - an order


class Errand(ABC, Generic[O]):
    """One of them in this worker's hands."""

    asked: type[O]  # the order that it fulfils

    def __init__(self, claim: Claim, link: Link, *, journal: Journal, store: Store, database: Database, clock: Clock, worker: str) -> None:
        self._claim = claim
        self._order = self.asked.model_validate(claim.job.order)
        self._link = link
        self._runner = Runner(link, clock=clock)
        self._journal = journal
        self._store = store
        self._database = database
        self._clock = clock
        self._worker = worker

    @abstractmethod
    async def carry_out(self) -> Callable[[Session, Job, datetime], None]:
        """Do it, or go on with it; the change that ends the job."""

    @abstractmethod
    async def take_back(self) -> None:
        """End what still goes on."""

    @abstractmethod
    def _ledger(self, begun: Begun) -> str:
        """Under which name the node keeps it: what has the same name fences each other."""

    def _begun(self) -> Begun | None:
        """The try that counts: a void one never began."""
        tries = [begun for begun in self._claim.journal if begun.outcome != "void"]
        return tries[-1] if tries else None

    def _key(self, begun: Begun) -> StepKey:
        return StepKey(self._ledger(begun), self._claim.token, begun.job_id, begun.step, Direction.DO, begun.attempt)
