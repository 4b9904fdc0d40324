"""Rows that keep the house itself running: workers and their slots, the token sequence, fairness credits, sealed secrets."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Text, delete
from sqlmodel import Field, Session, SQLModel, col

from models.columns import Instant


class Worker(SQLModel, table=True):
    """A worker process and how many jobs it takes at once."""

    name: str = Field(primary_key=True)  # host/home/pid/start, never used twice (workers/kin.py)
    site: str = Field(index=True)
    host: str
    slots: dict[str, int] = Field(sa_type=JSON)  # family → jobs at once
    programs: str = ""  # release of the programs it installs on nodes (workers/node/install.py)
    started_at: datetime = Field(sa_type=Instant)
    seen_at: datetime = Field(sa_type=Instant)  # by the database's clock


class Counter(SQLModel, table=True):
    """A number that only grows, e.g. `token`; after a restore it is raised above what any node remembers."""

    name: str = Field(primary_key=True)
    value: int = Field(sa_type=BigInteger)


RESTORE_LEAP = 10_000_000  # tokens, event numbers: drawn by nobody between a backup and its restore, one hopes; the nodes' ledgers are asked as well
TOKEN_LEAP = 1_000_000_000  # no house draws so many between two looks; a node that says more is lying, or belonged to another house


def raise_token(session: Session, highest: int) -> bool:
    """Draw tokens above what a node remembers from now on, as after a restore; False for a number that cannot be true."""
    counter = session.get(Counter, "token", with_for_update=True) or Counter(name="token", value=0)
    if highest > counter.value + TOKEN_LEAP:
        return False
    counter.value = max(counter.value, highest)
    session.add(counter)
    return True


PRUNED = "pruned"  # the counter with the highest event number that was pruned: up to it, events are missing


def note_pruned(session: Session, number: int) -> None:
    """Events up to this number are no longer all there."""
    counter = session.get(Counter, PRUNED) or Counter(name=PRUNED, value=0)
    counter.value = max(counter.value, number)
    session.add(counter)


class Credit(SQLModel, table=True):
    """What fairness owes a rank, or a producer within a rank, from earlier rounds."""

    rank: str = Field(primary_key=True)
    producer: str = Field(primary_key=True, default="")  # "" is the rank itself
    credit: int = 0


class Beat(SQLModel, table=True):
    """When a part of the service last went round; two dispatchers write the same row."""

    name: str = Field(primary_key=True)
    at: datetime = Field(sa_type=Instant)
    data: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)


HANDOUT = "handout"  # name of the copy of a generated password that waits to be fetched


class Secret(SQLModel, table=True):
    """A sealed secret of one job (models/vault.py); erased when the job ends, HANDOUT when it was fetched or not fetched in time."""

    job_id: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    sealed: str = Field(sa_type=Text)


def erase_secrets(session: Session, job_id: str, *, but: str = "") -> None:
    """Nothing sealed for this job stays once it has ended, `but` what is named so."""
    session.execute(delete(Secret).where(col(Secret.job_id) == job_id, col(Secret.name) != but))
