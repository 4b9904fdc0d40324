"""Plans that change no container: ask something, and keep the answer in the rows when the job ends."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from models.clock import Clock
from models.jobs import Job
from workers.tools import Roads


@dataclass(frozen=True)
class Means:
    """What inquiries work with."""

    links: Roads
    clock: Clock
    scan_timeout: timedelta = timedelta(seconds=10)


def _keep_nothing(_session: Session, _job: Job, _answer: dict[str, Any], _now: datetime) -> None:
    return


@dataclass(frozen=True)
class Inquiry:
    """`ask` gives the job's result; `keep` writes rows in the transaction that ends the job. Both are safe to repeat."""

    ask: Callable[[], Awaitable[dict[str, Any]]]
    keep: Callable[[Session, Job, dict[str, Any], datetime], None] = _keep_nothing
