"""Commands inside containers of this house, or of one elsewhere over its API: ordered, followed, taken back."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sqlmodel import col, select

from models.inside import ExecResult
from models.jobs import Job
from models.lifecycle import FINAL, State
from models.rollouts import Selector
from producers.cli.doors import Who, acting
from producers.cli.rows import job_of, result_of
from producers.cli.silence import ill, silence
from producers.execs import Command, execute_where, execution_shape, results
from producers.jobs import cancel
from producers.refusals import Refusal

if TYPE_CHECKING:
    from producers.cli.remote import Api
    from producers.house import House

OVER = FINAL | {State.STUCK}
ALL = 1_000_000  # so many of a list, in pages


@dataclass(frozen=True)
class Look:
    """How far a command is."""

    jobs: Sequence[Job]
    results: Sequence[ExecResult]
    silent: Sequence[str]  # who should do the work but does not answer

    @property
    def over(self) -> bool:
        """All of its jobs have ended, or wait for a person."""
        return all(job.state in OVER for job in self.jobs)


class Execs(Protocol):
    """What the command needs."""

    pace_s: float  # how often it may be looked at

    def order(self, selector: Selector, command: Command, who: Who) -> dict[str, Any]: ...
    def look(self, jobs: Sequence[str]) -> Look: ...
    def cancel(self, jobs: Sequence[str], who: Who) -> None: ...


class Here:
    """In this house's own database."""

    pace_s = 0.1

    def __init__(self, house: "House") -> None:
        self._house = house

    def order(self, selector: Selector, command: Command, who: Who) -> dict[str, Any]:
        """One job a node; raises BadOrder or a Refusal."""
        house = self._house
        with house.database.write() as session:
            shape = execution_shape(*execute_where(session, house.intake, selector, command, by=who.by, because=who.because))
        house.bell.wake()
        return shape

    def look(self, jobs: Sequence[str]) -> Look:
        """What has come so far."""
        with self._house.database.read() as session:
            rows = session.exec(
                select(Job).where(col(Job.id).in_(jobs)).order_by(Job.id)
            ).all()  # before the results: those of an ended job are all there
            silent = silence(session, (job for job in rows if job.state not in OVER), now=self._house.database.now(session))
            return Look(rows, results(session, jobs), silent)

    def cancel(self, jobs: Sequence[str], who: Who) -> None:
        """It is ended where it runs."""
        house = self._house
        for job_id in jobs:
            with suppress(Refusal), house.database.write() as session:
                cancel(house.database, session, session.get_one(Job, job_id), by=who.by, because=who.because)
        house.bell.wake()


class There:
    """Over the API."""

    pace_s = 0.5

    def __init__(self, api: "Api") -> None:
        self._api = api

    def order(self, selector: Selector, command: Command, who: Who) -> dict[str, Any]:
        """One job a node; raises BadOrder or a Refusal."""
        words = {name: getattr(command, name) for name in ("script", "interpreter", "timeout_s", "output_max", "at_once")}
        body = words | {"selector": selector.model_dump(mode="json", exclude_defaults=True), "arguments": list(command.arguments)}
        return dict(self._api.post("/v1/exec", body, because=who.because))

    def look(self, jobs: Sequence[str]) -> Look:
        """What has come so far."""
        shapes = [self._api.get(f"/v1/jobs/{job_id}") for job_id in jobs]
        found = [result_of(shape) for job_id in jobs for shape in self._api.pages(f"/v1/jobs/{job_id}/results", ALL)]
        silent = [] if self._api.alive() else ["no service is alive there, so nothing is sent to workers"]
        silent += dict.fromkeys(ill(one["text"].partition(";")[0]) for shape in shapes for one in shape["why"] if one["code"] == "breaker")
        return Look([job_of(shape) for shape in shapes], sorted(found, key=lambda result: result.ctid), silent)

    def cancel(self, jobs: Sequence[str], who: Who) -> None:
        """It is ended where it runs."""
        for job_id in jobs:
            with suppress(Refusal):
                self._api.post(f"/v1/jobs/{job_id}:cancel", because=who.because)


def execs() -> AbstractContextManager[Execs]:
    """Where the command is to run."""
    return acting(Here, There)
